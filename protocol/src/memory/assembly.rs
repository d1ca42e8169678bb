//! Memory that is filled piece by piece: aligned as Arrow recommends, reserved in a budget, and grown with what has
//! arrived, never with what a peer has merely announced.

use super::budget::{Account, OverBudget, Reservation};
use bytes::{Buf, Bytes, BytesMut};
use std::fmt;
use std::sync::Arc;

/// Arrow recommends this alignment for buffers.
const ALIGNMENT: usize = 64;
/// Shorter memory is not worth keeping for later.
const SMALL_BYTES: usize = 4 << 10;
/// Where the budget has no room for more, memory grows by this part of what has arrived.
const SMALL_STEP: usize = 4;
/// A spare is used for memory of at least its size divided by this.
const SPARE_RATIO: usize = 4;

/// How an [`Assembly`] grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// The first memory, in bytes. It is taken before anything has arrived.
    pub first: usize,
    /// Later memory is so many times what has arrived.
    pub factor: usize,
    /// When the whole is no more than this many times what has arrived, memory grows to the whole: the last step is the
    /// costly one, because old and new memory are both there while it copies. The steps before stop where it can be taken.
    pub last_factor: usize,
}

impl Growth {
    /// For bodies that arrive from a peer: the first memory fits below the floor of an account.
    pub const ARRIVAL: Self = Self { first: 64 << 10, factor: 4, last_factor: 8 };
    /// For objects that may be most of what a process holds: old and new memory are never more than 17 sixteenths of the
    /// object, and what has arrived is a sixteenth of its memory before all of that is taken.
    pub const LARGE_OBJECT: Self = Self { last_factor: 16, ..Self::ARRIVAL };
}

impl Default for Growth {
    fn default() -> Self {
        Self::ARRIVAL
    }
}

/// Bytes that have arrived, and room for more.
pub struct Assembly {
    account: Account,
    growth: Growth,
    /// Zeroed behind what has arrived, unless it was a spare.
    storage: BytesMut,
    /// Shared with the spare, so that kept memory stays reserved; `None` without a budget.
    reservation: Option<Arc<Reservation>>,
    filled: usize,
    spare: Spare,
}

/// Memory of an [`Assembly`] that was finished. Once the finished bytes are dropped it serves the next assembly of about
/// its size, which saves the system from finding and clearing as many pages again. It stays reserved.
#[derive(Default)]
pub struct Spare {
    memory: Bytes,
    reservation: Option<Arc<Reservation>>,
}

impl fmt::Debug for Assembly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assembly").field("filled", &self.filled).field("len", &self.storage.len()).finish()
    }
}

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Spare").field(&self.memory.len()).finish()
    }
}

impl Assembly {
    /// An assembly of which nothing has arrived and for which no memory was taken.
    pub fn new(account: &Account, growth: Growth, spare: Spare) -> Self {
        Self {
            account: account.clone(),
            growth,
            storage: BytesMut::new(),
            reservation: None,
            filled: 0,
            spare,
        }
    }

    /// Changes what memory is taken first, in bytes. Has no effect once some was taken.
    pub fn begin_with(&mut self, first: usize) {
        self.growth.first = first;
    }

    /// Bytes that have arrived.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Makes sure that there is room behind what has arrived, unless `whole` bytes have.
    ///
    /// `whole` is the size in bytes that the memory comes to at most.
    ///
    /// # Errors
    /// When the budget has not enough left. What has arrived is kept.
    pub fn make_room(&mut self, whole: usize) -> Result<(), OverBudget> {
        if self.filled < self.storage.len() || self.filled >= whole {
            return Ok(());
        }
        if self.filled == 0 && self.take_spare(whole) {
            return Ok(());
        }
        let Growth { first, factor, last_factor } = self.growth;
        let is_last = whole <= self.filled.saturating_mul(last_factor);
        // From here the whole is the next step.
        let before_last = whole.div_ceil(last_factor.max(1)).max(first);
        let grown = self.filled.saturating_mul(factor).max(first).min(before_last);
        let len = if is_last { whole } else { grown.min(whole) };
        // Old and new memory are both reserved while the one is copied to the other. A smaller step may fit.
        let small = whole.min(self.filled + self.filled / SMALL_STEP);
        let (len, reservation) = match self.account.reserve(len) {
            Ok(reservation) => (len, reservation),
            Err(_) if self.filled < small && small < len => (small, self.account.reserve(small)?),
            Err(error) => return Err(error),
        };
        let mut storage = aligned(len);
        if let (Some(new), Some(old)) = (storage.get_mut(..self.filled), self.storage.get(..self.filled)) {
            new.copy_from_slice(old);
        }
        self.storage = storage;
        self.reservation = reservation.is_counted().then(|| Arc::new(reservation));
        Ok(())
    }

    /// The memory behind what has arrived; empty until [`Self::make_room`] has made some.
    pub fn space(&mut self) -> &mut [u8] {
        self.storage.get_mut(self.filled..).unwrap_or_default()
    }

    /// Takes in the first `count` bytes of [`Self::space`]; a larger count is cut to it.
    pub fn advance(&mut self, count: usize) {
        self.filled = self.storage.len().min(self.filled.saturating_add(count));
    }

    /// Takes in a copy of as much of `bytes` as there is room for; returns how much.
    pub fn copy(&mut self, bytes: &[u8]) -> usize {
        let space = self.space();
        let count = space.len().min(bytes.len());
        if let (Some(space), Some(bytes)) = (space.get_mut(..count), bytes.get(..count)) {
            space.copy_from_slice(bytes);
        }
        self.filled += count;
        count
    }

    /// What has arrived, and a spare for the next assembly. Both hold the reservation.
    pub fn finish(self) -> (Bytes, Spare) {
        let Self { account, storage, reservation, filled, spare, .. } = self;
        if filled == 0 {
            return (Bytes::new(), spare);
        }
        let memory = storage.freeze();
        let kept = if memory.len() >= SMALL_BYTES && account.has_room() {
            Spare { memory: memory.clone(), reservation: reservation.clone() }
        } else {
            Spare::default()
        };
        let whole = match reservation {
            Some(reservation) => Bytes::from_owner(Assembled { memory, _reservation: reservation }),
            None => memory,
        };
        (if whole.len() == filled { whole } else { whole.slice(..filled) }, kept)
    }

    /// Uses the spare's memory, if it is free and of about the wanted size.
    fn take_spare(&mut self, whole: usize) -> bool {
        let Spare { memory, reservation } = std::mem::take(&mut self.spare);
        let fits = memory.len() >= whole && memory.len() / SPARE_RATIO <= whole;
        match memory.try_into_mut() {
            Ok(storage) if fits => {
                self.storage = storage;
                self.reservation = reservation;
                true
            }
            _ => false,
        }
    }
}

/// Finished memory together with the reservation that its spare shares.
struct Assembled {
    memory: Bytes,
    _reservation: Arc<Reservation>,
}

impl AsRef<[u8]> for Assembled {
    fn as_ref(&self) -> &[u8] {
        &self.memory
    }
}

/// Zeroed memory of `len` bytes at an aligned address. Allocators zero large blocks by mapping fresh pages, so this
/// writes nothing that is not written over later.
pub(crate) fn aligned(len: usize) -> BytesMut {
    let mut storage = BytesMut::zeroed(len.saturating_add(ALIGNMENT));
    let start = storage.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    storage.advance(start);
    storage.truncate(len);
    storage
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Budget;

    /// Has `len` bytes arrive in portions, without a spare.
    fn fill(assembly: &mut Assembly, whole: usize, len: usize, portion: usize) {
        fill_from(Growth::ARRIVAL.first, assembly, whole, len, portion);
    }

    /// The same where there are at most `first` bytes of memory before anything has arrived.
    fn fill_from(first: usize, assembly: &mut Assembly, whole: usize, len: usize, portion: usize) {
        while assembly.filled() < len {
            let arrived = assembly.filled();
            assembly.make_room(whole).unwrap();
            let space = assembly.space();
            assert!(space.len() <= first.max(arrived * Growth::ARRIVAL.last_factor));
            let count = space.len().min(portion).min(len - arrived);
            space[..count].fill(7);
            assembly.advance(count);
        }
    }

    fn arrival(account: &Account, spare: Spare) -> Assembly {
        Assembly::new(account, Growth::ARRIVAL, spare)
    }

    #[test]
    fn memory_follows_what_has_arrived_and_is_aligned() {
        for (len, whole) in [(1, 1), (100, usize::MAX), (5_000_000, 5_000_000), (5_000_000, usize::MAX)] {
            let mut assembly = arrival(&Account::default(), Spare::default());
            fill(&mut assembly, whole, len, 70_001);
            let (bytes, _) = assembly.finish();
            assert_eq!(bytes.len(), len);
            assert!(bytes.iter().all(|byte| *byte == 7));
            assert_eq!(bytes.as_ptr().align_offset(ALIGNMENT), 0);
        }
    }

    #[test]
    fn an_announcement_takes_no_more_than_the_first_memory() {
        let account = Budget::new(1 << 40).account();
        let mut assembly = arrival(&account, Spare::default());
        assert_eq!(account.held(), 0);
        assembly.make_room(1 << 40).unwrap();
        assert_eq!(account.held(), Growth::ARRIVAL.first);
    }

    #[test]
    fn a_large_object_takes_little_more_than_its_size_while_memory_grows() {
        let account = Budget::new(1 << 40).account();
        for whole in [100_000, 5_000_000, 40_000_001] {
            let mut assembly = Assembly::new(&account, Growth::LARGE_OBJECT, Spare::default());
            let mut steps = Vec::new();
            while assembly.filled() < whole {
                let before = account.held();
                assembly.make_room(whole).unwrap();
                if account.held() > before {
                    // Both are there while the one is copied to the other.
                    steps.push(before + account.held());
                }
                let count = assembly.space().len().min(10_001);
                assembly.advance(count);
            }
            let most = steps.iter().max().unwrap();
            assert!(*most <= whole + whole / 16 + Growth::LARGE_OBJECT.first, "{whole}: {steps:?}");
        }
    }

    #[test]
    fn a_body_of_almost_half_the_budget_is_taken() {
        let account = Budget::new(10_000_000).account();
        let mut assembly = arrival(&account, Spare::default());
        fill(&mut assembly, 4_500_000, 4_500_000, 100_000);
        assert_eq!(assembly.finish().0.len(), 4_500_000);
    }

    #[test]
    fn what_has_arrived_is_kept_when_the_budget_has_no_room() {
        let budget = Budget::new(10_000);
        let account = budget.account();
        let mut assembly = arrival(&account, Spare::default());
        fill(&mut assembly, 10_000_000, Growth::ARRIVAL.first, usize::MAX);
        assert!(assembly.make_room(10_000_000).is_err());
        assert_eq!((assembly.filled(), account.held()), (Growth::ARRIVAL.first, Growth::ARRIVAL.first));
        drop(assembly);
        assert_eq!(account.held(), 0);
    }

    #[test]
    fn a_spare_serves_the_next_assembly_of_about_its_size_once_it_is_free() {
        let account = Budget::new(64 << 20).account();
        let read = |len: usize, spare: Spare| {
            let first = Growth::ARRIVAL.first.max(spare.memory.len());
            let mut assembly = arrival(&account, spare);
            fill_from(first, &mut assembly, len, len, usize::MAX);
            assembly.finish()
        };
        let (first, spare) = read(1_000_000, Spare::default());
        let (second, spare) = read(900_000, spare);
        assert_ne!(second.as_ptr(), first.as_ptr(), "the first bytes are still held");
        drop(first);
        let address = second.as_ptr();
        drop(second);
        assert!(account.held() >= 900_000, "a spare stays reserved");
        let (third, spare) = read(800_000, spare);
        assert_eq!((third.as_ptr(), third.len()), (address, 800_000));
        drop(third);
        assert_ne!(read(10, spare).0.as_ptr(), address, "too small to keep so much");
        assert_eq!(account.held(), 0);
    }

    #[test]
    fn nothing_is_kept_when_half_of_the_budget_is_in_use() {
        let budget = Budget::new(2_000_000);
        let _other = budget.account().reserve(1_000_000 + Budget::FLOOR_BYTES).unwrap();
        let account = budget.account();
        let mut assembly = arrival(&account, Spare::default());
        fill(&mut assembly, 500_000, 500_000, usize::MAX);
        drop(assembly.finish().0);
        assert_eq!(account.held(), 0);
    }
}
