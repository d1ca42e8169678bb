//! The parameters of a signed URL.

use super::endpoint::Endpoint;
use std::fmt;
use std::time::{Duration, SystemTime};

/// The longest validity of a signed URL.
pub const MAX_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The request that a signed URL allows: any number of times, from [`signed_at`](Self::signed_at) until it expires.
#[derive(Clone)]
#[non_exhaustive]
pub struct UrlToSign<'a> {
    /// `GET`, `PUT`, `HEAD`, `DELETE` or `POST`.
    pub method: &'a str,
    /// The server.
    pub endpoint: &'a Endpoint,
    /// The path, not percent-encoded. It begins with a slash.
    pub path: String,
    /// Query parameters in addition to those of the signature, not percent-encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// Headers that the request must have, with these values. Other headers whose names begin with `x-goog-` are refused; all
    /// others are allowed, including `Content-Type`. `Host` is always signed, and must not be listed here.
    pub headers: &'a [(&'a str, &'a str)],
    /// When the URL is signed. Servers tolerate clocks that differ by a few minutes.
    pub signed_at: SystemTime,
    /// How long the URL is valid: 1 second to [`MAX_LIFETIME`]. Fractions of a second are dropped.
    pub lifetime: Duration,
}

impl<'a> UrlToSign<'a> {
    /// Creates the parameters of an object's URL, such as `https://storage.googleapis.com/BUCKET/OBJECT`, without further headers
    /// and query parameters.
    pub fn new(method: &'a str, endpoint: &'a Endpoint, bucket: &str, object: &str) -> Self {
        Self {
            method,
            endpoint,
            path: format!("/{bucket}/{object}"),
            query: &[],
            headers: &[],
            signed_at: SystemTime::now(),
            lifetime: Duration::from_secs(3600),
        }
    }
}

impl fmt::Debug for UrlToSign<'_> {
    /// Omits the values of headers and of the query, which may be keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("UrlToSign")
            .field("method", &self.method)
            .field("endpoint", &self.endpoint)
            .field("path", &self.path)
            .field("headers", &headers)
            .field("signed_at", &self.signed_at)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
