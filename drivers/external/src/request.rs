//! A request and its whole response, for requests to stores and token services other than transfers of objects.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use std::fmt;

/// A request, for [`HttpFetcher::exchange`](crate::HttpFetcher::exchange).
#[derive(Clone, Default)]
pub struct HttpRequest {
    /// The method. Default `GET`.
    pub method: Method,
    /// Headers, in addition to `Host`, `User-Agent` and the length of the body, which are set automatically.
    pub headers: HeaderMap,
    /// The body, as a gather list, which is sent without copying.
    pub body: Vec<Bytes>,
    /// The maximum size of the response's body. If it is longer, the exchange fails. Default 1 MiB.
    pub max_response_bytes: Option<u64>,
}

/// A response, whatever its status.
#[derive(Clone)]
pub struct HttpResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body. If it is a secret, the code that takes it must wipe it.
    pub body: Bytes,
}

impl HttpRequest {
    /// Creates a request without headers and body.
    pub fn new(method: Method) -> Self {
        Self { method, ..Self::default() }
    }

    /// Returns the maximum size of the response's body.
    pub(crate) fn max_response_bytes(&self) -> u64 {
        self.max_response_bytes.unwrap_or(1 << 20)
    }
}

impl fmt::Debug for HttpRequest {
    /// Omits the values of headers and the body, which may be credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpResponse {
    /// Omits the values of headers and the body, which may be credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse").field("status", &self.status).finish_non_exhaustive()
    }
}
