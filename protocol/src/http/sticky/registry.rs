//! The table of open sessions, which all guards and tickets share.

use super::deferred::Deferred;
use super::error::OpenError;
use super::quota::{Accounts, Quota};
use super::slot::{SessionId, Slot};
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// The state shared by clones of [`Sessions`](super::Sessions), all [`SessionGuard`](super::SessionGuard)s and all
/// [`Ticket`](super::Ticket)s.
pub(super) struct Registry {
    pub(super) max_sessions: usize,
    pub(super) max_waiting: usize,
    table: Mutex<Table>,
}

struct Table {
    slots: BTreeMap<SessionId, Arc<Slot>>,
    /// Counts the slots.
    accounts: Accounts,
    draining: bool,
}

/// If both locks are taken, the table's is first and the slot's second. Values are dropped and wakers are woken without a lock.
impl Registry {
    pub(super) fn new(max_sessions: usize, max_waiting: usize) -> Self {
        let table = Table { slots: BTreeMap::new(), accounts: Accounts::default(), draining: false };
        Self { max_sessions, max_waiting, table: Mutex::new(table) }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().slots.len()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.lock().draining
    }

    pub(super) fn set_draining(&self, draining: bool) {
        self.lock().draining = draining;
    }

    pub(super) fn add(&self, slot: &Arc<Slot>, quota: Option<&Quota>) -> Result<(), OpenError> {
        let mut table = self.lock();
        if table.draining {
            return Err(OpenError::Draining);
        }
        if table.slots.contains_key(&slot.id) {
            return Err(OpenError::IdInUse);
        }
        if table.slots.len() >= self.max_sessions {
            return Err(OpenError::TooMany { limit: self.max_sessions });
        }
        if let Some(limit) = table.accounts.reached(quota) {
            return Err(OpenError::QuotaReached { limit });
        }
        table.accounts.add(slot);
        table.slots.insert(slot.id, Arc::clone(slot));
        Ok(())
    }

    pub(super) fn find(&self, id: SessionId, owner: &str) -> Option<Arc<Slot>> {
        // The sealed token is already bound to its owner; this comparison is a second line of defence.
        self.lock().slots.get(&id).filter(|slot| *slot.owner == *owner).map(Arc::clone)
    }

    /// Removes the slot, unless its id now belongs to another session.
    pub(super) fn remove(&self, slot: &Arc<Slot>) {
        let mut table = self.lock();
        if table.slots.get(&slot.id).is_some_and(|found| Arc::ptr_eq(found, slot)) {
            table.slots.remove(&slot.id);
            table.accounts.remove(slot);
        }
    }

    /// If the session has expired, ends it unless a call uses it. Waiting calls lose it in any case.
    pub(super) fn expire(&self, slot: &Arc<Slot>, now: Duration) {
        let mut deferred = Deferred::default();
        if slot.expire(now, &mut deferred) {
            self.remove(slot);
        }
        deferred.run();
    }

    /// Ends the expired sessions that no call uses, and returns how many.
    pub(super) fn expire_all(&self, now: Duration) -> usize {
        let mut deferred = Deferred::default();
        let mut count = 0;
        let mut table = self.lock();
        let Table { slots, accounts, .. } = &mut *table;
        slots.retain(|_, slot| {
            let ended = slot.expire(now, &mut deferred);
            if ended {
                accounts.remove(slot);
                count += 1;
            }
            !ended
        });
        drop(table);
        deferred.run();
        count
    }

    pub(super) fn end_all(&self) {
        let slots = {
            let mut table = self.lock();
            table.accounts = Accounts::default();
            std::mem::take(&mut table.slots)
        };
        let mut deferred = Deferred::default();
        slots.values().for_each(|slot| slot.end(&mut deferred));
        deferred.run();
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // No foreign code runs under the lock, so the table is consistent even after a panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.end_all();
    }
}
