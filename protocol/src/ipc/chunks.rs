//! The input of a machine: bytes that arrived and were not consumed, and memory for those still to come.
//!
//! Three ways in. A whole [`Bytes`] is shared, never copied. A driver that reads small messages reads into a
//! scratch buffer. A driver that reads a large body reads straight into the body's own aligned memory, which
//! grows with what has arrived and never with what a peer has merely announced.

use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;
use std::ops::Range;

/// Arrow recommends this alignment for buffers.
const BODY_ALIGNMENT: usize = 64;
/// Memory taken for a body before any of it has arrived.
const FIRST_BODY_BYTES: usize = 1 << 20;
/// A body's memory grows to this many times what has arrived.
const BODY_GROWTH: usize = 4;
/// When the whole body is no more than this many times what has arrived, its memory grows to that: the last step
/// is the costly one, because old and new memory are both there while it copies.
const LAST_GROWTH: usize = 8;
/// Pieces at least this long are read in place, shorter ones by way of the scratch buffer.
const DIRECT_READ_BYTES: usize = 16 << 10;
/// The scratch buffer begins small, so that an idle connection costs little, and grows when reads fill it.
const SCRATCH_BYTES: Range<usize> = 4 << 10..64 << 10;

/// Unconsumed input.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    /// The chunk being consumed.
    front: Bytes,
    /// Chunks after it; empty but for callers that feed faster than they poll.
    rest: VecDeque<Bytes>,
    /// A piece that no chunk holds whole, as far as it has arrived.
    piece: Option<Piece>,
    /// Where a driver reads while no large piece is being assembled.
    scratch: Vec<u8>,
    /// The last `read_buf` lent the piece's memory.
    lent_piece: bool,
    /// The last large piece. Once nobody else holds it, its memory serves the next one of about its size, which
    /// saves the kernel from finding and clearing as many pages again.
    spare: Bytes,
}

impl Chunks {
    /// Bytes that have arrived and were not consumed.
    pub(crate) fn len(&self) -> usize {
        let assembled = self.piece.as_ref().map_or(0, |piece| piece.filled);
        self.front.len() + self.rest.iter().map(Bytes::len).sum::<usize>() + assembled
    }

    /// Takes whole chunks in, sharing them.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if self.front.is_empty() {
            self.front = chunk;
        } else if !chunk.is_empty() {
            self.rest.push_back(chunk);
        }
    }

    /// Memory for the driver to read into; never empty. Call [`Self::advance`] with the number of bytes read.
    pub(crate) fn read_buf(&mut self) -> &mut [u8] {
        self.lent_piece = self.front.is_empty()
            && self.piece.as_ref().is_some_and(|piece| piece.len - piece.filled >= DIRECT_READ_BYTES);
        if let (true, Some(piece)) = (self.lent_piece, &mut self.piece) {
            return piece.space();
        }
        if self.scratch.is_empty() {
            self.scratch = vec![0; SCRATCH_BYTES.start];
        }
        &mut self.scratch
    }

    /// Takes in the first `count` bytes of what [`Self::read_buf`] lent; a larger count is cut to what was lent.
    pub(crate) fn advance(&mut self, count: usize) {
        if let (true, Some(piece)) = (self.lent_piece, &mut self.piece) {
            piece.filled = piece.len.min(piece.filled + count);
            return;
        }
        let Some(read) = self.scratch.get(..count.min(self.scratch.len())) else { return };
        let chunk = Bytes::copy_from_slice(read);
        if count >= self.scratch.len() && self.scratch.len() < SCRATCH_BYTES.end {
            self.scratch = vec![0; SCRATCH_BYTES.end];
        }
        self.push(chunk);
    }

    /// The next `N` bytes, once all of them have arrived: a few, which are copied.
    pub(crate) fn take_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        if let (None, Some(array)) = (&self.piece, self.front.first_chunk::<N>().copied()) {
            self.front.advance(N);
            if self.front.is_empty() {
                self.front = self.rest.pop_front().unwrap_or_default();
            }
            return Some(array);
        }
        self.take(N)?.first_chunk().copied()
    }

    /// The next `len` bytes in one piece, once all of them have arrived.
    pub(crate) fn take(&mut self, len: usize) -> Option<Bytes> {
        if self.piece.is_none() {
            if let Some(whole) = self.split_front(len) {
                return Some(whole);
            }
            if self.front.is_empty() && len < DIRECT_READ_BYTES {
                return None;
            }
            self.piece = Some(Piece::new(len, std::mem::take(&mut self.spare)));
        }
        let piece = self.piece.as_mut()?;
        while piece.filled < piece.len && !self.front.is_empty() {
            let space = piece.space();
            let count = space.len().min(self.front.len());
            if let Some(space) = space.get_mut(..count) {
                self.front.copy_to_slice(space);
            }
            piece.filled += count;
            if self.front.is_empty() {
                self.front = self.rest.pop_front().unwrap_or_default();
            }
        }
        if piece.filled < piece.len {
            return None;
        }
        let Piece { storage, len, .. } = self.piece.take()?;
        let whole = storage.freeze();
        if len >= DIRECT_READ_BYTES {
            self.spare = whole.clone();
        }
        Some(whole.slice(..len))
    }

    /// Gives back memory that is kept for input to come.
    pub(crate) fn release_memory(&mut self) {
        self.spare = Bytes::new();
        self.scratch = Vec::new();
    }

    /// Discards up to `len` bytes and says how many.
    pub(crate) fn skip(&mut self, len: u64) -> u64 {
        let mut skipped = self.piece.take().map_or(0, |piece| piece.filled as u64);
        while skipped < len && !self.front.is_empty() {
            let count = self.front.len().min(usize::try_from(len - skipped).unwrap_or(usize::MAX));
            self.front.advance(count);
            skipped += count as u64;
            if self.front.is_empty() {
                self.front = self.rest.pop_front().unwrap_or_default();
            }
        }
        skipped
    }

    fn split_front(&mut self, len: usize) -> Option<Bytes> {
        if self.front.len() < len {
            return None;
        }
        let whole = self.front.split_to(len);
        if self.front.is_empty() {
            self.front = self.rest.pop_front().unwrap_or_default();
        }
        Some(whole)
    }
}

/// A piece that is being assembled in memory of its own.
#[derive(Debug)]
struct Piece {
    /// Aligned, and at least as long as what has arrived.
    storage: BytesMut,
    filled: usize,
    len: usize,
}

impl Piece {
    fn new(len: usize, spare: Bytes) -> Self {
        let fits = spare.len() >= len && spare.len() / BODY_GROWTH <= len;
        let storage = match spare.try_into_mut() {
            Ok(spare) if fits => spare,
            _ => aligned(len.min(FIRST_BODY_BYTES)),
        };
        Self { storage, filled: 0, len }
    }

    /// The memory behind what has arrived; grown when it is full and the piece is not.
    fn space(&mut self) -> &mut [u8] {
        if self.filled >= self.storage.len() && self.filled < self.len {
            let is_last = self.len <= self.filled.saturating_mul(LAST_GROWTH);
            let len = if is_last { self.len } else { self.filled.saturating_mul(BODY_GROWTH) };
            let mut storage = aligned(len);
            let old = self.storage.get(..self.filled).unwrap_or_default();
            if let Some(new) = storage.get_mut(..old.len()) {
                new.copy_from_slice(old);
            }
            self.storage = storage;
        }
        let end = self.len.min(self.storage.len());
        self.storage.get_mut(self.filled..end).unwrap_or_default()
    }
}

/// Zeroed memory of `len` bytes at an aligned address. The allocator zeroes large blocks by mapping fresh pages, so
/// this writes nothing that is not read over later.
fn aligned(len: usize) -> BytesMut {
    if len < DIRECT_READ_BYTES {
        return BytesMut::zeroed(len);
    }
    let mut storage = BytesMut::zeroed(len + BODY_ALIGNMENT);
    let start = storage.as_ptr().align_offset(BODY_ALIGNMENT).min(BODY_ALIGNMENT);
    storage.advance(start);
    storage.truncate(len);
    storage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_inside_one_chunk_is_shared() {
        let mut chunks = Chunks::default();
        let whole = Bytes::from_static(b"abcdefgh");
        chunks.push(whole.clone());
        assert_eq!(chunks.take(3).unwrap().as_ptr(), whole.as_ptr());
        assert_eq!(chunks.take(5).unwrap().as_ptr(), whole[3..].as_ptr());
        assert_eq!(chunks.take(1), None);
    }

    #[test]
    fn a_piece_over_several_chunks_is_assembled() {
        let mut chunks = Chunks::default();
        chunks.push(Bytes::from_static(b"ab"));
        assert_eq!(chunks.take(5), None);
        chunks.push(Bytes::from_static(b"cd"));
        chunks.push(Bytes::from_static(b"efg"));
        assert_eq!(chunks.take(5).unwrap(), "abcde");
        assert_eq!(chunks.len(), 2);
        assert_eq!(chunks.skip(10), 2);
    }

    #[test]
    fn a_large_piece_is_read_in_place_into_aligned_memory_that_grows_with_arrival() {
        const LEN: usize = 40 << 20;
        let mut chunks = Chunks::default();
        assert_eq!(chunks.take(LEN), None);
        let mut read = 0;
        while read < LEN {
            let space = chunks.read_buf();
            assert!(space.len() <= read.max(FIRST_BODY_BYTES) * LAST_GROWTH);
            let count = space.len().min(700_001);
            space[..count].fill((read % 251) as u8);
            chunks.advance(count);
            read += count;
            assert_eq!(chunks.take(LEN).is_some(), read == LEN);
        }
        assert_eq!(chunks.len(), 0);
    }

    #[test]
    fn a_large_piece_takes_the_memory_of_the_last_one_once_nobody_holds_it() {
        let mut chunks = Chunks::default();
        let mut read = |fill: u8, len: usize| loop {
            if let Some(whole) = chunks.take(len) {
                return whole;
            }
            let space = chunks.read_buf();
            space.fill(fill);
            let count = space.len();
            chunks.advance(count);
        };
        let first = read(1, 100_000);
        let second = read(2, 90_000);
        assert_ne!(second.as_ptr(), first.as_ptr(), "the first piece is still held");
        assert!(first.iter().all(|byte| *byte == 1));
        let second_at = second.as_ptr();
        drop(second);
        assert_eq!(read(3, 80_000).as_ptr(), second_at);
    }

    #[test]
    fn assembled_bodies_are_aligned() {
        let mut chunks = Chunks::default();
        chunks.push(Bytes::from(vec![1; 5000]));
        assert_eq!(chunks.take(100_000), None);
        chunks.push(Bytes::from(vec![2; 95_000]));
        let body = chunks.take(100_000).unwrap();
        assert_eq!(body.as_ptr().align_offset(BODY_ALIGNMENT), 0);
        assert_eq!((body[4999], body[5000]), (1, 2));
    }
}
