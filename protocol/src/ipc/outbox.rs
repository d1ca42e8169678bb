//! The gather list: small owned headers interleaved with the arrays' own buffers, in the order of the wire.

use super::format::{ALIGNMENT, padding};
use crate::memory::{Account, OverBudget, Reservation};
use arrow_buffer::Buffer;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

/// Arrow buffers shorter than this are copied next to their header: an extra slice costs about as much.
const SHARE_BYTES: usize = 4 << 10;
/// The size of a header segment. Several small messages share one.
const HEADER_SEGMENT_BYTES: usize = 1 << 10;
/// Spent header memory of at most this size is kept for the next message.
const KEEP_BYTES: usize = 16 << 10;

/// The size in bytes from which a reservation in excess of the waiting output is released.
const EXCESS_BYTES: usize = 64 << 10;

const ZEROS: [u8; ALIGNMENT] = [0; ALIGNMENT];

/// Output that waits to be sent.
///
/// It is a [`Buf`]: [`Buf::chunks_vectored`] fills the slices for `write_vectored`, and [`Buf::advance`] drops the bytes that
/// were written. A driver that passes ownership on uses [`Self::pop_segment`] instead.
#[derive(Default)]
pub struct Outbox {
    segments: VecDeque<Segment>,
    /// The number of bytes of the first segment that have been sent.
    sent: usize,
    len: usize,
    spare: Vec<u8>,
    /// At least the size of the waiting output, if a budget is set.
    reservation: Reservation,
}

/// Shows only the length: the content may be confidential.
impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("len", &self.len).finish_non_exhaustive()
    }
}

/// One contiguous run of output.
#[derive(Clone, Debug)]
pub enum Segment {
    /// Headers and small bodies.
    Owned(Vec<u8>),
    /// An array's own memory, shared.
    Shared(Buffer),
    /// Bytes that are encoded once and sent many times.
    Static(Bytes),
}

impl AsRef<[u8]> for Segment {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(buffer) => buffer,
            Self::Static(bytes) => bytes,
        }
    }
}

impl From<Segment> for Bytes {
    fn from(segment: Segment) -> Self {
        match segment {
            Segment::Owned(bytes) => bytes.into(),
            Segment::Shared(buffer) => buffer.into(),
            Segment::Static(bytes) => bytes,
        }
    }
}

impl Outbox {
    /// Creates an outbox whose output is reserved in this account until it is sent.
    pub fn with_account(account: &Account) -> Self {
        Self { reservation: account.empty(), ..Self::default() }
    }

    /// Reserves room for `more` bytes in addition to the waiting ones.
    #[inline]
    pub(crate) fn reserve(&mut self, more: usize) -> Result<(), OverBudget> {
        let needed = self.len.saturating_add(more);
        if needed > self.reservation.bytes() { self.reservation.resize(needed) } else { Ok(()) }
    }

    /// As [`reserve`](Self::reserve), for optional output, which leaves half of the budget to others; or, if `demanded`, for
    /// output that may use all of it. Returns false if there is no room.
    pub(crate) fn reserve_spare(&mut self, more: usize, demanded: bool) -> bool {
        let needed = self.len.saturating_add(more);
        match needed.checked_sub(self.reservation.bytes()) {
            None | Some(0) => true,
            Some(more) if demanded => {
                self.reservation.charge(more);
                true
            }
            Some(more) => self.reservation.grow_into_spare(more),
        }
    }

    /// Counts output that was written without a reservation.
    pub fn charge(&mut self) {
        if let Some(more) = self.len.checked_sub(self.reservation.bytes()) {
            self.reservation.charge(more);
        }
    }

    /// Takes all waiting output, as a gather list with its reservation, which then lasts until the caller drops it.
    pub(crate) fn take_segments(&mut self) -> (Vec<Bytes>, Reservation) {
        let rest = self.reservation.account().empty();
        let reservation = std::mem::replace(&mut self.reservation, rest);
        (std::iter::from_fn(|| self.pop_segment()).collect(), reservation)
    }

    /// Releases the reservation of output that was sent.
    #[inline]
    fn release(&mut self) {
        if self.len == 0 || self.reservation.bytes().saturating_sub(self.len) >= EXCESS_BYTES {
            // Shrinking cannot fail.
            let _ = self.reservation.resize(self.len.min(self.reservation.bytes()));
        }
    }

    /// Returns the number of waiting bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the first segment, or the unsent part of it.
    pub fn pop_segment(&mut self) -> Option<Bytes> {
        let mut bytes = Bytes::from(self.segments.pop_front()?);
        bytes.advance(std::mem::take(&mut self.sent).min(bytes.len()));
        self.len -= bytes.len();
        self.release();
        Some(bytes)
    }

    /// Appends a copy of `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.len += bytes.len();
        self.owned().extend_from_slice(bytes);
    }

    /// Appends the output of `write` to the header segment.
    pub fn write_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let segment = self.owned();
        let before = segment.len();
        write(segment);
        let after = segment.len();
        self.len += after - before;
    }

    /// Appends an array's buffer, shared unless it is small, and zeros up to the format's alignment.
    pub(crate) fn write_buffer(&mut self, buffer: Buffer) {
        let padding = ZEROS.get(..padding(buffer.len())).unwrap_or_default();
        if buffer.is_empty() {
            // An empty segment would be read as the end.
        } else if buffer.len() < SHARE_BYTES {
            self.write_with(|segment| {
                segment.extend_from_slice(&buffer);
                segment.extend_from_slice(padding);
            });
        } else {
            self.len += buffer.len();
            self.segments.push_back(Segment::Shared(buffer));
            if !padding.is_empty() {
                self.write(padding);
            }
        }
    }

    /// Releases memory that is cached for later output.
    pub fn release_memory(&mut self) {
        self.spare = Vec::new();
    }

    /// Appends external bytes, shared unless they are few.
    pub fn write_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARE_BYTES {
            self.write(bytes);
        } else {
            self.len += bytes.len();
            self.segments.push_back(Segment::Static(bytes.clone()));
        }
    }

    /// Returns the segment that headers are appended to.
    fn owned(&mut self) -> &mut Vec<u8> {
        if !matches!(self.segments.back(), Some(Segment::Owned(_))) {
            let mut spare = std::mem::take(&mut self.spare);
            if spare.capacity() == 0 {
                spare.reserve_exact(HEADER_SEGMENT_BYTES);
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

    /// Drops the first `count` bytes, or all of them if there are fewer.
    fn advance(&mut self, count: usize) {
        let mut left = count.min(self.len);
        self.len -= left;
        self.release();
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

    fn filled() -> Outbox {
        let mut outbox = Outbox::default();
        outbox.write(b"head");
        outbox.write_buffer(Buffer::from(vec![7u8; SHARE_BYTES]));
        outbox.write(b"tail");
        outbox
    }

    #[test]
    fn large_buffers_are_shared_and_order_is_kept() {
        let mut outbox = filled();
        assert_eq!(outbox.len(), SHARE_BYTES + 8);
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(outbox.chunks_vectored(&mut slices), 3);
        let all = outbox.copy_to_bytes(outbox.len());
        assert_eq!((&all[..4], &all[SHARE_BYTES + 4..]), (&b"head"[..], &b"tail"[..]));
        assert!(outbox.is_empty());
    }

    #[test]
    fn partial_sends_and_owned_segments_give_the_same_bytes() {
        let whole = filled().copy_to_bytes(SHARE_BYTES + 8);
        let mut outbox = filled();
        outbox.advance(2);
        let mut bytes = b"he".to_vec();
        while let Some(segment) = outbox.pop_segment() {
            bytes.extend_from_slice(&segment);
        }
        assert_eq!(bytes, whole);
        assert!(outbox.is_empty());
    }
}
