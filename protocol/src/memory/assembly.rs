//! Memory that is filled piece by piece: aligned as Arrow recommends, reserved in a budget, and grown with the received data,
//! never with a size that a peer has merely announced.

use super::budget::{Account, OverBudget, Reservation};
use bytes::{Buf, Bytes, BytesMut};
use std::fmt;
use std::sync::Arc;

/// Arrow recommends this alignment for buffers.
const ALIGNMENT: usize = 64;
/// Smaller memory is not cached.
const SMALL_BYTES: usize = 4 << 10;
/// If the budget has no room for a full step, memory grows by the received size divided by this.
const SMALL_STEP: usize = 4;
/// A spare is used for memory of at least its size divided by this.
const SPARE_RATIO: usize = 4;

/// How an [`Assembly`] grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// The initial memory, in bytes. It is allocated before anything is received.
    pub first: usize,
    /// Later memory is this multiple of the received data.
    pub factor: usize,
    /// Memory grows to its full size once that is at most this multiple of the received data: the last step is the most expensive
    /// one, because both old and new memory exist while it copies. Earlier steps stop where the last one can begin.
    pub last_factor: usize,
}

impl Growth {
    /// For bodies from a peer: the initial memory is below the floor of an account.
    pub const ARRIVAL: Self = Self { first: 64 << 10, factor: 4, last_factor: 8 };
    /// For objects that may use most of a process's memory: old and new memory are never more than 17 sixteenths of the object,
    /// and a sixteenth of it has been received before the full size is allocated.
    pub const LARGE_OBJECT: Self = Self { last_factor: 16, ..Self::ARRIVAL };
}

impl Default for Growth {
    fn default() -> Self {
        Self::ARRIVAL
    }
}

/// Received bytes, and room for more.
pub struct Assembly {
    account: Account,
    growth: Growth,
    /// Zeroed after the received bytes, unless it was a spare.
    storage: BytesMut,
    /// Shared with the spare, so that cached memory stays reserved; `None` without a budget.
    reservation: Option<Arc<Reservation>>,
    filled: usize,
    spare: Spare,
}

/// The memory of a finished [`Assembly`]. Once the finished bytes are dropped, the next assembly of about the same size reuses
/// it, so the system need not find and clear as many pages again. It stays reserved.
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
    /// Creates an assembly without any memory.
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

    /// Sets the size of the initial memory in bytes. Has no effect once memory is allocated.
    pub fn begin_with(&mut self, first: usize) {
        self.growth.first = first;
    }

    /// Returns the number of received bytes.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Ensures that there is room for more, unless `whole` bytes have been received.
    ///
    /// `whole` is the maximum size of the memory in bytes.
    ///
    /// # Errors
    /// If the budget does not have enough left. The received bytes are kept.
    pub fn make_room(&mut self, whole: usize) -> Result<(), OverBudget> {
        if self.filled < self.storage.len() || self.filled >= whole {
            return Ok(());
        }
        if self.filled == 0 && self.take_spare(whole) {
            return Ok(());
        }
        let Growth { first, factor, last_factor } = self.growth;
        let is_last = whole <= self.filled.saturating_mul(last_factor);
        // From here the full size is the next step.
        let before_last = whole.div_ceil(last_factor.max(1)).max(first);
        let grown = self.filled.saturating_mul(factor).max(first).min(before_last);
        let len = if is_last { whole } else { grown.min(whole) };
        // Both old and new memory are reserved during the copy. A smaller step may fit.
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

    /// Returns the memory after the received bytes; empty until [`Self::make_room`] is called.
    pub fn space(&mut self) -> &mut [u8] {
        self.storage.get_mut(self.filled..).unwrap_or_default()
    }

    /// Receives the first `count` bytes of [`Self::space`]. A larger count is reduced to its length.
    pub fn advance(&mut self, count: usize) {
        self.filled = self.storage.len().min(self.filled.saturating_add(count));
    }

    /// Copies as much of `bytes` as there is room for. Returns how much.
    pub fn copy(&mut self, bytes: &[u8]) -> usize {
        let space = self.space();
        let count = space.len().min(bytes.len());
        if let (Some(space), Some(bytes)) = (space.get_mut(..count), bytes.get(..count)) {
            space.copy_from_slice(bytes);
        }
        self.filled += count;
        count
    }

    /// Returns the received bytes, and a spare for the next assembly. Both hold the reservation.
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

    /// Reuses the spare's memory, if it is free and of about the right size.
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

/// Finished memory with the reservation that its spare shares.
struct Assembled {
    memory: Bytes,
    _reservation: Arc<Reservation>,
}

impl AsRef<[u8]> for Assembled {
    fn as_ref(&self) -> &[u8] {
        &self.memory
    }
}

/// Returns zeroed memory of `len` bytes at an aligned address. Allocators zero large blocks by mapping fresh pages, so no page is
/// written twice.
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

    /// Receives `len` bytes in portions, without a spare.
    fn fill(assembly: &mut Assembly, whole: usize, len: usize, portion: usize) {
        fill_from(Growth::ARRIVAL.first, assembly, whole, len, portion);
    }

    /// As [`fill`], with at most `first` bytes of initial memory.
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
                    // Both exist during the copy.
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
