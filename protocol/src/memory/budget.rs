//! A memory budget that all machines of a process share, and the accounts in which they reserve it.

use crate::panics;
use bytes::Bytes;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use thiserror::Error;

/// A limit on the memory that the peers of a process can make it use, for all of its machines together.
///
/// A driver creates one budget and opens an [`Account`] in it for each connection. Clones are the same budget.
///
/// ```
/// use vgi_rpc_protocol::memory::Budget;
///
/// let budget = Budget::new(1 << 20);
/// let account = budget.account();
/// let reserved = account.reserve(500_000)?;
/// assert_eq!(account.held(), 500_000);
/// assert!(account.reserve(1 << 20).is_err(), "both together exceed the budget");
/// drop(reserved);
/// assert_eq!(budget.used(), 0);
/// # Ok::<(), vgi_rpc_protocol::memory::OverBudget>(())
/// ```
#[derive(Clone)]
pub struct Budget(Arc<Shared>);

struct Shared {
    limit: usize,
    /// Signed, since a release may be counted before the reservation that it belongs to.
    used: AtomicI64,
    refusals: AtomicU64,
    /// Whether there are watchers.
    is_watched: AtomicBool,
    watchers: Mutex<Vec<Arc<Waker>>>,
}

impl Budget {
    /// The bytes that every account may use without drawing on the budget, so that small calls are served while the budget is
    /// exhausted: one read of the largest scratch buffer, or a small message and its response.
    pub const FLOOR_BYTES: usize = 64 << 10;

    /// Creates a budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Shared {
            limit,
            used: AtomicI64::new(0),
            refusals: AtomicU64::new(0),
            is_watched: AtomicBool::new(false),
            watchers: Mutex::default(),
        }))
    }

    /// Returns the size of the budget in bytes.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// Returns the number of reserved bytes, without those below the floor of each account.
    ///
    /// This exceeds [`Self::limit`] if memory was [charged](Account::charge) that could not be refused.
    pub fn used(&self) -> usize {
        usize::try_from(self.0.used.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// Returns how many reservations have been refused. A driver that sees this number rise should free memory.
    pub fn refusals(&self) -> u64 {
        self.0.refusals.load(Ordering::Relaxed)
    }

    /// Wakes `waker` each time that a reservation is refused, until the [`Watch`] is dropped. A server learns in this way that
    /// another connection needs memory which its idle connections have cached.
    ///
    /// It is woken on the thread whose reservation was refused. That thread may hold its own locks, so the waker should only
    /// record the event. No lock of the budget is held during the call, and a panic is ignored. It may be woken once more while
    /// the watch is being dropped.
    pub fn on_refusal(&self, waker: Waker) -> Watch {
        let waker = Arc::new(waker);
        let mut watchers = self.watchers();
        watchers.push(waker.clone());
        self.0.is_watched.store(true, Ordering::Relaxed);
        drop(watchers);
        Watch { budget: self.clone(), waker }
    }

    /// Opens the account of one connection.
    pub fn account(&self) -> Account {
        Account(Some(Arc::new(Ledger { budget: self.clone(), held: AtomicUsize::new(0) })))
    }

    /// Returns whether less than half of the budget is in use. Only then is memory cached for later use.
    fn has_room(&self) -> bool {
        self.used() < self.0.limit / 2
    }

    /// Takes `bytes` if the usage then does not exceed `limit`.
    fn take(&self, bytes: usize, limit: usize) -> bool {
        let limit = signed(limit);
        let fits = |used: i64| used.checked_add(signed(bytes)).filter(|sum| *sum <= limit);
        self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    fn add(&self, bytes: i64) {
        self.0.used.fetch_add(bytes, Ordering::Relaxed);
    }

    fn refuse(&self, wanted: usize) -> OverBudget {
        self.0.refusals.fetch_add(1, Ordering::Relaxed);
        if self.0.is_watched.load(Ordering::Relaxed) {
            self.wake_watchers();
        }
        OverBudget { wanted, used: self.used(), limit: self.limit() }
    }

    #[cold]
    fn wake_watchers(&self) {
        // This code belongs to the application, so it is neither called nor dropped under the lock.
        let watchers = self.watchers().clone();
        for waker in watchers {
            panics::catch(|| waker.wake_by_ref());
            panics::discard(waker);
        }
    }

    fn watchers(&self) -> MutexGuard<'_, Vec<Arc<Waker>>> {
        // The list of handles is consistent after any panic.
        self.0.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A registration of a waker with [`Budget::on_refusal`]. Dropping it removes the waker.
#[must_use = "dropping a watch ends it"]
pub struct Watch {
    budget: Budget,
    waker: Arc<Waker>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watchers = self.budget.watchers();
        // One handle is kept here, so that the waker is not dropped under the lock.
        watchers.retain(|waker| !Arc::ptr_eq(waker, &self.waker));
        self.budget.0.is_watched.store(!watchers.is_empty(), Ordering::Relaxed);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("budget", &self.budget).finish_non_exhaustive()
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("limit", &self.limit()).field("used", &self.used()).finish()
    }
}

/// One connection's share of a [`Budget`]. Clones are the same account.
///
/// The default account belongs to no budget: it refuses and counts nothing.
#[derive(Clone, Default)]
pub struct Account(Option<Arc<Ledger>>);

struct Ledger {
    budget: Budget,
    held: AtomicUsize,
}

impl Ledger {
    /// Returns the part of `held` bytes that is drawn from the budget.
    fn drawn(held: usize) -> usize {
        held.saturating_sub(Budget::FLOOR_BYTES)
    }

    /// Adds to the held bytes. Returns by how much the draw on the budget grows.
    fn add(&self, bytes: usize) -> usize {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        Self::drawn(before.saturating_add(bytes)) - Self::drawn(before)
    }

    fn subtract(&self, bytes: usize) -> usize {
        let before = self.held.fetch_sub(bytes, Ordering::Relaxed);
        Self::drawn(before) - Self::drawn(before.saturating_sub(bytes))
    }

    fn reserve(&self, bytes: usize) -> Result<(), OverBudget> {
        if bytes > self.budget.limit().saturating_add(Budget::FLOOR_BYTES) {
            return Err(self.budget.refuse(bytes));
        }
        let drawn = self.add(bytes);
        if drawn == 0 || self.budget.take(drawn, self.budget.limit()) {
            return Ok(());
        }
        self.undo(bytes, drawn);
        Err(self.budget.refuse(bytes))
    }

    /// As [`reserve`](Self::reserve), but leaves half of the budget to others. A refusal does not count as one.
    fn reserve_spare(&self, bytes: usize) -> bool {
        let drawn = self.add(bytes);
        let fits = self.budget.take(drawn, self.budget.limit() / 2);
        if !fits {
            self.undo(bytes, drawn);
        }
        fits
    }

    /// Undoes an addition whose draw the budget has refused.
    fn undo(&self, bytes: usize, drawn: usize) {
        // Other threads may have changed the account in between, so this may return another part of the draw than was refused.
        // The draw is a function of the held bytes, so the sums agree.
        let returned = self.subtract(bytes);
        self.budget.add(signed(drawn) - signed(returned));
    }

    fn charge(&self, bytes: usize) {
        let drawn = self.add(bytes);
        if drawn > 0 {
            self.budget.add(signed(drawn));
        }
    }

    fn release(&self, bytes: usize) {
        let returned = self.subtract(bytes);
        if returned > 0 {
            self.budget.add(-signed(returned));
        }
    }
}

impl Account {
    /// Returns the number of bytes that are reserved in this account.
    pub fn held(&self) -> usize {
        self.0.as_ref().map_or(0, |ledger| ledger.held.load(Ordering::Relaxed))
    }

    /// Reserves `bytes` until the reservation is dropped. Never blocks.
    ///
    /// # Errors
    /// If the budget has less left.
    pub fn reserve(&self, bytes: usize) -> Result<Reservation, OverBudget> {
        let mut reservation = self.empty();
        reservation.resize(bytes)?;
        Ok(reservation)
    }

    /// As [`Self::reserve`], for a 64-bit size. A size beyond the address space exceeds any budget.
    pub(crate) fn reserve_u64(&self, bytes: u64) -> Result<Reservation, OverBudget> {
        self.reserve(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// Counts memory that is already in use and cannot be refused. It may exceed the budget, so it is only for memory that is
    /// small or limited elsewhere.
    pub fn charge(&self, bytes: usize) -> Reservation {
        if let Some(ledger) = &self.0 {
            ledger.charge(bytes);
        }
        Reservation { account: self.clone(), bytes }
    }

    /// Copies `bytes` into memory that counts until its last clone is dropped. For data that a driver has read from a socket.
    pub fn copy(&self, bytes: &[u8]) -> Bytes {
        if self.0.is_none() {
            return Bytes::copy_from_slice(bytes);
        }
        self.charge(bytes.len()).hold(bytes.to_vec())
    }

    /// Returns a reservation of no bytes, to be resized.
    pub fn empty(&self) -> Reservation {
        Reservation { account: self.clone(), bytes: 0 }
    }

    /// Returns whether the budget has nothing left, so that no more data should be accepted before output is sent.
    #[inline]
    pub(crate) fn is_exhausted(&self) -> bool {
        self.0.as_ref().is_some_and(|ledger| ledger.budget.used() >= ledger.budget.limit())
    }

    /// Returns whether memory may be cached for later use.
    pub(crate) fn has_room(&self) -> bool {
        self.0.as_ref().is_none_or(|ledger| ledger.budget.has_room())
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(ledger) => {
                f.debug_struct("Account").field("held", &self.held()).field("budget", &ledger.budget).finish()
            }
            None => f.write_str("Account(no budget)"),
        }
    }
}

/// Bytes that are reserved in an [`Account`]. Dropping it releases them.
#[derive(Default)]
#[must_use = "dropping a reservation releases it"]
pub struct Reservation {
    account: Account,
    bytes: usize,
}

impl Reservation {
    /// Returns the number of reserved bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the reservation's account.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// Returns whether the account belongs to a budget.
    pub(crate) fn is_counted(&self) -> bool {
        self.account.0.is_some()
    }

    /// Changes the number of bytes.
    ///
    /// # Errors
    /// If the budget has less left. The reservation then stays as it is. Shrinking never fails.
    #[inline]
    pub fn resize(&mut self, bytes: usize) -> Result<(), OverBudget> {
        if let Some(ledger) = &self.account.0 {
            match bytes.checked_sub(self.bytes) {
                Some(0) => {}
                Some(more) => ledger.reserve(more)?,
                None => ledger.release(self.bytes - bytes),
            }
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Reserves `bytes` more for optional data, such as logs, and leaves half of the budget to others. Returns false, changing
    /// nothing and counting no refusal, if more than half would be in use.
    pub(crate) fn grow_into_spare(&mut self, bytes: usize) -> bool {
        let fits = self.account.0.as_ref().is_none_or(|ledger| ledger.reserve_spare(bytes));
        if fits {
            self.bytes = self.bytes.saturating_add(bytes);
        }
        fits
    }

    /// Counts `bytes` more that are already in use. See [`Account::charge`].
    pub fn charge(&mut self, bytes: usize) {
        if let Some(ledger) = &self.account.0 {
            ledger.charge(bytes);
        }
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Ties the reservation to its memory: it is released when the last clone or slice of the result is dropped.
    pub fn hold(self, memory: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        Bytes::from_owner(ReservedMemory { memory, _reservation: self })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(ledger) = &self.account.0
            && self.bytes > 0
        {
            ledger.release(self.bytes);
        }
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reservation").field(&self.bytes).finish()
    }
}

/// Memory together with its reservation.
struct ReservedMemory<M> {
    memory: M,
    _reservation: Reservation,
}

impl<M: AsRef<[u8]>> AsRef<[u8]> for ReservedMemory<M> {
    fn as_ref(&self) -> &[u8] {
        self.memory.as_ref()
    }
}

/// The budget has less left than requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the memory budget has no room for {wanted} bytes more: {used} of {limit} are in use, by all connections together"
)]
pub struct OverBudget {
    /// The requested bytes.
    pub wanted: usize,
    /// The bytes of the budget that were in use.
    pub used: usize,
    /// The size of the budget.
    pub limit: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: usize = Budget::FLOOR_BYTES;

    #[test]
    fn an_account_draws_on_the_budget_above_its_floor_only() {
        let budget = Budget::new(1000);
        let (one, other) = (budget.account(), budget.account());
        let small = one.reserve(FLOOR).unwrap();
        assert_eq!((one.held(), budget.used()), (FLOOR, 0));
        let mut more = one.reserve(600).unwrap();
        assert_eq!(budget.used(), 600);
        let error = other.reserve(FLOOR + 401).unwrap_err();
        assert_eq!(error, OverBudget { wanted: FLOOR + 401, used: 600, limit: 1000 });
        assert_eq!((other.held(), budget.used(), budget.refusals()), (0, 600, 1));
        assert!(other.reserve(FLOOR + 400).is_ok());
        more.resize(100).unwrap();
        assert_eq!(budget.used(), 100);
        drop(small);
        assert_eq!((one.held(), budget.used()), (100, 0));
    }

    #[test]
    fn a_refused_growth_leaves_a_reservation_as_it_is() {
        let budget = Budget::new(10);
        let mut reservation = budget.account().reserve(FLOOR).unwrap();
        assert!(reservation.resize(FLOOR + 11).is_err());
        assert_eq!((reservation.bytes(), budget.used()), (FLOOR, 0));
        reservation.resize(FLOOR + 10).unwrap();
        drop(reservation);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_can_be_done_without_leaves_half_of_the_budget() {
        let budget = Budget::new(1000);
        let mut logs = budget.account().empty();
        assert!(logs.grow_into_spare(FLOOR) && logs.grow_into_spare(500));
        assert!(!logs.grow_into_spare(1));
        assert_eq!((logs.bytes(), budget.used(), budget.refusals()), (FLOOR + 500, 500, 0));
        let held = budget.account().reserve(FLOOR + 500).unwrap();
        assert!(!budget.account().empty().grow_into_spare(1), "nor is the floor of an account used up by it");
        drop(held);
        assert!(Account::default().empty().grow_into_spare(usize::MAX));
    }

    #[test]
    fn memory_keeps_its_reservation_through_clones_and_slices() {
        let budget = Budget::new(1 << 20);
        let account = budget.account();
        let memory = account.reserve(200_000).unwrap().hold(vec![7; 200_000]);
        let slice = memory.slice(10..20);
        drop(memory);
        assert_eq!(account.held(), 200_000);
        assert_eq!(slice[..], [7; 10]);
        drop(slice);
        assert_eq!((account.held(), budget.used()), (0, 0));
    }

    #[test]
    fn what_is_there_already_is_counted_beyond_the_limit() {
        let budget = Budget::new(10);
        let account = budget.account();
        let copy = account.copy(&[1; FLOOR + 100]);
        assert_eq!((copy.len(), budget.used()), (FLOOR + 100, 100));
        assert!(account.reserve(1).is_err());
        drop(copy);
        assert_eq!(budget.used(), 0);
    }

    /// Counts wake-ups, and reads the budget in each.
    struct Watcher {
        budget: Budget,
        woken: AtomicUsize,
        panics: bool,
    }

    impl std::task::Wake for Watcher {
        fn wake(self: Arc<Self>) {
            self.woken.fetch_add(1, Ordering::Relaxed);
            drop(self.budget.on_refusal(Waker::noop().clone()));
            if self.panics {
                std::panic::panic_any("on purpose, in a waker");
            }
        }
    }

    #[test]
    fn watchers_are_woken_by_refusals_and_by_nothing_else() {
        let budget = Budget::new(10);
        let watcher = |panics| {
            let watcher = Arc::new(Watcher { budget: budget.clone(), woken: AtomicUsize::new(0), panics });
            let watch = budget.on_refusal(watcher.clone().into());
            (watcher, watch)
        };
        let woken = |watcher: &Watcher| watcher.woken.load(Ordering::Relaxed);
        let ((one, one_watches), (other, other_watches)) = (watcher(true), watcher(false));
        let account = budget.account();
        drop(account.reserve(FLOOR + 10).unwrap());
        drop(account.charge(FLOOR + 100));
        assert_eq!((woken(&one), woken(&other)), (0, 0));
        assert!(account.reserve(FLOOR + 11).is_err());
        assert_eq!((woken(&one), woken(&other)), (1, 1));
        drop(one_watches);
        assert!(account.reserve(FLOOR + 11).is_err());
        assert_eq!((woken(&one), woken(&other)), (1, 2));
        assert_eq!(Arc::strong_count(&one), 1, "the waker is gone");
        drop(other_watches);
        assert!(account.reserve(FLOOR + 11).is_err());
        assert_eq!(woken(&other), 2);
    }

    #[test]
    fn an_account_without_a_budget_refuses_nothing() {
        let account = Account::default();
        assert!(account.reserve(usize::MAX).is_ok());
        assert_eq!(account.held(), 0);
    }

    #[test]
    fn sums_agree_when_threads_reserve_and_release_at_once() {
        let budget = Budget::new(3 * FLOOR);
        let account = budget.account();
        std::thread::scope(|scope| {
            for seed in 0..4_usize {
                let account = &account;
                scope.spawn(move || {
                    let mut held = Vec::new();
                    for step in 0..20_000_usize {
                        let size = (step * 7919 + seed * 104_729) % (2 * FLOOR);
                        held.extend(account.reserve(size).ok());
                        if step % 3 == 0 {
                            held.pop();
                        }
                        if held.len() > 4 {
                            held.clear();
                        }
                    }
                });
            }
        });
        assert_eq!((account.held(), budget.used()), (0, 0));
    }
}
