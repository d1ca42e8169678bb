//! Memory for a body that is being decoded: grown with what has been decoded, never with what a peer has merely
//! announced.

use super::error::DecodeError;
use crate::memory::{Account, Assembly, Growth, OverBudget, Spare};
use bytes::Bytes;

/// An announced size is believed up to this, whatever came.
const BELIEVED_BYTES: usize = 64 << 10;
/// An announced size is believed up to this many times what came. Arrow data seldom shrinks further.
const BELIEVED_RATIO: usize = 64;
/// Memory taken when no size is announced, as a multiple of what came.
const GUESSED_RATIO: usize = 4;
/// The smallest and the largest first guess.
const GUESSED_BYTES: std::ops::RangeInclusive<usize> = 4 << 10..=1 << 20;
/// Memory grows to this many times what was decoded.
const GROWTH: usize = 4;

/// A decoded body in the making.
#[derive(Debug)]
pub(super) struct Output {
    assembly: Assembly,
    max: u64,
    /// One byte more than the body may have, so that a longer one shows itself.
    most: usize,
    /// One byte more than was announced, so that the end is seen before memory runs out.
    announced: Option<usize>,
}

impl Output {
    /// For a body of at most `max` bytes, decoded from `coded` bytes that announce a size or do not.
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

    /// For a body whose size is known, if its frames say the truth.
    #[cfg(feature = "zstd")]
    pub(super) fn exact(size: usize, account: &Account) -> Result<Self, OverBudget> {
        let growth = Growth { first: size, factor: GROWTH, ..Growth::ARRIVAL };
        let mut assembly = Assembly::new(account, growth, Spare::default());
        assembly.make_room(size)?;
        Ok(Self { assembly, max: size as u64, most: size.saturating_add(1), announced: None })
    }

    /// The memory behind what was decoded; empty only when there is one byte more than may be.
    pub(super) fn space(&mut self) -> Result<&mut [u8], OverBudget> {
        let filled = self.assembly.filled();
        let whole = self.announced.filter(|size| *size > filled).unwrap_or(usize::MAX).min(self.most);
        self.assembly.make_room(whole)?;
        Ok(self.assembly.space())
    }

    /// The memory that [`Self::exact`] has made.
    #[cfg(feature = "zstd")]
    pub(super) fn whole(&mut self) -> &mut [u8] {
        self.assembly.space()
    }

    /// Counts bytes that were written to [`Self::space`].
    ///
    /// # Errors
    /// When there are more than may be.
    pub(super) fn advance(&mut self, count: usize) -> Result<(), DecodeError> {
        self.assembly.advance(count);
        let is_too_large = self.assembly.filled() >= self.most;
        if is_too_large { Err(DecodeError::TooLarge { max: self.max }) } else { Ok(()) }
    }

    /// The body.
    pub(super) fn finish(self) -> Bytes {
        self.assembly.finish().0
    }
}

/// The largest size that is believed before a byte is decoded.
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
