//! The settings of a client.

use crate::Limits;
use crate::http::budget::ACCEPTED_LIMITS;
use crate::http::coding::{CodecSettings, Coding};
use http::HeaderMap;
use std::fmt;
use thiserror::Error;

/// How a client builds requests, and which responses it accepts.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The prefix of all paths: empty, or a path that begins with a slash. Default: empty, the root.
    pub prefix: String,
    /// The limits for Arrow streams in responses.
    pub limits: Limits,
    /// The maximum size of a response in bytes, after content decoding. It is sent to the server and enforced here. Before the
    /// first call, the client checks that the server supports the limit, and makes no call if it does not. `None` for no limit.
    /// Default 256 MiB, like the canonical client.
    pub max_response_bytes: Option<u64>,
    /// The accepted content codings of responses, in order of preference; empty for none. Default [`Coding::ALL`].
    pub codings: Vec<Coding>,
    /// Whether requests are compressed if the server is known to support it. Default true.
    pub compress_requests: bool,
    /// The compression settings of requests. Default as for servers.
    pub codec: CodecSettings,
    /// Headers of every request, for example those that a gateway requires. They do not replace the protocol's own.
    pub headers: HeaderMap,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            limits: Limits::default(),
            max_response_bytes: Some(256 << 20),
            codings: Coding::ALL.to_vec(),
            compress_requests: true,
            codec: CodecSettings::default(),
            headers: HeaderMap::new(),
        }
    }
}

/// Prints only the names of headers: their values may be credentials.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().collect();
        f.debug_struct("Settings")
            .field("prefix", &self.prefix)
            .field("max_response_bytes", &self.max_response_bytes)
            .field("codings", &self.codings)
            .field("compress_requests", &self.compress_requests)
            .field("codec", &self.codec)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

/// An invalid setting of a client.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The prefix is not a path.
    #[error("expected a prefix that is empty or a path that begins with a slash, got {0:?}")]
    Prefix(String),
    /// The header cannot express this limit.
    #[error(
        "expected a response limit from {} to {} bytes, got {limit}",
        ACCEPTED_LIMITS.start(),
        ACCEPTED_LIMITS.end()
    )]
    MaxResponseBytes {
        /// The limit in bytes.
        limit: u64,
    },
}

impl Settings {
    /// Validates the settings, and removes a slash at the end of the prefix.
    pub(super) fn checked(mut self) -> Result<Self, SettingsError> {
        let trimmed = self.prefix.trim_end_matches('/').len();
        self.prefix.truncate(trimmed);
        let is_path = self.prefix.starts_with('/') && !self.prefix.contains(['?', '#']);
        if !self.prefix.is_empty() && (!is_path || self.prefix.parse::<http::Uri>().is_err()) {
            return Err(SettingsError::Prefix(self.prefix));
        }
        if let Some(limit) = self.max_response_bytes {
            // The limit also applies to the decompressed Arrow data of a response.
            self.limits.max_body_bytes = self.limits.max_body_bytes.min(limit);
        }
        match self.max_response_bytes {
            Some(limit) if !ACCEPTED_LIMITS.contains(&limit) => {
                Err(SettingsError::MaxResponseBytes { limit })
            }
            _ => Ok(self),
        }
    }
}
