//! The input of a machine: bytes that were received and not consumed, and memory to receive into.
//!
//! There are three ways in. A whole [`Bytes`] is shared, never copied. A driver that reads small messages reads into a scratch
//! buffer. A driver that reads a large body reads straight into the body's own aligned memory, which grows with the bytes
//! received and never with the announced length.

use crate::memory::{Account, Assembly, Growth, OverBudget, Spare};
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

/// Pieces of at least this length are read in place, shorter ones through the scratch buffer.
const DIRECT_READ_BYTES: usize = 16 << 10;
/// The scratch buffer begins small, so that an idle connection uses little memory, and grows when reads fill it.
const SCRATCH_BYTES: Range<usize> = 4 << 10..64 << 10;

/// Unconsumed input.
#[derive(Default)]
pub(crate) struct Chunks {
    /// The chunk being consumed.
    front: Bytes,
    /// Later chunks. Empty unless the caller feeds faster than it polls.
    rest: VecDeque<Bytes>,
    /// A piece that spans chunks, as far as it has been received.
    piece: Option<Piece>,
    /// The buffer for reads while no large piece is being assembled.
    scratch: Vec<u8>,
    /// Whether the last `read_buf` returned the piece's memory.
    lent_piece: bool,
    /// Memory of the last large piece.
    spare: Spare,
    account: Account,
    growth: Growth,
}

/// A piece that is being assembled in its own memory.
#[derive(Debug)]
struct Piece {
    assembly: Assembly,
    len: usize,
}

impl fmt::Debug for Chunks {
    /// Omits the bytes, which may contain URLs and tokens, even in memory from earlier reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks")
            .field("front_bytes", &self.front.len())
            .field("rest", &self.rest.len())
            .field("piece", &self.piece)
            .finish_non_exhaustive()
    }
}

impl Piece {
    fn missing(&self) -> usize {
        self.len.saturating_sub(self.assembly.filled())
    }
}

impl Chunks {
    pub(crate) fn new(account: Account) -> Self {
        Self { account, ..Self::default() }
    }

    /// Sets how memory for large pieces grows.
    pub(crate) fn grow_by(&mut self, growth: Growth) {
        self.growth = growth;
    }

    /// Returns whether all received bytes were consumed.
    pub(crate) fn is_empty(&self) -> bool {
        // Empty chunks are not kept, and a piece is begun when some of it has been received, unless it is large.
        self.front.is_empty() && self.piece.as_ref().is_none_or(|piece| piece.assembly.filled() == 0)
    }

    /// Receives a whole chunk without copying.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if self.front.is_empty() {
            self.front = chunk;
        } else if !chunk.is_empty() {
            self.rest.push_back(chunk);
        }
    }

    /// Returns memory for the driver to read into, never empty. Call [`Self::advance`] with the number of bytes read.
    pub(crate) fn read_buf(&mut self) -> &mut [u8] {
        self.lent_piece = self.front.is_empty()
            && self.piece.as_mut().is_some_and(|piece| {
                piece.missing() >= DIRECT_READ_BYTES && !piece.assembly.space().is_empty()
            });
        if let (true, Some(piece)) = (self.lent_piece, &mut self.piece) {
            let missing = piece.missing();
            let space = piece.assembly.space();
            let count = space.len().min(missing);
            return space.get_mut(..count).unwrap_or_default();
        }
        if self.scratch.is_empty() {
            self.scratch = vec![0; SCRATCH_BYTES.start];
        }
        &mut self.scratch
    }

    /// Receives the first `count` bytes of the memory that [`Self::read_buf`] returned. A larger count is reduced to its length.
    pub(crate) fn advance(&mut self, count: usize) {
        if let (true, Some(piece)) = (self.lent_piece, &mut self.piece) {
            let missing = piece.missing();
            piece.assembly.advance(count.min(missing));
            return;
        }
        let Some(read) = self.scratch.get(..count.min(self.scratch.len())) else { return };
        let chunk = self.account.copy(read);
        if count >= self.scratch.len() && self.scratch.len() < SCRATCH_BYTES.end {
            self.scratch = vec![0; SCRATCH_BYTES.end];
        }
        self.push(chunk);
    }

    /// Takes the next `N` bytes, once all of them have been received. They are copied.
    #[inline]
    pub(crate) fn take_array<const N: usize>(&mut self) -> Result<Option<[u8; N]>, OverBudget> {
        if let (None, Some(array)) = (&self.piece, self.front.first_chunk::<N>().copied()) {
            self.front.advance(N);
            self.next_chunk();
            return Ok(Some(array));
        }
        Ok(self.take(N)?.and_then(|bytes| bytes.first_chunk().copied()))
    }

    /// Takes the next `len` bytes in one piece, once all of them have been received.
    ///
    /// # Errors
    /// If the budget has no room for the piece. The received part is kept until it is [skipped](Self::skip).
    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<Option<Bytes>, OverBudget> {
        if self.piece.is_none() && self.front.len() >= len {
            let whole = self.front.split_to(len);
            self.next_chunk();
            return Ok(Some(whole));
        }
        self.assemble(len)
    }

    /// As [`Self::take`], for a piece that the first chunk does not contain completely.
    fn assemble(&mut self, len: usize) -> Result<Option<Bytes>, OverBudget> {
        if self.piece.is_none() {
            if self.front.is_empty() && len < DIRECT_READ_BYTES {
                return Ok(None);
            }
            let spare = std::mem::take(&mut self.spare);
            self.piece = Some(Piece { assembly: Assembly::new(&self.account, self.growth, spare), len });
        }
        let Some(piece) = &mut self.piece else { return Ok(None) };
        loop {
            piece.assembly.make_room(piece.len)?;
            if piece.missing() == 0 {
                break;
            }
            if self.front.is_empty() {
                return Ok(None);
            }
            let portion = self.front.len().min(piece.missing());
            let count = piece.assembly.copy(self.front.get(..portion).unwrap_or_default());
            self.front.advance(count);
            if self.front.is_empty() {
                self.front = self.rest.pop_front().unwrap_or_default();
            }
        }
        let Some(Piece { assembly, len }) = self.piece.take() else { return Ok(None) };
        let (whole, spare) = assembly.finish();
        if len >= DIRECT_READ_BYTES {
            self.spare = spare;
        }
        Ok(Some(whole))
    }

    /// Releases memory that is cached for later input.
    pub(crate) fn release_memory(&mut self) {
        self.spare = Spare::default();
        self.scratch = Vec::new();
    }

    /// Discards up to `len` bytes and returns how many.
    pub(crate) fn skip(&mut self, len: u64) -> u64 {
        let mut skipped = self.piece.take().map_or(0, |piece| piece.assembly.filled() as u64);
        while skipped < len && !self.front.is_empty() {
            let count = self.front.len().min(usize::try_from(len - skipped).unwrap_or(usize::MAX));
            self.front.advance(count);
            skipped += count as u64;
            self.next_chunk();
        }
        skipped
    }

    /// Continues with the next chunk when the first one is used up.
    #[inline]
    fn next_chunk(&mut self) {
        if self.front.is_empty() {
            self.front = self.rest.pop_front().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_inside_one_chunk_is_shared() {
        let mut chunks = Chunks::default();
        let whole = Bytes::from_static(b"abcdefgh");
        chunks.push(whole.clone());
        assert_eq!(chunks.take(3).unwrap().unwrap().as_ptr(), whole.as_ptr());
        assert_eq!(chunks.take(5).unwrap().unwrap().as_ptr(), whole[3..].as_ptr());
        assert_eq!(chunks.take(1), Ok(None));
    }

    #[test]
    fn a_piece_over_several_chunks_is_assembled() {
        let mut chunks = Chunks::default();
        chunks.push(Bytes::from_static(b"ab"));
        assert_eq!(chunks.take(5), Ok(None));
        chunks.push(Bytes::from_static(b"cd"));
        chunks.push(Bytes::from_static(b"efg"));
        assert_eq!(chunks.take(5).unwrap().unwrap(), "abcde");
        assert!(!chunks.is_empty());
        assert_eq!(chunks.skip(10), 2);
        assert!(chunks.is_empty());
    }

    #[test]
    fn a_large_piece_is_read_in_place_into_aligned_memory_that_grows_with_arrival() {
        const LEN: usize = 40 << 20;
        let mut chunks = Chunks::default();
        assert_eq!(chunks.take(LEN), Ok(None));
        let mut read = 0;
        while read < LEN {
            let space = chunks.read_buf();
            assert!(space.len() <= (read * 8).max(64 << 10));
            let count = space.len().min(700_001);
            space[..count].fill((read % 251) as u8);
            chunks.advance(count);
            read += count;
            assert_eq!(chunks.take(LEN).unwrap().is_some(), read == LEN);
        }
        assert!(chunks.is_empty());
    }

    #[test]
    fn a_large_piece_takes_the_memory_of_the_last_one_once_nobody_holds_it() {
        let mut chunks = Chunks::default();
        let mut read = |fill: u8, len: usize| loop {
            if let Some(whole) = chunks.take(len).unwrap() {
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
        assert_eq!(chunks.take(100_000), Ok(None));
        chunks.push(Bytes::from(vec![2; 95_000]));
        let body = chunks.take(100_000).unwrap().unwrap();
        assert_eq!(body.as_ptr().align_offset(64), 0);
        assert_eq!((body[4999], body[5000]), (1, 2));
    }
}
