//! A request of an application's own and its whole response, for what stores and token services want beside objects.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use std::fmt;

/// A request, for [`HttpFetcher::exchange`](crate::HttpFetcher::exchange).
#[derive(Clone, Default)]
pub struct HttpRequest {
    /// `GET` unless another one is set.
    pub method: Method,
    /// Headers, beside `Host`, `User-Agent` and the length of the body, which are added.
    pub headers: HeaderMap,
    /// The body, as a gather list, which is sent without being copied.
    pub body: Vec<Bytes>,
    /// Most bytes of a response's body. One that is longer fails the exchange. 1 MiB unless another limit is set.
    pub max_response_bytes: Option<u64>,
}

/// A response, whatever its status.
#[derive(Clone)]
pub struct HttpResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body. What has taken it from here has to wipe it, if it is a secret.
    pub body: Bytes,
}

impl HttpRequest {
    /// A request without headers and without a body.
    pub fn new(method: Method) -> Self {
        Self { method, ..Self::default() }
    }

    /// Most bytes of the response's body.
    pub(crate) fn max_response_bytes(&self) -> u64 {
        self.max_response_bytes.unwrap_or(1 << 20)
    }
}

impl fmt::Debug for HttpRequest {
    /// Leaves the values of headers and the body out: either may be a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpResponse {
    /// Leaves the values of headers and the body out: either may be a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse").field("status", &self.status).finish_non_exhaustive()
    }
}
