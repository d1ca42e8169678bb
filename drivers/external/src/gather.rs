//! The body of a `PUT`: a gather list that is sent without copying, with a known length.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// The maximum number of bytes that are passed to the connection at a time, so that progress is visible.
const FRAME_BYTES: usize = 256 << 10;

/// A body of segments, which are shared and not copied. An empty one is the body of a `GET`.
#[derive(Default)]
pub(crate) struct Gather {
    segments: std::vec::IntoIter<Bytes>,
    current: Bytes,
    left: u64,
    taken: Taken,
}

/// Counts the bytes of a body that were passed to the connection.
#[derive(Clone, Default)]
pub(crate) struct Taken(Arc<AtomicU64>);

impl Taken {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gather {
    pub(crate) fn new(segments: Vec<Bytes>) -> Self {
        let left = segments.iter().map(|segment| segment.len() as u64).sum();
        Self { segments: segments.into_iter(), current: Bytes::new(), left, taken: Taken::default() }
    }

    pub(crate) const fn len(&self) -> u64 {
        self.left
    }

    pub(crate) fn taken(&self) -> Taken {
        self.taken.clone()
    }
}

impl Body for Gather {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while self.current.is_empty() {
            match self.segments.next() {
                Some(segment) => self.current = segment,
                None => return Poll::Ready(None),
            }
        }
        let count = self.current.len().min(FRAME_BYTES);
        let data = self.current.split_to(count);
        self.left -= count as u64;
        self.taken.0.fetch_add(count as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
