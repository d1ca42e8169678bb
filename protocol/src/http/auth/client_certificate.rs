//! Takes the caller from a client certificate that a proxy has verified and forwards in a header.

use super::{AuthContext, AuthError, AuthRequest, Authenticator, Reason};
use crate::peer_identity::settings::header_name;
use crate::peer_identity::{Certificate, FingerprintHash, PeerSettingError};
use chrono::{DateTime, SecondsFormat};
use std::collections::{BTreeSet, HashMap};
use std::fmt;

const DEFAULT_HEADER: &str = "X-SSL-Client-Cert";

type Validate = dyn Fn(&Certificate, &AuthRequest<'_>) -> Result<AuthContext, AuthError> + Send + Sync;

/// Takes the caller from a certificate in a header; made by [`client_certificate`], [`certificate_fingerprints`],
/// [`certificate_subjects`] and [`any_certificate_subject`].
pub struct ClientCertificate {
    header: Box<str>,
    checks_dates: bool,
    validate: Box<Validate>,
}

/// Lets a function identify the caller by the certificate that a proxy forwards: percent-encoded PEM in the header
/// `X-SSL-Client-Cert`.
///
/// **Any client that reaches the server can set a header, and certificates are not secret.** The proxy must verify the client's
/// certificate and its key, and always replace the header. Nothing else may reach the server: require a [proxy
/// proof](crate::http::proof) with [`require_all`](super::require_all). The certificate's dates are checked here; its chain is
/// not.
///
/// | request | reason |
/// | --- | --- |
/// | no header | `proxy_required` |
/// | two headers, or no certificate in it | `invalid_credential` |
/// | a certificate that has expired or is not valid yet | `expired_credential` |
pub fn client_certificate(
    validate: impl Fn(&Certificate, &AuthRequest<'_>) -> Result<AuthContext, AuthError> + Send + Sync + 'static,
) -> ClientCertificate {
    ClientCertificate { header: DEFAULT_HEADER.into(), checks_dates: true, validate: Box::new(validate) }
}

/// Accepts the certificates with these fingerprints, in lower-case hex without colons, as these callers. Any other is refused
/// with `invalid_credential`. The requirements of [`client_certificate`] apply.
///
/// # Errors
/// If there is no fingerprint, one is invalid, or one occurs twice.
pub fn certificate_fingerprints(
    hash: FingerprintHash,
    callers: impl IntoIterator<Item = (impl Into<String>, AuthContext)>,
) -> Result<ClientCertificate, PeerSettingError> {
    let mut known = HashMap::new();
    for (fingerprint, caller) in callers {
        let fingerprint = fingerprint.into();
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_good = fingerprint.len() == hash.digits() && fingerprint.bytes().all(is_digit);
        if !is_good || known.contains_key(&fingerprint) {
            return Err(PeerSettingError::Fingerprint { digits: hash.digits(), got: fingerprint });
        }
        known.insert(fingerprint, caller);
    }
    if known.is_empty() {
        return Err(PeerSettingError::Missing("the fingerprint of a certificate"));
    }
    Ok(client_certificate(move |certificate, _| {
        let caller = known.get(&certificate.fingerprint(hash)).cloned();
        caller.ok_or_else(|| AuthError::refused(Reason::InvalidCredential, "the certificate is not known"))
    }))
}

/// Accepts the certificates whose subject has one of these common names, which is the principal, in this domain. Any other is
/// refused with `insufficient_scope`, and a certificate without exactly one common name with `invalid_credential`. The claims
/// are `subject_dn`, `serial` in hex and `not_valid_after`. The requirements of [`client_certificate`] apply.
///
/// # Errors
/// If there is no name, or one is empty.
pub fn certificate_subjects(
    domain: impl Into<String>,
    names: impl IntoIterator<Item = impl Into<String>>,
) -> Result<ClientCertificate, PeerSettingError> {
    let names: BTreeSet<String> = names.into_iter().map(Into::into).collect();
    if names.is_empty() || names.contains("") {
        return Err(PeerSettingError::Missing("the common name of a certificate"));
    }
    Ok(by_subject(domain.into(), Some(names)))
}

/// Like [`certificate_subjects`], for every certificate that the proxy has verified: any holder of a certificate from an
/// authority that the proxy trusts is accepted, under its common name.
pub fn any_certificate_subject(domain: impl Into<String>) -> ClientCertificate {
    by_subject(domain.into(), None)
}

fn by_subject(domain: String, allowed: Option<BTreeSet<String>>) -> ClientCertificate {
    client_certificate(move |certificate, _| {
        let name = certificate.common_name().ok_or_else(|| {
            let detail = "expected one common name in the subject of the certificate";
            AuthError::refused(Reason::InvalidCredential, detail)
        })?;
        if allowed.as_ref().is_some_and(|allowed| !allowed.contains(&name)) {
            let detail = "the subject of the certificate is not allowed";
            return Err(AuthError::refused(Reason::InsufficientScope, detail));
        }
        let seconds = i64::try_from(certificate.not_after().as_secs()).unwrap_or(i64::MAX);
        let until = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        Ok(AuthContext::new(&domain, name)
            .with_claim("subject_dn", certificate.subject())
            .with_claim("serial", certificate.serial())
            .with_claim("not_valid_after", until.to_rfc3339_opts(SecondsFormat::Secs, false)))
    })
}

impl ClientCertificate {
    /// Sets the header. Default `X-SSL-Client-Cert`.
    ///
    /// # Errors
    /// If this is not a valid header name.
    pub fn header(mut self, name: &str) -> Result<Self, PeerSettingError> {
        self.header = header_name(name)?;
        Ok(self)
    }

    /// Sets whether a certificate that has expired or is not valid yet is refused. Default true. If false, only the proxy
    /// checks the dates.
    #[must_use]
    pub fn check_dates(mut self, check: bool) -> Self {
        self.checks_dates = check;
        self
    }
}

impl Authenticator for ClientCertificate {
    fn authenticate(&self, request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
        let Some(value) = request.non_empty_header(&self.header)? else {
            return Err(AuthError::refused(Reason::ProxyRequired, format!("Missing {} header", self.header)));
        };
        let certificate = Certificate::from_header(value)
            .map_err(|error| AuthError::refused(Reason::InvalidCredential, error.to_string()))?;
        if self.checks_dates && !certificate.is_valid_at(request.now) {
            let detail = if request.now < certificate.not_before() {
                "the certificate is not valid yet"
            } else {
                "the certificate has expired"
            };
            return Err(AuthError::refused(Reason::ExpiredCredential, detail));
        }
        (self.validate)(&certificate, request)
    }

    fn proxy_headers(&self) -> Vec<String> {
        vec![self.header.to_string()]
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("header", &self.header)
            .field("checks_dates", &self.checks_dates)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::head;
    use super::*;
    use crate::peer_identity::text::percent_encode;
    use serde_json::Value;
    use std::time::Duration;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn case(name: &str) -> Value {
        let cases: Vec<Value> =
            serde_json::from_str(include_str!("../../../tests/vectors/certificates.json")).unwrap();
        cases.into_iter().find(|case| case["name"] == name).unwrap()
    }

    fn forwarded(name: &str) -> String {
        percent_encode(case(name)["pem"].as_str().unwrap())
    }

    fn with(authenticator: &ClientCertificate, headers: &[(&str, &str)]) -> Result<AuthContext, AuthError> {
        authenticator.authenticate(&AuthRequest::new(&head(headers), None, NOW))
    }

    fn reason(result: Result<AuthContext, AuthError>) -> Reason {
        match result {
            Err(AuthError::Refused(failure)) => {
                assert!(!failure.detail.contains("MII") && !failure.detail.contains("worker"), "{failure}");
                failure.reason
            }
            other => panic!("{other:?}"),
        }
    }

    fn named() -> ClientCertificate {
        certificate_subjects("mtls", ["worker", "ann"]).unwrap()
    }

    #[test]
    fn the_common_name_is_the_caller() {
        let case = case("svid");
        let expected = AuthContext::new("mtls", "worker")
            .with_claim("subject_dn", case["subject"].clone())
            .with_claim("serial", case["serial"].clone())
            .with_claim("not_valid_after", case["not_valid_after"].clone());
        assert_eq!(with(&named(), &[(DEFAULT_HEADER, &forwarded("svid"))]), Ok(expected.clone()));
        let elsewhere = named().header("X-Cert").unwrap();
        assert_eq!(with(&elsewhere, &[("x-cert", &forwarded("svid"))]), Ok(expected));
        assert_eq!(elsewhere.proxy_headers(), ["X-Cert"]);
        assert_eq!(reason(with(&elsewhere, &[(DEFAULT_HEADER, &forwarded("svid"))])), Reason::ProxyRequired);
    }

    #[test]
    fn each_refusal_has_its_reason() {
        let on = |name: &str| reason(with(&named(), &[(DEFAULT_HEADER, &forwarded(name))]));
        assert_eq!(on("expired"), Reason::ExpiredCredential);
        assert_eq!(on("not_yet"), Reason::ExpiredCredential);
        assert_eq!(on("two_common_names"), Reason::InvalidCredential);
        assert_eq!(on("no_common_name"), Reason::InvalidCredential);
        assert_eq!(on("odd_names"), Reason::InsufficientScope);
        assert_eq!(reason(with(&named(), &[])), Reason::ProxyRequired);
        assert_eq!(reason(with(&named(), &[(DEFAULT_HEADER, "")])), Reason::ProxyRequired);
        assert_eq!(reason(with(&named(), &[(DEFAULT_HEADER, "worker")])), Reason::InvalidCredential);
        let good = forwarded("svid");
        let twice = [(DEFAULT_HEADER, &*good), (DEFAULT_HEADER, &*good)];
        assert_eq!(reason(with(&named(), &twice)), Reason::InvalidCredential);
        let any = any_certificate_subject("mtls");
        assert_eq!(with(&any, &[(DEFAULT_HEADER, &forwarded("odd_names"))]).unwrap().principal, " Ann é=1 ");
        assert_eq!(
            reason(with(&any, &[(DEFAULT_HEADER, &forwarded("no_common_name"))])),
            Reason::InvalidCredential
        );
    }

    #[test]
    fn dates_are_checked_unless_that_is_turned_off() {
        for name in ["expired", "not_yet"] {
            let header = [(DEFAULT_HEADER, &*forwarded(name))];
            assert_eq!(reason(with(&any_certificate_subject("a"), &header)), Reason::ExpiredCredential);
            assert!(with(&any_certificate_subject("a").check_dates(false), &header).is_ok());
        }
    }

    #[test]
    fn fingerprints_are_known_or_not() {
        for (hash, digest) in [
            (FingerprintHash::Sha256, "sha256"),
            (FingerprintHash::Sha384, "sha384"),
            (FingerprintHash::Sha512, "sha512"),
        ] {
            let fingerprint = case("svid")[digest].as_str().unwrap().to_owned();
            let known =
                certificate_fingerprints(hash, [(&*fingerprint, AuthContext::new("f", "w"))]).unwrap();
            assert_eq!(with(&known, &[(DEFAULT_HEADER, &forwarded("svid"))]), Ok(AuthContext::new("f", "w")));
            let other = with(&known, &[(DEFAULT_HEADER, &forwarded("no_san"))]);
            assert_eq!(reason(other), Reason::InvalidCredential);
            for bad in ["", &fingerprint[1..], &fingerprint.to_uppercase(), &format!("{fingerprint}0")] {
                let result = certificate_fingerprints(hash, [(bad, AuthContext::anonymous())]);
                let expected = PeerSettingError::Fingerprint { digits: hash.digits(), got: bad.into() };
                assert_eq!(result.err(), Some(expected));
            }
            let twice =
                [(&*fingerprint, AuthContext::anonymous()), (&*fingerprint, AuthContext::anonymous())];
            assert!(matches!(
                certificate_fingerprints(hash, twice),
                Err(PeerSettingError::Fingerprint { .. })
            ));
        }
        let none = certificate_fingerprints(FingerprintHash::Sha256, [] as [(&str, AuthContext); 0]);
        assert_eq!(none.err(), Some(PeerSettingError::Missing("the fingerprint of a certificate")));
        assert!(certificate_subjects("a", [""; 0]).is_err() && certificate_subjects("a", [""]).is_err());
        assert!(matches!(named().header("a b"), Err(PeerSettingError::HeaderName(_))));
    }

    #[test]
    fn a_function_may_judge() {
        let by_serial = client_certificate(|certificate, _| Ok(AuthContext::new("s", certificate.serial())));
        let caller = with(&by_serial, &[(DEFAULT_HEADER, &forwarded("empty_serial_byte"))]).unwrap();
        assert_eq!(caller.principal, "ff");
        assert!(!format!("{by_serial:?}").contains("MII"));
    }
}
