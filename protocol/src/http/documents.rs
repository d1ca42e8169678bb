//! Questions to drivers about other servers: loading a JSON document, and posting a form.

use crate::effect::Answer;
use bytes::Bytes;
use std::borrow::Cow;

/// What a driver is asked: the JSON document at a URL. It completes the question with the document as a value of
/// [`Bytes`], or gives it as data.
///
/// The request has no credentials. Redirects should not be followed, nor anything but HTTPS requested: whoever answers decides who
/// is let in. A failure is [`FailureReason::Unavailable`](crate::effect::FailureReason::Unavailable).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadDocument {
    /// Where the document is.
    pub url: String,
    /// The most bytes that it may have. A longer one is a failure.
    pub max_bytes: usize,
}

/// What a driver is asked: to send a form to a URL by `POST`, as `application/x-www-form-urlencoded`. It completes the question with a
/// value of [`FormAnswer`], whatever its status.
///
/// What is said of [`LoadDocument`] on redirects, on HTTPS and on failures holds here too. The form has secrets in it: it is
/// neither logged nor kept, and is sent once.
#[cfg(feature = "oauth-pkce")]
#[derive(Clone)]
#[non_exhaustive]
pub struct PostForm {
    /// Where it is sent.
    pub url: String,
    /// The form. This copy of it is erased when it is dropped.
    pub form: zeroize::Zeroizing<String>,
    /// The most bytes that the answer may have. A longer one is a failure, or is cut if its status is one.
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

/// The answer to a [`PostForm`].
#[cfg(feature = "oauth-pkce")]
#[derive(Clone)]
pub struct FormAnswer {
    /// Its HTTP status.
    pub status: u16,
    /// Its `Content-Type`, if it has one.
    pub content_type: Option<String>,
    /// Its body. It has tokens in it.
    pub body: Bytes,
}

#[cfg(feature = "oauth-pkce")]
impl std::fmt::Debug for FormAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FormAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Where an issuer says what it is. OpenID Connect Discovery 1.0, section 4.
pub(crate) fn openid_configuration(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// The document of an answer, which may have come in pieces.
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
