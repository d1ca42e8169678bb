//! Questions that a driver answers with an HTTP request: loading a JSON document, and posting a form.

use crate::effect::Answer;
use bytes::Bytes;
use std::borrow::Cow;

/// A question to the driver: load the JSON document at a URL. The driver completes it with the document as a value of
/// [`Bytes`], or passes it as data.
///
/// The request has no credentials. The driver should not follow redirects, and should use only HTTPS: the response decides
/// which callers are accepted. A failure is [`FailureReason::Unavailable`](crate::effect::FailureReason::Unavailable).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadDocument {
    /// The URL of the document.
    pub url: String,
    /// The maximum size of the document, in bytes. A larger one is a failure.
    pub max_bytes: usize,
}

/// A question to the driver: send a form to a URL by `POST`, as `application/x-www-form-urlencoded`. The driver completes it
/// with a value of [`FormResponse`], whatever its status.
///
/// The rules of [`LoadDocument`] for redirects, HTTPS and failures apply. The form contains secrets: do not log or store it,
/// and send it only once.
#[cfg(feature = "oauth-pkce")]
#[derive(Clone)]
#[non_exhaustive]
pub struct PostForm {
    /// The URL to send it to.
    pub url: String,
    /// The form. This copy of it is erased when it is dropped.
    pub form: zeroize::Zeroizing<String>,
    /// The maximum size of the response body, in bytes. A larger one is a failure, or is truncated if its status is an error.
    pub max_bytes: usize,
}

#[cfg(feature = "oauth-pkce")]
impl PostForm {
    pub(crate) fn new(url: impl Into<String>, form: String, max_bytes: usize) -> Self {
        Self { url: url.into(), form: zeroize::Zeroizing::new(form), max_bytes }
    }
}

#[cfg(feature = "oauth-pkce")]
impl std::fmt::Debug for PostForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostForm")
            .field("url", &self.url)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

/// The response to a [`PostForm`].
#[cfg(feature = "oauth-pkce")]
#[derive(Clone)]
pub struct FormResponse {
    /// Its HTTP status.
    pub status: u16,
    /// Its `Content-Type`, if it has one.
    pub content_type: Option<String>,
    /// Its body, which contains tokens.
    pub body: Bytes,
}

#[cfg(feature = "oauth-pkce")]
impl std::fmt::Debug for FormResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FormResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Returns the URL of an issuer's metadata. OpenID Connect Discovery 1.0, section 4.
pub(crate) fn openid_configuration(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// Returns the document of an answer, which may be in several pieces.
pub(crate) fn whole(answer: &Answer, max_bytes: usize) -> Result<Cow<'_, [u8]>, String> {
    let pieces = answer.value::<Bytes>().map_or_else(|| answer.data(), std::slice::from_ref);
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    if length > max_bytes {
        return Err(format!("expected at most {max_bytes} bytes, got {length}"));
    }
    Ok(match pieces {
        [piece] => Cow::Borrowed(piece),
        pieces => Cow::Owned(pieces.concat()),
    })
}
