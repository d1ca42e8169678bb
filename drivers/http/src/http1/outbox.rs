//! The gather list: heads interleaved with the bodies' own memory, in the order of the wire.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

/// Body segments shorter than this are copied behind their head: one slice more costs about as much.
const SHARE_BYTES: usize = 4 << 10;
/// Memory of a head's segment; several small messages share one.
const HEAD_SEGMENT_BYTES: usize = 512;
/// Spent head memory of at most this size is kept for the next message.
const KEEP_BYTES: usize = 16 << 10;

/// Output that waits to be sent.
///
/// It is a [`Buf`]: [`Buf::chunks_vectored`] fills the slices for `write_vectored`, [`Buf::advance`] drops what
/// was written. A driver that passes ownership on takes [`Self::pop_segment`] instead.
#[derive(Default)]
pub struct Outbox {
    segments: VecDeque<Segment>,
    /// Bytes of the first segment that have been sent.
    sent: usize,
    len: usize,
    spare: Vec<u8>,
}

enum Segment {
    /// Heads and small bodies.
    Owned(Vec<u8>),
    /// A body's own memory.
    Shared(Bytes),
}

/// Prints lengths only: the bytes carry credentials.
impl fmt::Debug for Outbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Outbox").field("len", &self.len).finish_non_exhaustive()
    }
}

impl AsRef<[u8]> for Segment {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Outbox {
    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the first segment out, or what of it was not sent.
    pub fn pop_segment(&mut self) -> Option<Bytes> {
        let mut bytes = match self.segments.pop_front()? {
            Segment::Owned(bytes) => bytes.into(),
            Segment::Shared(bytes) => bytes,
        };
        bytes.advance(std::mem::take(&mut self.sent).min(bytes.len()));
        self.len -= bytes.len();
        Some(bytes)
    }

    /// Appends what `write` puts at the end of the head segment.
    pub(super) fn write_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let segment = self.owned();
        let before = segment.len();
        write(segment);
        let after = segment.len();
        self.len += after - before;
    }

    /// Appends a body's segment, shared unless it is short.
    pub(super) fn write_bytes(&mut self, bytes: Bytes) {
        if bytes.len() < SHARE_BYTES {
            self.write_with(|segment| segment.extend_from_slice(&bytes));
        } else {
            self.len += bytes.len();
            self.segments.push_back(Segment::Shared(bytes));
        }
    }

    /// Gives back memory that is kept for output to come.
    pub(super) fn release_memory(&mut self) {
        self.spare = Vec::new();
    }

    /// The segment that heads are appended to.
    fn owned(&mut self) -> &mut Vec<u8> {
        if !matches!(self.segments.back(), Some(Segment::Owned(_))) {
            let mut spare = std::mem::take(&mut self.spare);
            if spare.capacity() == 0 {
                spare.reserve_exact(HEAD_SEGMENT_BYTES);
            }
            self.segments.push_back(Segment::Owned(spare));
        }
        match self.segments.back_mut() {
            Some(Segment::Owned(bytes)) => bytes,
            _ => &mut self.spare,
        }
    }
}

impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.segments.front().and_then(|first| first.as_ref().get(self.sent..)).unwrap_or_default()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut sent = self.sent;
        let mut filled = 0;
        for (slot, segment) in slices.iter_mut().zip(&self.segments) {
            *slot = IoSlice::new(segment.as_ref().get(std::mem::take(&mut sent)..).unwrap_or_default());
            filled += 1;
        }
        filled
    }

    /// Drops the first `count` bytes; all of them when there are fewer.
    fn advance(&mut self, count: usize) {
        let mut left = count.min(self.len);
        self.len -= left;
        while let Some(first) = self.segments.front() {
            let rest = first.as_ref().len() - self.sent;
            if left < rest {
                self.sent += left;
                return;
            }
            left -= rest;
            self.sent = 0;
            if let Some(Segment::Owned(mut bytes)) = self.segments.pop_front()
                && bytes.capacity() <= KEEP_BYTES
            {
                bytes.clear();
                self.spare = bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(body: &Bytes) -> Outbox {
        let mut outbox = Outbox::default();
        outbox.write_with(|head| head.extend_from_slice(b"head"));
        outbox.write_bytes(Bytes::from_static(b"small"));
        outbox.write_bytes(body.clone());
        outbox.write_bytes(Bytes::new());
        outbox.write_with(|head| head.extend_from_slice(b"next"));
        outbox
    }

    #[test]
    fn large_bodies_are_shared_and_order_is_kept() {
        let body = Bytes::from(vec![7; SHARE_BYTES]);
        let mut outbox = filled(&body);
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(outbox.chunks_vectored(&mut slices), 3);
        assert_eq!(slices[1].as_ptr(), body.as_ptr());
        let len = outbox.len();
        let all = outbox.copy_to_bytes(len);
        assert_eq!((&all[..9], &all[SHARE_BYTES + 9..]), (&b"headsmall"[..], &b"next"[..]));
        assert!(outbox.is_empty());
    }

    #[test]
    fn partial_sends_and_owned_segments_give_the_same_bytes() {
        let body = Bytes::from(vec![7; SHARE_BYTES]);
        let mut outbox = filled(&body);
        let len = outbox.len();
        let whole = filled(&body).copy_to_bytes(len);
        outbox.advance(11);
        let mut bytes = whole[..11].to_vec();
        while let Some(segment) = outbox.pop_segment() {
            bytes.extend_from_slice(&segment);
        }
        assert_eq!(bytes, whole);
        assert!(outbox.is_empty());
    }
}
