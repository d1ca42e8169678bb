//! Which URLs may be requested. The policy applies to a pointer's URL and to the target of every redirect before the request, and
//! to the addresses of a host's name. WIRE_PROTOCOL 12, "Fetch safety".

use super::addresses::{is_loopback, is_public};
use crate::OneLine;
use crate::location::{Location, scrub};
use crate::panics;
use core::net::IpAddr;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use url::{Host, Url};

/// Which URLs may be requested. The default is [`https_public`](Self::https_public).
#[derive(Clone, Default)]
pub struct UrlPolicy {
    base: Base,
    check: Option<Arc<UrlCheck>>,
}

/// An application's own check. Its error may repeat the URL: secrets are removed in [`UrlRejected`].
pub type UrlCheck = dyn Fn(&Url) -> Result<(), String> + Send + Sync;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Base {
    #[default]
    HttpsPublic,
    HttpsOrHttpLoopback,
    Unrestricted,
}

/// A URL that may not be requested. Retrying does not help.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("URL rejected: {reason} ({location})")]
pub struct UrlRejected {
    /// The URL without its secrets.
    pub location: String,
    /// The reason.
    pub reason: String,
}

impl fmt::Debug for UrlPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UrlPolicy")
            .field("base", &self.base)
            .field("has_check", &self.check.is_some())
            .finish()
    }
}

impl UrlPolicy {
    /// Allows only `https`, and only public addresses.
    pub const fn https_public() -> Self {
        Self { base: Base::HttpsPublic, check: None }
    }

    /// Allows `https` to public addresses, and both `http` and `https` to this machine. For tests and development: a peer may
    /// cause requests to any service of this machine.
    pub const fn https_or_http_loopback() -> Self {
        Self { base: Base::HttpsOrHttpLoopback, check: None }
    }

    /// Allows `https` and `http` to any address. Use it only for URLs that the operator of this process chose, such as that of a
    /// store in a private network. For a peer's URLs combine it with a [check](Self::with_check) that allows no other host.
    pub const fn unrestricted() -> Self {
        Self { base: Base::Unrestricted, check: None }
    }

    /// Adds a check, which may refuse more URLs.
    pub fn with_check(mut self, check: impl Fn(&Url) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.check = Some(Arc::new(check));
        self
    }

    /// Checks whether a URL may be requested, as far as the URL itself shows.
    ///
    /// A host's name may resolve to any address: check each with [`check_address`](Self::check_address), and connect to that
    /// address and not to the name, which may resolve to another address next time.
    ///
    /// # Errors
    /// The reason for the refusal.
    pub fn check(&self, location: &Location) -> Result<(), UrlRejected> {
        let url = location.url();
        let checked = self.check_scheme(url).and_then(|()| self.check_host(url)).map_err(ToOwned::to_owned);
        let checked = checked.and_then(|()| match &self.check {
            // A panic in the check refuses one URL, and must not end the caller.
            Some(check) => panics::catch(|| check(url))
                .unwrap_or_else(|| Err("its check panicked".to_owned()))
                .map_err(|reason| scrub(&reason, location)),
            None => Ok(()),
        });
        checked.map_err(|reason| rejected(location, reason))
    }

    /// Checks whether a request to this URL may be sent to this address.
    ///
    /// # Errors
    /// The reason for the refusal.
    pub fn check_address(&self, location: &Location, address: IpAddr) -> Result<(), UrlRejected> {
        self.allow(location.url(), address).map_err(|reason| rejected(location, reason.to_owned()))
    }

    fn check_scheme(&self, url: &Url) -> Result<(), &'static str> {
        match (url.scheme(), self.base) {
            ("https", _) | ("http", Base::HttpsOrHttpLoopback | Base::Unrestricted) => Ok(()),
            (_, Base::HttpsPublic) => Err("its scheme is not https"),
            (_, Base::HttpsOrHttpLoopback | Base::Unrestricted) => {
                Err("its scheme is neither https nor http")
            }
        }
    }

    fn check_host(&self, url: &Url) -> Result<(), &'static str> {
        match url.host() {
            // Numbers in any notation, as in http://0x7f.1/, are addresses here.
            Some(Host::Ipv4(address)) => self.allow(url, address.into()),
            Some(Host::Ipv6(address)) => self.allow(url, address.into()),
            Some(Host::Domain(name)) => self.check_name(url, name),
            None => Err("it has no host"),
        }
    }

    fn check_name(&self, url: &Url, name: &str) -> Result<(), &'static str> {
        if self.base == Base::Unrestricted {
            return Ok(());
        }
        let name = name.trim_end_matches('.');
        let last = name.rsplit('.').next().unwrap_or_default();
        let is = |other: &str| last.eq_ignore_ascii_case(other);
        if is("localhost") {
            return if self.base == Base::HttpsOrHttpLoopback {
                Ok(())
            } else {
                Err("its host is this machine")
            };
        }
        if name.is_empty() || is("local") || is("internal") || is("localdomain") || is("arpa") {
            return Err("its host is the name of a private network");
        }
        // The scheme is only allowed for this machine.
        if url.scheme() == "http" { Err("http is allowed to this machine alone") } else { Ok(()) }
    }

    fn allow(&self, url: &Url, address: IpAddr) -> Result<(), &'static str> {
        if self.base == Base::Unrestricted || self.base == Base::HttpsOrHttpLoopback && is_loopback(address) {
            return Ok(());
        }
        if url.scheme() == "http" {
            return Err("http is allowed to this machine alone");
        }
        if is_public(address) { Ok(()) } else { Err("its address is not public") }
    }
}

fn rejected(location: &Location, reason: String) -> UrlRejected {
    UrlRejected { location: OneLine(location).to_string(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &UrlPolicy, url: &str) -> Result<(), UrlRejected> {
        policy.check(&Location::parse(url).unwrap())
    }

    #[test]
    fn the_default_is_https_to_public_addresses() {
        let policy = UrlPolicy::default();
        let allowed = [
            "https://storage.example/key?signature=x",
            "https://1.1.1.1/",
            "https://[2606:4700::1]:8443/",
            "https://localhost.example/",
            "https://user:password@storage.example/",
        ];
        for url in allowed {
            assert_eq!(check(&policy, url), Ok(()), "{url}");
        }
        let refused = [
            "http://storage.example/",
            "ftp://storage.example/",
            "gopher://storage.example/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://printer.local/",
            "https://metadata.google.internal/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.01/",
            "https://127.0.0.1./",
            "https://%31%32%37.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::a00:1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://10.0.0.1/",
            "https://0/",
            "https://storage.example@127.0.0.1/",
            "https://127.0.0.1\\@storage.example/",
        ];
        for url in refused {
            let error = check(&policy, url).expect_err(url).to_string();
            assert!(error.starts_with("URL rejected: "), "{error}");
        }
        // If hosts may have non-ASCII letters, which depends on the build of `url`, these digits are those of 127.0.0.1.
        let wide = Location::parse("https://１２７.0.0.1/");
        assert!(wide.is_err() || wide.is_ok_and(|location| policy.check(&location).is_err()));
    }

    #[test]
    fn loopback_is_an_explicit_choice_and_opens_nothing_else() {
        let policy = UrlPolicy::https_or_http_loopback();
        for url in [
            "http://127.0.0.1:9000/",
            "http://localhost/",
            "http://[::1]/",
            "https://127.0.0.1/",
            "https://h.example/",
        ] {
            assert_eq!(check(&policy, url), Ok(()), "{url}");
        }
        for url in [
            "http://h.example/",
            "http://1.1.1.1/",
            "http://10.0.0.1/",
            "https://10.0.0.1/",
            "ftp://127.0.0.1/",
        ] {
            assert!(check(&policy, url).is_err(), "{url}");
        }
    }

    #[test]
    fn without_restrictions_only_the_scheme_and_the_check_count() {
        let policy = UrlPolicy::unrestricted();
        let private =
            ["http://169.254.169.254/", "http://minio.internal:9000/", "https://10.0.0.1/", "http://[::1]/"];
        for url in private {
            assert_eq!(check(&policy, url), Ok(()), "{url}");
            let address = "10.0.0.1".parse().unwrap();
            assert_eq!(policy.check_address(&Location::parse(url).unwrap(), address), Ok(()));
        }
        assert!(check(&policy, "ftp://h.example/").is_err());
        let one = policy.with_check(|url| match url.host_str() {
            Some("minio.internal") => Ok(()),
            _ => Err("its host is another one".to_owned()),
        });
        assert_eq!(private.map(|url| check(&one, url).is_ok()), [false, true, false, false]);
    }

    #[test]
    fn the_address_that_a_name_resolves_to_is_judged_by_the_scheme() {
        let address = |policy: &UrlPolicy, url: &str, address: &str| {
            policy.check_address(&Location::parse(url).unwrap(), address.parse().unwrap()).is_ok()
        };
        let (public, loopback) = (UrlPolicy::https_public(), UrlPolicy::https_or_http_loopback());
        assert!(address(&public, "https://h.example/", "1.1.1.1"));
        assert!(!address(&public, "https://h.example/", "127.0.0.1"));
        assert!(!address(&public, "https://h.example/", "::ffff:10.0.0.1"));
        assert!(address(&loopback, "http://localhost/", "::1"));
        assert!(!address(&loopback, "http://localhost/", "1.1.1.1"), "somebody else's localhost");
        assert!(!address(&loopback, "https://h.example/", "192.168.0.1"));
    }

    #[test]
    fn a_check_that_panics_refuses() {
        let policy = UrlPolicy::https_public().with_check(|_| std::panic::panic_any("s3cr3t"));
        let error = check(&policy, "https://h.example/").unwrap_err();
        assert!(error.to_string().contains("its check panicked"), "{error}");
    }

    #[test]
    fn a_check_of_the_application_refuses_more_and_leaks_nothing() {
        let policy = UrlPolicy::https_public().with_check(|url| Err(format!("not {url}, nor s3cr3t")));
        let error = check(&policy, "https://me:s3cr3t@h.example/key?sig=s3cr3t").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("https://h.example/key") && !text.contains("s3cr3t"), "{text}");
        assert!(!format!("{error:?} {policy:?}").contains("s3cr3t"));
        let never = UrlPolicy::https_public().with_check(|_| Ok(()));
        assert!(check(&never, "http://h.example/").is_err(), "a check cannot allow more");
    }
}
