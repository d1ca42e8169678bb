//! Parses a request's target and its `Host` field: RFC 9112, sections 3.2 and 3.3.

use super::Malformed;
use bytes::Bytes;
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Uri, Version};

/// Parses a request target in one of the forms that the method allows.
///
/// In absolute form the URI has scheme and authority; in the other forms it has only a path and query.
pub(super) fn parse_target(method: &Method, target: Bytes) -> Result<Uri, Malformed> {
    if *method == Method::CONNECT {
        return Err(Malformed::Connect);
    }
    check_characters(&target)?;
    let is_asterisk = target.as_ref() == b"*";
    if is_asterisk && *method != Method::OPTIONS {
        return Err(Malformed::Target("an asterisk is for OPTIONS only"));
    }
    let is_origin = target.first() == Some(&b'/');
    let uri = Uri::from_maybe_shared(target).map_err(|_| Malformed::Target("it is not a URI"))?;
    if is_asterisk || is_origin {
        return Ok(uri);
    }
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(Malformed::Target("it is neither a path nor an http URI"));
    }
    match uri.authority() {
        Some(authority) if is_host(authority.as_str().as_bytes()) => Ok(uri),
        _ => Err(Malformed::Target("its authority is not a host with an optional port")),
    }
}

/// Checks for visible ASCII without the characters that RFC 3986 excludes; every `%` begins an escape; no fragment.
fn check_characters(target: &[u8]) -> Result<(), Malformed> {
    if target.iter().any(|byte| !byte.is_ascii_graphic() || b"\"#<>\\^`{|}".contains(byte)) {
        return Err(Malformed::Target("it has a character that is not allowed"));
    }
    let mut after_percents = target.split(|byte| *byte == b'%').skip(1);
    if after_percents
        .any(|rest| !rest.first_chunk::<2>().is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)))
    {
        return Err(Malformed::Target("a percent sign is not followed by two hexadecimal digits"));
    }
    Ok(())
}

/// Checks the `Host` field. A target in absolute form replaces it, as RFC 9112, section 3.2.2, requires.
pub(super) fn check_host(headers: &mut HeaderMap, version: Version, target: &Uri) -> Result<(), Malformed> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_10 => {}
        (None, _) => return Err(Malformed::MissingHost),
        (Some(_), Some(_)) => return Err(Malformed::RepeatedHost),
        (Some(host), None) if host.is_empty() || is_host(host.as_bytes()) => {}
        (Some(_), None) => return Err(Malformed::InvalidHost),
    }
    if let Some(authority) = target.authority() {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Malformed::InvalidHost)?;
        headers.insert(HOST, host);
    }
    Ok(())
}

/// Whether this is a host with an optional port, without user information. RFC 9110, sections 4.2.4 and 7.2.
pub(super) fn is_host(bytes: &[u8]) -> bool {
    let Ok(authority) = Authority::try_from(bytes) else { return false };
    let text = authority.as_str();
    let after_host = text.get(authority.host().len()..).unwrap_or_default();
    let port_is_valid = match after_host.strip_prefix(':') {
        // An empty port is the scheme's default: RFC 3986, section 3.2.3.
        Some(port) => port.is_empty() || (port.parse::<u16>().is_ok() && !port.starts_with('+')),
        None => after_host.is_empty(),
    };
    // A comma is legal in a registered name, but a proxy that joins two `Host` fields puts one between them.
    !text.contains(['@', ',']) && !authority.host().is_empty() && port_is_valid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_an_optional_port() {
        for good in ["a", "example.com", "example.com:80", "127.0.0.1:65535", "[::1]", "[::1]:8080", "a:"] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in
            ["", ":80", "a@b", "a:b@c", "a b", "a/b", "a:65536", "a:+1", "a:8o", "a,b", "a:1:2", "a\\b"]
        {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn an_absolute_target_replaces_the_host() {
        let target = parse_target(&Method::GET, Bytes::from_static(b"http://real:81/x?y")).unwrap();
        assert_eq!((target.path(), target.query()), ("/x", Some("y")));
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("claimed"));
        check_host(&mut headers, Version::HTTP_11, &target).unwrap();
        assert_eq!(headers[HOST], "real:81");
    }
}
