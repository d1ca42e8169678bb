//! The memory of a body that is being decoded. It grows with the decoded data, never with a size that a peer has merely
//! announced.

use super::error::DecodeError;
use crate::memory::{Account, Assembly, Growth, OverBudget, Spare};
use bytes::Bytes;

/// An announced size up to this is always trusted.
const BELIEVED_BYTES: usize = 64 << 10;
/// An announced size is trusted up to this multiple of the encoded size. Arrow data is rarely compressed further.
const BELIEVED_RATIO: usize = 64;
/// The initial memory if no size is announced, as a multiple of the encoded size.
const GUESSED_RATIO: usize = 4;
/// The minimum and maximum of that guess.
const GUESSED_BYTES: std::ops::RangeInclusive<usize> = 4 << 10..=1 << 20;
/// Memory grows to this multiple of the decoded data.
const GROWTH: usize = 4;

/// A body that is being decoded.
#[derive(Debug)]
pub(super) struct Output {
    assembly: Assembly,
    max: u64,
    /// One byte more than allowed, to detect a longer body.
    most: usize,
    /// One byte more than announced, so that the end is found before memory runs out.
    announced: Option<usize>,
}

impl Output {
    /// For a body of at most `max` bytes, decoded from `coded` bytes, with or without an announced size.
    pub(super) fn new(coded: usize, announced: Option<u64>, max: u64, account: &Account) -> Self {
        let most = usize::try_from(max).unwrap_or(usize::MAX).saturating_add(1);
        let announced = announced.and_then(|size| usize::try_from(size).ok()?.checked_add(1));
        let first = match announced {
            Some(size) => size.min(believed(coded)),
            None => coded.saturating_mul(GUESSED_RATIO).clamp(*GUESSED_BYTES.start(), *GUESSED_BYTES.end()),
        };
        let growth = Growth { first, factor: GROWTH, ..Growth::ARRIVAL };
        Self { assembly: Assembly::new(account, growth, Spare::default()), max, most, announced }
    }

    /// For a body of known size, if its frames are correct.
    #[cfg(feature = "zstd")]
    pub(super) fn exact(size: usize, account: &Account) -> Result<Self, OverBudget> {
        let growth = Growth { first: size, factor: GROWTH, ..Growth::ARRIVAL };
        let mut assembly = Assembly::new(account, growth, Spare::default());
        assembly.make_room(size)?;
        Ok(Self { assembly, max: size as u64, most: size.saturating_add(1), announced: None })
    }

    /// Returns the memory after the decoded data; empty only if there is one byte more than allowed.
    pub(super) fn space(&mut self) -> Result<&mut [u8], OverBudget> {
        let filled = self.assembly.filled();
        let whole = self.announced.filter(|size| *size > filled).unwrap_or(usize::MAX).min(self.most);
        self.assembly.make_room(whole)?;
        Ok(self.assembly.space())
    }

    /// Returns the memory allocated by [`Self::exact`].
    #[cfg(feature = "zstd")]
    pub(super) fn whole(&mut self) -> &mut [u8] {
        self.assembly.space()
    }

    /// Counts bytes that were written to [`Self::space`].
    ///
    /// # Errors
    /// If there are more than allowed.
    pub(super) fn advance(&mut self, count: usize) -> Result<(), DecodeError> {
        self.assembly.advance(count);
        let is_too_large = self.assembly.filled() >= self.most;
        if is_too_large { Err(DecodeError::TooLarge { max: self.max }) } else { Ok(()) }
    }

    /// Returns the body.
    pub(super) fn finish(self) -> Bytes {
        self.assembly.finish().0
    }
}

/// Returns the largest size that is trusted before anything is decoded.
pub(super) fn believed(coded: usize) -> usize {
    coded.saturating_mul(BELIEVED_RATIO).max(BELIEVED_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_size_is_believed_only_as_far_as_what_came_makes_it_likely() {
        let account = Account::default();
        let mut lie = Output::new(20, Some(1 << 40), u64::MAX, &account);
        assert_eq!(lie.space().unwrap().len(), BELIEVED_BYTES);
        let mut likely = Output::new(1 << 20, Some(40 << 20), u64::MAX, &account);
        assert_eq!(likely.space().unwrap().len(), (40 << 20) + 1);
    }

    #[test]
    fn memory_grows_with_what_was_decoded_and_ends_one_byte_past_the_limit() {
        let mut output = Output::new(1, None, 100_000, &Account::default());
        let mut seen = 0;
        loop {
            let space = output.space().unwrap();
            // The last step goes to the limit.
            assert!(space.len() <= 4096.max(seen * 8));
            space.fill(7);
            let count = space.len();
            seen += count;
            if output.advance(count).is_err() {
                break;
            }
        }
        assert_eq!(seen, 100_001);
        assert!(output.space().unwrap().is_empty());
        assert!(output.finish().iter().all(|byte| *byte == 7));
    }
}
