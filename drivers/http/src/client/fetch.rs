//! Sends a single request to any URL.

use super::address::parse;
use super::deadline::Deadline;
use super::error::FetchError;
use super::pool::Pool;
use super::sender::Sender;
use super::socket::Dialer;
use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Uri};
use std::time::Duration;
use vgi_rpc_socks::SocksProxy;
#[cfg(feature = "tls")]
use vgi_rpc_tls::ClientTls;

/// The limits of a fetch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestOptions {
    /// The maximum size of the response's body in bytes. Default 64 MiB.
    pub max_body_bytes: u64,
    /// How long connecting may take, for each address of a name; `None` for the system's limit. Default 10 s.
    pub connect_timeout: Option<Duration>,
    /// How long the server may send nothing, or read nothing; `None` for no limit. Default 30 s.
    pub read_timeout: Option<Duration>,
    /// How long the whole fetch may take; `None` for no limit. Default 5 min.
    pub timeout: Option<Duration>,
    /// A SOCKS5 proxy to connect through, which resolves host names; `None` to connect directly. Default `None`.
    pub socks_proxy: Option<SocksProxy>,
    /// The authorities to trust; `None` for the web's authorities. Default `None`.
    #[cfg(feature = "tls")]
    pub tls: Option<ClientTls>,
}

impl Default for RequestOptions {
    fn default() -> Self {
        Self {
            max_body_bytes: 64 << 20,
            connect_timeout: Some(Duration::from_secs(10)),
            read_timeout: Some(Duration::from_secs(30)),
            timeout: Some(Duration::from_secs(300)),
            socks_proxy: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

/// Sends a request to `url` on a new connection. The request's own URI is ignored; its method, headers and body are used.
/// Redirects are not followed, and content codings are not decoded.
///
/// # Errors
/// If there is no response. A response with an error status is not an error.
pub fn fetch(
    url: &str,
    mut request: Request<Vec<Bytes>>,
    options: &RequestOptions,
) -> Result<Response<Bytes>, FetchError> {
    let (address, uri) = parse(url)?;
    let dialer = Dialer {
        connect_timeout: options.connect_timeout,
        retries: 0,
        socks_proxy: options.socks_proxy.clone(),
        #[cfg(feature = "tls")]
        tls: options.tls.clone(),
    };
    *request.uri_mut() = path_of(&uri);
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let deadline = Deadline::new(options.timeout, options.read_timeout);
    Sender { address, dialer, pool: Pool::new(0) }.send(request, options.max_body_bytes, deadline)
}

/// Returns the path and the query.
fn path_of(uri: &Uri) -> Uri {
    uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()))
}
