//! Memory for a body that is being decoded: aligned as Arrow likes it, and grown with what has been decoded, never
//! with what a peer has merely announced.

use bytes::{Buf, Bytes, BytesMut};

/// Arrow recommends this alignment for buffers.
const ALIGNMENT: usize = 64;
/// Bodies shorter than this are not worth aligning.
const SMALLEST_ALIGNED_BYTES: usize = 4 << 10;
/// An announced size is believed up to this, whatever came.
const BELIEVED_BYTES: usize = 1 << 20;
/// An announced size is believed up to this many times what came. Arrow data seldom shrinks further.
const BELIEVED_RATIO: usize = 64;
/// Memory taken when no size is announced, as a multiple of what came.
const GUESSED_RATIO: usize = 4;
/// The smallest and the largest first guess.
const GUESSED_BYTES: std::ops::RangeInclusive<usize> = 4 << 10..=1 << 20;
/// Memory grows to this many times what it was.
const GROWTH: usize = 4;

/// A decoded body in the making.
#[derive(Debug)]
pub(super) struct Output {
    /// Zeroed where nothing was decoded yet.
    storage: BytesMut,
    filled: usize,
    /// One byte more than the body may have, so that a longer one shows itself.
    most: usize,
    /// One byte more than was announced, so that the end is seen before memory runs out.
    announced: Option<usize>,
}

impl Output {
    /// For a body of at most `max` bytes, decoded from `coded` bytes that announce a size or do not.
    pub(super) fn new(coded: usize, announced: Option<u64>, max: u64) -> Self {
        let most = usize::try_from(max).unwrap_or(usize::MAX).saturating_add(1);
        let announced = announced.and_then(|size| usize::try_from(size).ok()?.checked_add(1));
        let first = match announced {
            Some(size) => size.min(believed(coded)),
            None => coded.saturating_mul(GUESSED_RATIO).clamp(*GUESSED_BYTES.start(), *GUESSED_BYTES.end()),
        };
        // Memory for all but the last byte would be taken twice when that byte comes.
        let first = if first.saturating_add(1) >= most { most } else { first };
        Self { storage: aligned(first), filled: 0, most, announced }
    }

    /// The memory behind what was decoded; empty only when there is one byte more than may be.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.filled >= self.storage.len() && self.filled < self.most {
            let grown = self.storage.len().saturating_mul(GROWTH);
            // The last step is the costly one, so it goes straight to the size that was announced.
            let len = match self.announced {
                Some(size) if size > self.filled && size <= grown => size,
                _ => grown,
            };
            let mut storage = aligned(len.min(self.most));
            let old = self.storage.get(..self.filled).unwrap_or_default();
            if let Some(new) = storage.get_mut(..old.len()) {
                new.copy_from_slice(old);
            }
            self.storage = storage;
        }
        self.storage.get_mut(self.filled..).unwrap_or_default()
    }

    /// Counts bytes that were written to [`Self::space`].
    pub(super) fn advance(&mut self, count: usize) {
        self.filled = self.storage.len().min(self.filled + count);
    }

    /// Whether there is more than may be.
    pub(super) fn is_too_large(&self) -> bool {
        self.filled >= self.most
    }

    /// The body.
    pub(super) fn finish(self) -> Bytes {
        let mut storage = self.storage;
        storage.truncate(self.filled);
        storage.freeze()
    }
}

/// The largest size that is believed before a byte is decoded.
pub(super) fn believed(coded: usize) -> usize {
    coded.saturating_mul(BELIEVED_RATIO).max(BELIEVED_BYTES)
}

/// Zeroed memory of `len` bytes at an aligned address. The allocator zeroes large blocks by mapping fresh pages, so
/// this writes nothing that is not decoded over later.
pub(super) fn aligned(len: usize) -> BytesMut {
    if len < SMALLEST_ALIGNED_BYTES {
        return BytesMut::zeroed(len);
    }
    let mut storage = BytesMut::zeroed(len.saturating_add(ALIGNMENT));
    let start = storage.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    storage.advance(start);
    storage.truncate(len);
    storage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_size_is_believed_only_as_far_as_what_came_makes_it_likely() {
        let mut lie = Output::new(20, Some(1 << 40), u64::MAX);
        assert_eq!(lie.space().len(), BELIEVED_BYTES);
        let mut likely = Output::new(1 << 20, Some(40 << 20), u64::MAX);
        assert_eq!(likely.space().len(), (40 << 20) + 1);
    }

    #[test]
    fn memory_grows_with_what_was_decoded_and_ends_one_byte_past_the_limit() {
        let mut output = Output::new(1, None, 100_000);
        let mut seen = 0;
        while !output.is_too_large() {
            let space = output.space();
            assert!(space.len() <= 4096.max(seen * GROWTH));
            space.fill(7);
            let count = space.len();
            output.advance(count);
            seen += count;
        }
        assert_eq!(seen, 100_001);
        assert!(output.space().is_empty());
        assert!(output.finish().iter().all(|byte| *byte == 7));
    }

    #[test]
    fn large_bodies_are_aligned() {
        let mut output = Output::new(10_000, None, u64::MAX);
        let count = output.space().len();
        output.advance(count);
        assert_eq!(output.finish().as_ptr().align_offset(ALIGNMENT), 0);
    }
}
