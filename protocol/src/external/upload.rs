//! The effect that uploads a request that is too large for its server. WIRE_PROTOCOL 10, "Upload URL generation".

use super::fetch::FetchOptions;
use crate::location::Location;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// Put the body of a request to a URL that the server has issued, and complete the effect with
/// [`Completion::Done`](crate::effect::Completion::Done).
///
/// The driver sends it in one `PUT` request of a known length, with the content type `application/vnd.apache.arrow.stream` and no
/// content coding. It applies the [policy](FetchOptions::policy) to each address that it connects to, and does not follow
/// redirects.
#[derive(Clone)]
pub struct Upload(Arc<Inner>);

struct Inner {
    url: Location,
    segments: Vec<Bytes>,
    options: FetchOptions,
}

impl Upload {
    /// Creates an upload to a URL that the policy has already allowed.
    pub fn new(url: Location, segments: Vec<Bytes>, options: FetchOptions) -> Self {
        Self(Arc::new(Inner { url, segments, options }))
    }

    /// Returns the target URL. Its `Debug` output shows only the path.
    pub fn url(&self) -> &Location {
        &self.0.url
    }

    /// Returns the content, as a gather list.
    pub fn segments(&self) -> &[Bytes] {
        &self.0.segments
    }

    /// Returns the size of the content.
    pub fn len(&self) -> u64 {
        self.0.segments.iter().map(|segment| segment.len() as u64).sum()
    }

    /// Returns whether there is nothing to upload.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns which addresses may be connected to.
    pub fn options(&self) -> &FetchOptions {
        &self.0.options
    }
}

impl fmt::Debug for Upload {
    /// Omits the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("url", self.url()).field("len", &self.len()).finish_non_exhaustive()
    }
}
