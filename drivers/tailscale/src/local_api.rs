//! The daemon's address, and one exchange with it. `tailscale-identity.md`, "LocalAPI WhoIs".

use crate::error::{LocalApiError, LocalApiSettingError};
use crate::socket::{Socket, failed};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Request};
use std::fmt;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::PathBuf;
use std::time::{Duration, Instant};
use vgi_rpc_http::http1::client::{ClientCodec, Event};
use vgi_rpc_http::http1::{Limits, Next};
use vgi_rpc_protocol::peer_identity::WhoIs;
use vgi_rpc_transfer::send;
use zeroize::Zeroizing;

/// The default time limit of a whole request.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// The maximum size of a response's head.
const MAX_HEAD: usize = 32 << 10;

/// The Tailscale daemon of this host.
#[derive(Clone, Debug)]
pub struct LocalApi {
    place: Place,
    time_limit: Duration,
}

/// The address of the daemon.
#[derive(Clone)]
enum Place {
    #[cfg(unix)]
    Unix(PathBuf),
    Tcp {
        address: SocketAddr,
        password: Option<Zeroizing<String>>,
    },
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(unix)]
            Self::Unix(path) => f.debug_tuple("Unix").field(path).finish(),
            Self::Tcp { address, .. } => f.debug_tuple("Tcp").field(address).finish(),
        }
    }
}

/// A response of the daemon.
#[derive(Clone)]
pub struct LocalResponse {
    /// The status.
    pub status: u16,
    /// The value of `Content-Type`, if it occurs exactly once and is text.
    pub content_type: Option<String>,
    /// The body, without transfer coding.
    pub body: Bytes,
}

impl fmt::Debug for LocalResponse {
    /// Omits the body, which identifies a user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

impl LocalApi {
    /// Uses the daemon's unix socket at this path: on Linux `/var/run/tailscale/tailscaled.sock`, unless it was configured
    /// otherwise. Only on Unix.
    #[cfg(unix)]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self { place: Place::Unix(path.into()), time_limit: TIME_LIMIT }
    }

    /// Uses the daemon's port on a loopback address, such as `http://127.0.0.1:49152`, with its password, if it requires one. Any
    /// other address is refused, because the password and the identities of peers are not encrypted in transit.
    ///
    /// # Errors
    /// If the address is not a loopback address with a port, or the password is invalid.
    pub fn http(endpoint: &str, password: Option<&str>) -> Result<Self, LocalApiSettingError> {
        let address = endpoint.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
        let address = address.and_then(|address| address.parse::<SocketAddr>().ok());
        let is_here = |address: &SocketAddr| address.ip().to_canonical().is_loopback() && address.port() != 0;
        let address = address.filter(is_here).ok_or(LocalApiSettingError::Endpoint)?;
        if password.is_some_and(|password| password.is_empty() || password.contains(char::is_control)) {
            return Err(LocalApiSettingError::Password);
        }
        let password = password.map(|password| Zeroizing::new(password.to_owned()));
        Ok(Self { place: Place::Tcp { address, password }, time_limit: TIME_LIMIT })
    }

    /// Sets the time limit of a whole request, including connecting. Default 5 s.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sends a `GET` of this path and query, and reads the response, whose body may have at most `max_body_bytes`. Blocks at most
    /// until the time limit.
    ///
    /// # Errors
    /// If there is no valid response. A response with any status is not an error.
    pub fn get(&self, target: &str, max_body_bytes: usize) -> Result<LocalResponse, LocalApiError> {
        let request = self.request(target)?;
        let now = Instant::now();
        // A limit that the clock cannot express is replaced by an hour.
        let end = now.checked_add(self.time_limit).unwrap_or_else(|| now + Duration::from_secs(3600));
        let mut limits = Limits::default();
        limits.max_head_bytes = MAX_HEAD;
        let mut codec = ClientCodec::new(limits);
        codec.send(request, max_body_bytes as u64).map_err(|_| LocalApiError::Target)?;
        let socket = match &self.place {
            #[cfg(unix)]
            Place::Unix(path) => Socket::unix(path, end)?,
            Place::Tcp { address, .. } => Socket::tcp(address, end)?,
        };
        exchange(socket, codec)
    }

    fn request(&self, target: &str) -> Result<Request<Vec<Bytes>>, LocalApiError> {
        let is_visible = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if !target.starts_with('/') || target.starts_with("//") || !target.bytes().all(is_visible) {
            return Err(LocalApiError::Target);
        }
        let mut request = Request::get(target).body(Vec::new()).map_err(|_| LocalApiError::Target)?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_static(WhoIs::HOST));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if let Some(password) = self.password() {
            let encoded = Zeroizing::new(STANDARD.encode(Zeroizing::new(format!(":{password}")).as_bytes()));
            let value = Zeroizing::new(format!("Basic {}", *encoded));
            // Base64 is always a valid header value.
            let mut value = HeaderValue::from_str(&value).map_err(|_| LocalApiError::Target)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    fn password(&self) -> Option<&str> {
        match &self.place {
            #[cfg(unix)]
            Place::Unix(_) => None,
            Place::Tcp { password, .. } => password.as_ref().map(|password| password.as_str()),
        }
    }
}

/// Sends the codec's output, and reads one response.
fn exchange(mut socket: Socket, mut codec: ClientCodec) -> Result<LocalResponse, LocalApiError> {
    while let Some(outbox) = codec.poll_transmit() {
        send(outbox, |slices| socket.write(slices)).map_err(|error| failed(error, LocalApiError::Io))?;
    }
    let (mut status, mut content_type) = (0, None);
    loop {
        match codec.poll_event()? {
            Next::Event(Event::Head(head, _)) => {
                (status, content_type) = (head.status.as_u16(), only_content_type(&head.headers));
            }
            Next::Event(Event::Body(body)) => return Ok(LocalResponse { status, content_type, body }),
            Next::NeedInput => {
                let buffer = codec.read_buf();
                match socket.read(buffer)? {
                    0 => codec.receive_eof(),
                    count => codec.advance(count),
                }
            }
            Next::NeedCommand | Next::Waiting | Next::NeedDrain | Next::Closed => {
                return Err(LocalApiError::NoResponse);
            }
        }
    }
}

/// Returns the content type, if there is exactly one.
fn only_content_type(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().map(str::to_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_port_of_this_host_is_asked_and_the_password_is_not_shown() {
        for endpoint in
            ["http://127.0.0.1:49152", "http://127.0.0.1:49152/", "http://[::1]:1", "http://127.9.9.9:1"]
        {
            assert!(LocalApi::http(endpoint, Some("hunter2")).is_ok(), "{endpoint}");
        }
        for endpoint in [
            "127.0.0.1:49152",
            "https://127.0.0.1:49152",
            "http://127.0.0.1",
            "http://127.0.0.1:0",
            "http://localhost:49152",
            "http://192.0.2.1:49152",
            "http://0.0.0.0:49152",
            "http://user@127.0.0.1:49152",
            "http://127.0.0.1:49152/path",
            "http://127.0.0.1:49152?query",
        ] {
            let error = LocalApi::http(endpoint, None).unwrap_err();
            assert_eq!(error, LocalApiSettingError::Endpoint, "{endpoint}");
        }
        for password in ["", "a\r\nb", "a\0"] {
            let error = LocalApi::http("http://127.0.0.1:1", Some(password)).unwrap_err();
            assert_eq!(error, LocalApiSettingError::Password, "{password:?}");
        }
        let api = LocalApi::http("http://127.0.0.1:1", Some("hunter2")).unwrap();
        let request = api.request("/localapi/v0/whois").unwrap();
        assert!(!format!("{api:?} {request:?}").contains("hunter2"));
        assert!(!format!("{request:?}").contains(&STANDARD.encode(":hunter2")));
    }

    #[test]
    fn a_target_is_a_path_and_cannot_bring_headers() {
        let api = LocalApi::http("http://127.0.0.1:1", None).unwrap();
        for target in
            ["", "localapi", "//host/path", "/a b", "/a\r\nHost: x", "/\u{e9}", "/a#b", "http://h/", "*"]
        {
            assert!(matches!(api.request(target), Err(LocalApiError::Target)), "{target:?}");
        }
        assert!(api.request("/localapi/v0/whois?addr=%5B::1%5D%3A80&proto=tcp").is_ok());
    }
}
