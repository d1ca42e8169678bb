//! The object and headers of a `PUT`.

use bytes::Bytes;
use http::HeaderValue;
use std::fmt;
use vgi_rpc_protocol::content_coding::Coding;
use vgi_rpc_protocol::external::Object;

/// An object to store.
#[derive(Clone, Default)]
pub struct Put {
    /// The bytes to store, as a gather list, which is sent without copying.
    pub segments: Vec<Bytes>,
    /// Its `Content-Type`. A URL that was signed for one accepts no other.
    pub content_type: Option<HeaderValue>,
    /// Its `Content-Encoding`.
    pub coding: Option<Coding>,
}

impl From<&Object> for Put {
    /// Has no content type.
    fn from(object: &Object) -> Self {
        Self { segments: object.segments.clone(), content_type: None, coding: object.coding }
    }
}

impl fmt::Debug for Put {
    /// Omits the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put")
            .field("segments", &self.segments.len())
            .field("content_type", &self.content_type)
            .field("coding", &self.coding)
            .finish_non_exhaustive()
    }
}
