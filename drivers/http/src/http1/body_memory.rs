//! Memory for a body while it comes: aligned, and grown with what has arrived, never with what was announced.

use bytes::{Buf, Bytes, BytesMut};

/// Arrow recommends this alignment for buffers, and a body is mostly an Arrow stream.
const ALIGNMENT: usize = 64;
/// The first memory for a body of known length, taken with its first byte. Large enough that allocators map it
/// afresh, so that only what is written costs memory.
const FIRST_BYTES: usize = 256 << 10;
/// The first memory for a body of unknown length, which is mostly short.
const FIRST_UNKNOWN_BYTES: usize = 4 << 10;
/// Memory grows to this many times what has arrived.
const GROWTH: usize = 4;
/// When the whole body is no more than this many times what has arrived, memory grows to that: the last step is the
/// costly one, because old and new memory are both there while it copies.
const LAST_GROWTH: usize = 8;
/// Bodies from this length on lend their memory to the next body.
const SPARE_BYTES: usize = 16 << 10;

/// The bytes of a body that have arrived, and room for more.
#[derive(Default)]
pub(super) struct BodyMemory {
    /// Aligned, and at least as long as what has arrived.
    storage: BytesMut,
    filled: usize,
    /// The length of the whole body, if it is known.
    len: Option<usize>,
    /// The length of the portion that is coming, where the whole is not known.
    portion: usize,
    /// The last body's memory. Once nobody else holds it, it serves this one, which saves the kernel from finding
    /// and clearing as many pages again.
    spare: Bytes,
}

impl BodyMemory {
    pub(super) fn new(len: Option<usize>, spare: Bytes) -> Self {
        Self { storage: BytesMut::new(), filled: 0, len, portion: 0, spare }
    }

    /// Takes note that a portion of this length is announced.
    pub(super) fn expect(&mut self, portion: u64) {
        self.portion = usize::try_from(portion).unwrap_or(usize::MAX);
    }

    /// Bytes that have arrived.
    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    /// Appends a copy of as much of `bytes` as the memory has room for, at least one byte; says how much.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> usize {
        let space = self.space();
        let count = space.len().min(bytes.len());
        if let (Some(space), Some(bytes)) = (space.get_mut(..count), bytes.get(..count)) {
            space.copy_from_slice(bytes);
        }
        self.filled += count;
        count
    }

    /// The memory behind what has arrived; not empty unless the body is complete.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.filled >= self.storage.len() {
            self.grow();
        }
        self.storage.get_mut(self.filled..).unwrap_or_default()
    }

    /// Takes in the first `count` bytes of [`Self::space`].
    pub(super) fn advance(&mut self, count: usize) {
        self.filled = self.storage.len().min(self.filled + count);
    }

    /// The body, and what to give to the next body's [`Self::new`].
    pub(super) fn finish(mut self) -> (Bytes, Bytes) {
        if self.filled == 0 {
            return (Bytes::new(), self.spare);
        }
        // The memory's full length stays with the spare handle; the body is cut to what has arrived.
        let whole = std::mem::take(&mut self.storage).freeze();
        let spare = if whole.len() >= SPARE_BYTES { whole.clone() } else { self.spare };
        let body = if whole.len() == self.filled { whole } else { whole.slice(..self.filled) };
        (body, spare)
    }

    fn grow(&mut self) {
        let grown = self.filled.saturating_mul(GROWTH);
        let len = match self.len {
            Some(len) if len <= self.filled.saturating_mul(LAST_GROWTH) => len,
            Some(len) => len.min(grown.max(FIRST_BYTES)),
            None => grown.max(self.portion.clamp(FIRST_UNKNOWN_BYTES, FIRST_BYTES)),
        };
        let mut storage = self.allocate(len);
        if let (Some(new), Some(old)) = (storage.get_mut(..self.filled), self.storage.get(..self.filled)) {
            new.copy_from_slice(old);
        }
        self.storage = storage;
    }

    /// The spare memory, if it is free and of about the size of the body, or zeroed memory of `len` bytes.
    fn allocate(&mut self, len: usize) -> BytesMut {
        // It is there whether it serves this body or not, so that an announced length may be believed for once.
        let wanted = self.len.map_or(len, |whole| whole.max(len));
        let fits = self.spare.len() >= len && self.spare.len() / GROWTH <= wanted;
        if fits && let Ok(mut spare) = std::mem::take(&mut self.spare).try_into_mut() {
            spare.truncate(self.len.unwrap_or(usize::MAX));
            return spare;
        }
        aligned(len)
    }
}

/// Zeroed memory of `len` bytes at an aligned address. Allocators zero large blocks by mapping fresh pages, so this
/// writes nothing that is not read over later.
fn aligned(len: usize) -> BytesMut {
    let mut storage = BytesMut::zeroed(len.saturating_add(ALIGNMENT));
    let start = storage.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    storage.advance(start);
    storage.truncate(len);
    storage
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(memory: &mut BodyMemory, len: usize, portion: usize) {
        while memory.filled() < len {
            let arrived = memory.filled();
            let space = memory.space();
            assert!(space.len() <= FIRST_BYTES.max(arrived * LAST_GROWTH));
            let count = space.len().min(portion).min(len - arrived);
            space[..count].fill(7);
            memory.advance(count);
        }
    }

    #[test]
    fn memory_follows_what_arrived_and_bodies_are_aligned() {
        for (len, known) in [(1, true), (100, false), (5_000_000, true), (5_000_000, false)] {
            let mut memory = BodyMemory::new(known.then_some(len), Bytes::new());
            fill(&mut memory, len, 70_001);
            let (body, _) = memory.finish();
            assert_eq!(body.len(), len);
            assert!(body.iter().all(|byte| *byte == 7));
            assert_eq!(body.as_ptr().align_offset(ALIGNMENT), 0);
        }
    }

    #[test]
    fn an_announcement_alone_takes_no_memory() {
        let memory = BodyMemory::new(Some(1 << 40), Bytes::new());
        assert_eq!(memory.storage.capacity(), 0);
    }

    #[test]
    fn a_large_body_takes_the_memory_of_the_last_one_from_its_first_byte() {
        const LEN: usize = FIRST_BYTES * GROWTH * 4;
        let mut memory = BodyMemory::new(Some(LEN), Bytes::new());
        fill(&mut memory, LEN, usize::MAX);
        let (body, spare) = memory.finish();
        let address = body.as_ptr();
        drop(body);
        let mut memory = BodyMemory::new(Some(LEN), spare);
        assert_eq!(memory.space().as_ptr(), address);
    }

    #[test]
    fn a_body_takes_the_memory_of_the_last_one_once_nobody_holds_it() {
        let read = |len: usize, spare: Bytes| {
            let mut memory = BodyMemory::new(Some(len), spare);
            fill(&mut memory, len, usize::MAX);
            memory.finish()
        };
        let (first, spare) = read(100_000, Bytes::new());
        let (second, spare) = read(90_000, spare);
        assert_ne!(first.as_ptr(), second.as_ptr(), "the first body is still held");
        let address = second.as_ptr();
        drop(second);
        let (third, spare) = read(80_000, spare);
        assert_eq!((third.as_ptr(), third.len()), (address, 80_000));
        drop(third);
        assert_ne!(read(10, spare).0.as_ptr(), address, "too small to pin so much");
    }
}
