//! The host and the request target of a URL. The checked URL and the requested one are the same, because both come from the same
//! parser.

use crate::error::TransferErrorKind;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use vgi_rpc_protocol::external::Location;

/// The host to connect to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) is_https: bool,
    /// A name or an address. An address has no brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// The request target of a URL. It contains the secrets of the URL, and therefore has no `Debug`.
pub(crate) struct Target {
    pub(crate) peer: Peer,
    /// The path and query.
    pub(crate) uri: Uri,
    pub(crate) host: HeaderValue,
    /// The user and the password of the URL.
    pub(crate) authorization: Option<HeaderValue>,
}

impl Target {
    pub(crate) fn new(location: &Location) -> Result<Self, TransferErrorKind> {
        let url = location.url();
        let host = url.host_str().ok_or(TransferErrorKind::Url)?;
        let port = url.port_or_known_default().ok_or(TransferErrorKind::Url)?;
        let peer = Peer {
            is_https: url.scheme() == "https",
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self {
            peer,
            uri: path.parse().map_err(|_| TransferErrorKind::Url)?,
            host: host.parse().map_err(|_| TransferErrorKind::Url)?,
            authorization: authorization(location)?,
        })
    }
}

fn authorization(location: &Location) -> Result<Option<HeaderValue>, TransferErrorKind> {
    let url = location.url();
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    let value = format!("Basic {}", STANDARD.encode(pair));
    let mut value = HeaderValue::try_from(value).map_err(|_| TransferErrorKind::Url)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        Target::new(&Location::parse(url).unwrap()).unwrap()
    }

    #[test]
    fn a_url_is_requested_as_it_is_written() {
        let all = target("https://us%40er:p%3Aw@Storage.example:8443/a%20b?sig=a%2Bb&x={|}^`'[]#fragment");
        assert!(all.peer.is_https);
        assert_eq!((&*all.peer.host, all.peer.port), ("storage.example", 8443));
        assert_eq!(all.uri.to_string(), "/a%20b?sig=a%2Bb&x={|}^`%27[]");
        assert_eq!(all.host, "storage.example:8443");
        let authorization = all.authorization.unwrap();
        assert_eq!(authorization, format!("Basic {}", STANDARD.encode("us@er:p:w")));
        assert!(authorization.is_sensitive());
        let plain = target("http://[::1]");
        assert!(!plain.peer.is_https && plain.authorization.is_none());
        assert_eq!((&*plain.peer.host, plain.peer.port), ("::1", 80));
        assert_eq!((plain.uri.to_string(), plain.host), ("/".to_owned(), "[::1]".parse().unwrap()));
    }
}
