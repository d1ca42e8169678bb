//! Validation of texts and URLs from a peer.

use super::error::LoginError;
use crate::location::Location;
use serde::de::DeserializeOwned;
use url::{Host, Url};

/// The maximum size of a document or of a response, in bytes.
pub(super) const MAX_DOCUMENT: usize = 64 << 10;
/// The maximum length of a peer's text in an error, in characters.
const MAX_SHOWN: usize = 200;
/// The maximum length of a client id or secret, in characters.
const MAX_CLIENT: usize = 1024;

/// Shortens a text for an error.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

/// Parses a JSON object. Known members must not be repeated.
pub(super) fn json<T: DeserializeOwned>(document: &'static str, bytes: &[u8]) -> Result<T, LoginError> {
    let refuse = |got: String| LoginError::Metadata { document, expected: "its JSON object", got };
    if bytes.len() > MAX_DOCUMENT {
        return Err(refuse(format!("more than {MAX_DOCUMENT} bytes")));
    }
    // The parser's error text may contain a value, which may be a secret.
    serde_json::from_slice(bytes).map_err(|error| {
        refuse(format!("other JSON, or none, at line {} column {}", error.line(), error.column()))
    })
}

/// Whether a client id or secret has only characters that RFC 6749, appendix A, allows.
pub(super) fn is_client_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_CLIENT && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Whether a token can be sent in a header. RFC 6750, section 2.1, does not allow spaces or control characters.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_DOCUMENT && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a URL refers to this machine by address or as `localhost`.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// Parses a URL that credentials may be sent to: https, or http to this machine if `local` is true. It must have no user and no
/// fragment.
pub(super) fn endpoint(document: &'static str, text: &str, local: bool) -> Result<Location, LoginError> {
    let refuse = |expected, got: &str| LoginError::Metadata { document, expected, got: shown(got) };
    let location = Location::parse(text).map_err(|error| refuse("a URL", &error.to_string()))?;
    let url = location.url();
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if !is_plain {
        return Err(refuse("a URL without a user or a fragment", &location.to_string()));
    }
    match url.scheme() {
        "https" => Ok(location),
        "http" if local && is_loopback(url) => Ok(location),
        _ => Err(refuse("an https URL", &location.to_string())),
    }
}

/// Whether two URLs have the same scheme, host and port.
pub(super) fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin().is_tuple() && one.origin() == other.origin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_over_https_or_stay_on_this_machine() {
        for url in ["https://a.example/x?y=1", "https://127.0.0.1/"] {
            assert!(endpoint("d", url, false).is_ok(), "{url}");
        }
        for url in ["http://127.0.0.1:1/", "http://[::1]/", "http://localhost/", "http://LOCALHOST./"] {
            assert!(endpoint("d", url, true).is_ok(), "{url}");
            assert!(endpoint("d", url, false).is_err(), "{url}");
        }
        for url in [
            "",
            "a",
            "http://a.example/",
            "http://localhost.example/",
            "http://128.0.0.1/",
            "https://u@a.example/",
            "https://u:p@a.example/",
            "https://:p@a.example/",
            "https://a.example/#f",
            "ftp://a.example/",
            "javascript:alert(1)",
            "https://a b/",
        ] {
            let error = endpoint("d", url, true).unwrap_err();
            assert!(!error.to_string().contains("u:p"), "{error}");
        }
    }

    #[test]
    fn what_is_read_has_a_bound() {
        let document = |length: usize| format!("{{}}{}", " ".repeat(length - 2));
        assert!(json::<serde_json::Value>("d", document(MAX_DOCUMENT).as_bytes()).is_ok());
        assert!(json::<serde_json::Value>("d", document(MAX_DOCUMENT + 1).as_bytes()).is_err());
        assert!(is_client_text(&"a".repeat(MAX_CLIENT)) && !is_client_text(&"a".repeat(MAX_CLIENT + 1)));
        assert!(is_token(&"a".repeat(MAX_DOCUMENT)) && !is_token(&"a".repeat(MAX_DOCUMENT + 1)));
    }
}
