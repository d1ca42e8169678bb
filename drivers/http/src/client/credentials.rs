//! The trait [`Credentials`]: provides the credential of requests, and another one if the server refuses it.

use http::HeaderValue;
use std::io::{self, ErrorKind};
use vgi_rpc_protocol::http::unauthorized::Unauthorized;

/// Provides the credential of requests. It is called on any thread, and concurrently: calls wait in it for a token.
///
/// An error fails the request, as [`FetchError::Credential`](super::FetchError::Credential), and must not include the credential.
pub trait Credentials: Send + Sync {
    /// Returns the value of `Authorization` for the next request to the server at this URL, with which the client was
    /// [built](super::HttpOptions::build); `None` to send none. A credential must not be sent to any server but the one it is
    /// for.
    ///
    /// # Errors
    /// If there is no credential, and the request would be useless without one.
    fn authorization(&self, server: &str) -> io::Result<Option<HeaderValue>>;

    /// Called when the server at this URL has refused a call with status 401, and with `sent` as the credential. Returns another
    /// credential with which the request is sent once more; if that is refused too, the call fails. With `None` the call fails at
    /// once with this refusal.
    ///
    /// The default returns `None`.
    ///
    /// # Errors
    /// If a new credential could not be obtained.
    fn refused(
        &self,
        server: &str,
        sent: Option<&HeaderValue>,
        refusal: &Unauthorized,
    ) -> io::Result<Option<HeaderValue>> {
        let _ = (server, sent, refusal);
        Ok(None)
    }
}

/// A function that returns a bearer token.
pub(super) struct Bearer<F>(pub(super) F);

impl<F: Fn() -> io::Result<String> + Send + Sync> Credentials for Bearer<F> {
    fn authorization(&self, _: &str) -> io::Result<Option<HeaderValue>> {
        let token = (self.0)()?;
        // The error does not include the token.
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let value = value.map_err(|_| {
            let text = "expected a token of printable characters";
            io::Error::new(ErrorKind::InvalidData, text)
        })?;
        Ok(Some(value))
    }
}
