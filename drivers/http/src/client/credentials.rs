//! The trait [`Credentials`]: gives requests their credential, and another one when the server refuses it.

use http::HeaderValue;
use std::io::{self, ErrorKind};
use vgi_rpc_protocol::http::unauthorized::Unauthorized;

/// Gives requests their credential. It is called on any thread, and by several at a time: it is where calls wait for a token.
///
/// An error fails the request, as [`FetchError::Credential`](super::FetchError::Credential), and must not show the credential.
pub trait Credentials: Send + Sync {
    /// Returns the value of `Authorization` for the next request to the server at this URL, as the client was
    /// [built](super::HttpOptions::build) with; `None` to send none. A credential must not go to another server than it is for.
    ///
    /// # Errors
    /// When there is no credential, and the request would be of no use without one.
    fn authorization(&self, server: &str) -> io::Result<Option<HeaderValue>>;

    /// Is called when the server at this URL has refused a call, with status 401, and `sent` as the credential. Returns another credential to
    /// send the request with once more; if that is refused too, the call fails. With `None` it fails at once, with this refusal.
    ///
    /// By default a refusal stands.
    ///
    /// # Errors
    /// When a new credential could not be obtained.
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

/// A function that gives a bearer token.
pub(super) struct Bearer<F>(pub(super) F);

impl<F: Fn() -> io::Result<String> + Send + Sync> Credentials for Bearer<F> {
    fn authorization(&self, _: &str) -> io::Result<Option<HeaderValue>> {
        let token = (self.0)()?;
        // The error does not say what the token is.
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let value = value.map_err(|_| {
            let text = "expected a token of printable characters";
            io::Error::new(ErrorKind::InvalidData, text)
        })?;
        Ok(Some(value))
    }
}
