//! What a URL is signed for.

use super::endpoint::Endpoint;
use std::fmt;
use std::time::{Duration, SystemTime};

/// The longest time that a signed URL may be used for.
pub const MAX_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// One request that a signed URL allows: any number of times, from [`signed_at`](Self::signed_at) until it expires.
#[derive(Clone)]
#[non_exhaustive]
pub struct UrlToSign<'a> {
    /// `GET`, `PUT`, `HEAD`, `DELETE` or `POST`.
    pub method: &'a str,
    /// The server.
    pub endpoint: &'a Endpoint,
    /// The path, not percent-encoded, which begins with a slash.
    pub path: String,
    /// Parameters of the query besides those of the signature, not percent-encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// Headers that the request must have, with these values. Of the headers that a request may have besides, those
    /// whose names begin with `x-goog-` are refused, and all others are free, `Content-Type` among them. `Host` is
    /// always signed, and not named here.
    pub headers: &'a [(&'a str, &'a str)],
    /// When the URL is signed. Servers allow for clocks that are a few minutes apart.
    pub signed_at: SystemTime,
    /// How long the URL may be used: 1 second to [`MAX_LIFETIME`]. Fractions of a second are dropped.
    pub lifetime: Duration,
}

impl<'a> UrlToSign<'a> {
    /// A URL of an object, as `https://storage.googleapis.com/BUCKET/OBJECT`, without further headers and parameters.
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
    /// Leaves the values of headers and of the query out, which may be keys.
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
