//! Buffers received bytes that have not been consumed, and the scratch memory into which a driver reads.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

/// Scratch memory starts small, so that an idle connection costs little, and grows when reads fill it.
const SCRATCH_BYTES: Range<usize> = 4 << 10..64 << 10;

/// Unconsumed input: first that in the scratch memory, then whole chunks.
#[derive(Default)]
pub(super) struct Input {
    scratch: Vec<u8>,
    /// The part of the scratch memory with unconsumed bytes.
    held: Range<usize>,
    /// Chunks that were received whole. While there are any, the scratch memory is not lent.
    chunks: VecDeque<Bytes>,
    /// The last read filled the scratch memory completely.
    was_filled: bool,
}

/// Prints lengths only: the bytes include credentials.
impl fmt::Debug for Input {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chunks: usize = self.chunks.iter().map(Bytes::len).sum();
        formatter.debug_struct("Input").field("held", &self.held.len()).field("chunks", &chunks).finish()
    }
}

impl Input {
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.chunks.is_empty()
    }

    /// Appends a whole chunk without copying it.
    pub(super) fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.chunks.push_back(chunk);
        }
    }

    /// Returns memory to read into without allocating; empty if there is none.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if !self.chunks.is_empty() {
            return &mut [];
        }
        if self.held.is_empty() {
            self.held = 0..0;
            let wanted = if self.was_filled { SCRATCH_BYTES.end } else { SCRATCH_BYTES.start };
            if self.scratch.len() < wanted {
                self.scratch = vec![0; wanted];
            }
        }
        self.scratch.get_mut(self.held.end..).unwrap_or_default()
    }

    /// Like [`Self::space`], but allocates memory while less than `max` bytes are buffered.
    pub(super) fn space_for(&mut self, max: usize) -> &mut [u8] {
        if self.chunks.is_empty() && !self.held.is_empty() && self.held.end == self.scratch.len() {
            let room = max.saturating_sub(self.held.len()).min(self.held.len());
            self.make_room(room);
        }
        self.space()
    }

    /// Accepts the first `count` bytes of the lent memory; a larger count is limited to its length.
    pub(super) fn advance(&mut self, count: usize) {
        if self.chunks.is_empty() {
            self.held.end = self.scratch.len().min(self.held.end.saturating_add(count));
            self.was_filled |= self.held.end == self.scratch.len() && self.held.start == 0;
        }
    }

    /// Moves chunks into the scratch memory until it has `max` bytes, and returns all its bytes.
    pub(super) fn gather(&mut self, max: usize) -> &[u8] {
        while let Some(mut chunk) = self.chunks.pop_front() {
            let count = max.saturating_sub(self.held.len()).min(chunk.len());
            self.make_room(count);
            let end = self.held.end + count;
            if let Some(room) = self.scratch.get_mut(self.held.end..end) {
                chunk.copy_to_slice(room);
                self.held.end = end;
            }
            if !chunk.is_empty() {
                self.chunks.push_front(chunk);
                break;
            }
        }
        self.scratch.get(self.held.clone()).unwrap_or_default()
    }

    /// Returns the next contiguous bytes; empty if there are none.
    pub(super) fn front(&self) -> &[u8] {
        match self.chunks.front() {
            Some(chunk) if self.held.is_empty() => chunk,
            _ => self.scratch.get(self.held.clone()).unwrap_or_default(),
        }
    }

    /// Drops the first `count` bytes of [`Self::front`].
    pub(super) fn consume(&mut self, count: usize) {
        if !self.held.is_empty() {
            self.held.start = self.held.end.min(self.held.start + count);
        } else if let Some(chunk) = self.chunks.front_mut() {
            chunk.advance(count.min(chunk.len()));
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
        }
    }

    /// Returns the next chunk, if no scratch bytes precede it.
    pub(super) fn front_chunk(&self) -> Option<&Bytes> {
        self.chunks.front().filter(|_| self.held.is_empty())
    }

    /// Splits off the first `count` bytes of [`Self::front_chunk`] without copying them.
    pub(super) fn split_chunk(&mut self, count: usize) -> Bytes {
        let Some(chunk) = self.chunks.front_mut() else { return Bytes::new() };
        let taken = chunk.split_to(count.min(chunk.len()));
        if chunk.is_empty() {
            self.chunks.pop_front();
        }
        taken
    }

    /// Drops up to `count` bytes and returns how many were dropped.
    pub(super) fn skip(&mut self, count: u64) -> u64 {
        let mut skipped = 0;
        while skipped < count && !self.is_empty() {
            let portion = self.front().len().min(usize::try_from(count - skipped).unwrap_or(usize::MAX));
            self.consume(portion);
            skipped += portion as u64;
        }
        skipped
    }

    /// Frees scratch memory if it is empty.
    pub(super) fn release_memory(&mut self) {
        if self.held.is_empty() {
            self.held = 0..0;
            self.scratch = Vec::new();
            self.was_filled = false;
        }
    }

    /// Makes room for `count` bytes after the buffered ones.
    fn make_room(&mut self, count: usize) {
        if self.scratch.len() - self.held.end >= count {
            return;
        }
        self.scratch.copy_within(self.held.clone(), 0);
        self.held = 0..self.held.len();
        let wanted = self.held.end.saturating_add(count);
        if self.scratch.len() < wanted {
            self.scratch.resize(wanted.next_power_of_two().max(SCRATCH_BYTES.start), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_whichever_way_bytes_come() {
        let mut input = Input::default();
        input.space()[..3].copy_from_slice(b"abc");
        input.advance(3);
        input.push(Bytes::from_static(b"def"));
        assert!(input.space().is_empty(), "bytes read now would overtake the chunk");
        input.advance(5);
        assert_eq!(input.front(), b"abc");
        input.consume(2);
        assert_eq!(input.gather(3), b"cde");
        assert_eq!(input.gather(10), b"cdef");
        assert_eq!((input.skip(3), input.front()), (3, &b"f"[..]));
        assert_eq!((input.skip(3), input.is_empty()), (1, true));
    }

    #[test]
    fn scratch_memory_grows_to_what_may_be_held_and_no_further() {
        let mut input = Input::default();
        let mut held = 0;
        loop {
            let count = input.space_for(10_000).len();
            if count == 0 {
                break;
            }
            input.advance(count);
            held += count;
        }
        assert!((10_000..20_000).contains(&held), "{held}");
        assert!(input.space().is_empty());
        assert!(!format!("{input:?}").contains("[0"));
    }
}
