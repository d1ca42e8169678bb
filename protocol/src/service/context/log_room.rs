//! Limits the memory of logs that wait to be encoded.

use crate::memory::{Account, Reservation};
use crate::wire::log::FEW_LOG_BYTES;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The memory limit for the logs of one connection's handlers, wherever they wait: in their call's context until the response, or
/// in a driver that sends them while their handler runs.
#[derive(Debug, Default)]
pub(crate) struct LogRoom {
    held: Mutex<Reservation>,
    limit: usize,
}

impl LogRoom {
    /// Allows at most `limit` bytes, reserved in this account.
    pub(crate) fn new(account: &Account, limit: usize) -> Self {
        Self { held: Mutex::new(account.empty()), limit }
    }

    /// Reserves room for a log. Returns false if there is none.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let mut held = self.lock();
        let sum = held.bytes().saturating_add(bytes);
        if sum > self.limit {
            return false;
        }
        if sum <= FEW_LOG_BYTES {
            held.charge(bytes);
            return true;
        }
        held.grow_into_spare(bytes)
    }

    /// Releases the room of logs that have been encoded.
    pub(crate) fn give_back(&self, bytes: usize) {
        let mut held = self.lock();
        let rest = held.bytes().saturating_sub(bytes);
        // Shrinking cannot fail.
        let _ = held.resize(rest);
    }

    /// Releases the room of all logs.
    pub(crate) fn clear(&self) {
        self.give_back(usize::MAX);
    }

    fn lock(&self) -> MutexGuard<'_, Reservation> {
        // No code panics while the lock is held.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Budget;

    #[test]
    fn few_logs_always_find_room_and_many_within_limit_and_half_of_the_budget() {
        let budget = Budget::new(1 << 20);
        let room = LogRoom::new(&budget.account(), 1 << 20);
        let all = budget.account().reserve((1 << 20) + Budget::FLOOR_BYTES).unwrap();
        assert!(room.take(FEW_LOG_BYTES) && !room.take(1));
        drop(all);
        assert!(room.take((512 << 10) + Budget::FLOOR_BYTES - FEW_LOG_BYTES) && !room.take(1));
        assert_eq!((budget.used(), budget.refusals()), (512 << 10, 0));
        room.give_back(100);
        assert!(!room.take(101) && room.take(100));
        room.clear();
        assert_eq!(budget.used(), 0);

        let room = LogRoom::new(&Account::default(), 1000);
        assert!(room.take(1000) && !room.take(1));
        room.clear();
        assert!(room.take(1));
    }
}
