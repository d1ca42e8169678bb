//! The registry of the sessions that are open on this server.

use super::deferred::{Deferred, discard};
use super::held::Held;
use super::quota::{Accounts, Quota};
use super::slot::{Slot, Turn};
use super::ticket::{Taken, Ticket};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;
use thiserror::Error;

/// Names a session: 12 bytes drawn at random when it is opened.
pub type SessionId = [u8; 12];

/// How many sessions may be open at once unless configured otherwise. Each holds something of the
/// application's, often a file or a connection, so thousands are many; a client that opens sessions and walks
/// away must not exhaust them.
pub const DEFAULT_MAX_SESSIONS: usize = 4096;

/// How many calls may wait for one session unless configured otherwise. Each of them keeps its request in memory, so
/// one client must not be able to queue any number. A client that overlaps its calls within a session has a few in
/// flight.
pub const DEFAULT_MAX_WAITING: usize = 16;

/// The open sessions of one server. Clones share them.
///
/// A session lives until its time is over, counted from its opening and not prolonged by use; until it is
/// closed; or until [`shutdown`](Self::shutdown). Then its value is dropped, which is the application's cue
/// to release what it holds. A value in use by a call is dropped when that call returns it, never earlier.
///
/// ```
/// # use vgi_rpc_protocol::http::sticky::{Sessions, TakeError, Taken};
/// # use std::task::Waker;
/// # use std::time::Duration;
/// # let waker = Waker::noop();
/// let sessions = Sessions::new(100, 16);
/// let (now, ttl) = (Duration::from_secs(1_800_000_000), Duration::from_secs(300));
/// let held = sessions.open(Box::new(vec![1, 2]), "ann", None, ttl, now, [7; 12])?;
/// let Taken::Wait(mut ticket) = sessions.take([7; 12], "ann", now, waker)? else {
///     panic!("the call that opened it still holds it");
/// };
/// assert!(ticket.poll(now, waker)?.is_none());
/// drop(held); // The call that opened it is over, so the waker is woken.
///
/// let mut held = ticket.poll(now, waker)?.expect("it is this ticket's turn");
/// held.downcast_mut::<Vec<i32>>().expect("opened with a vector").push(3);
/// held.close();
/// assert_eq!(sessions.take([7; 12], "ann", now, waker).err(), Some(TakeError::Lost));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Sessions {
    pub(super) registry: Arc<Registry>,
}

/// What clones of [`Sessions`], all [`Held`] and all [`Ticket`]s share.
pub(super) struct Registry {
    max_sessions: usize,
    max_waiting: usize,
    table: Mutex<Table>,
}

struct Table {
    slots: BTreeMap<SessionId, Arc<Slot>>,
    /// Counts the slots.
    accounts: Accounts,
    draining: bool,
}

/// A session was not opened. The value that it was to hold is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The server is about to stop: `server_draining` (sticky-sessions-spec 6).
    #[error("expected a server that accepts new sessions, got one that is draining")]
    Draining,
    /// As many sessions are open as may be.
    #[error("expected fewer than {limit} open sessions, got {limit}")]
    TooMany {
        /// The limit that [`Sessions::new`] was given.
        limit: usize,
    },
    /// The caller has as many sessions open as one caller may have.
    #[error("expected fewer than {limit} open sessions of one caller, got {limit}")]
    QuotaReached {
        /// The limit of the [`Quota`].
        limit: usize,
    },
    /// The id is not as random as it should be.
    #[error("expected a session id that is not in use, got one that is")]
    IdInUse,
}

/// No hold of a session was got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TakeError {
    /// It is not here: never opened, closed, expired, or another owner's. To the client all of these are one:
    /// `session_lost` (sticky-sessions-spec 6).
    #[error("the session is not here: it has ended, or it is another worker's or another caller's")]
    Lost,
    /// A call holds it, and as many wait for it as may.
    #[error("expected fewer than {limit} calls that wait for the session, got {limit}")]
    Busy {
        /// The limit that [`Sessions::new`] was given.
        limit: usize,
    },
}

impl Sessions {
    /// No sessions yet, at most so many at once, and for each at most so many calls that wait while another holds it.
    pub fn new(max_sessions: usize, max_waiting: usize) -> Self {
        let table =
            Mutex::new(Table { slots: BTreeMap::new(), accounts: Accounts::default(), draining: false });
        Self { registry: Arc::new(Registry { max_sessions, max_waiting, table }) }
    }

    /// How many sessions are open; expired ones count until they are noticed.
    pub fn len(&self) -> usize {
        self.registry.lock().slots.len()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether new sessions are refused because the server is about to stop.
    pub fn is_draining(&self) -> bool {
        self.registry.lock().draining
    }

    /// Refuses new sessions from now on, or accepts them again. Open ones are served either way.
    pub fn set_draining(&self, draining: bool) {
        self.registry.lock().draining = draining;
    }

    /// Opens a session that ends `ttl` after `now`, and gives the calling call hold of it.
    ///
    /// `owner` is the caller, as [`Identity::owner_key`](crate::http::token::Identity::owner_key) names it;
    /// no other owner finds the session. `quota` says whom the session counts against besides all of them; without
    /// one, only the number of all sessions is limited. `id` must be random.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open(
        &self,
        state: Box<dyn Any + Send>,
        owner: &str,
        quota: Option<Quota>,
        ttl: Duration,
        now: Duration,
        id: SessionId,
    ) -> Result<Held, OpenError> {
        let account = quota.as_ref().map(|quota| quota.account.clone());
        let slot = Arc::new(Slot::held(id, owner, account, now.saturating_add(ttl)));
        let mut added = self.registry.add(&slot, quota.as_ref());
        // Sessions whose time is over do not count, whether that was noticed before or not.
        if let Err(OpenError::TooMany { .. } | OpenError::QuotaReached { .. }) = added
            && self.expire(now) > 0
        {
            added = self.registry.add(&slot, quota.as_ref());
        }
        if let Err(error) = added {
            discard([state]);
            return Err(error);
        }
        Ok(Held::new(Arc::clone(&self.registry), slot, state))
    }

    /// Takes hold of a session, or a place in the queue of those that wait for it. The waker is used as
    /// [`Ticket::poll`] uses it.
    ///
    /// To end a session from outside its calls, take it and then call [`Held::close`].
    ///
    /// A call that already holds the session must not take it again: its ticket would wait for itself.
    ///
    /// # Errors
    ///
    /// See [`TakeError`].
    pub fn take(&self, id: SessionId, owner: &str, now: Duration, waker: &Waker) -> Result<Taken, TakeError> {
        let slot = self.registry.find(id, owner).ok_or(TakeError::Lost)?;
        if slot.has_expired(now) {
            self.registry.expire(&slot, now);
            return Err(TakeError::Lost);
        }
        let registry = Arc::clone(&self.registry);
        match slot.take(registry.max_waiting)? {
            Turn::Now(state) => Ok(Taken::Now(Held::new(registry, slot, state))),
            Turn::Wait(number) => {
                // The queue has no waker of this ticket yet. The session may have become free in the meantime.
                let mut ticket = Ticket::new(registry, slot, number);
                let held = ticket.poll(now, waker)?;
                Ok(held.map_or(Taken::Wait(ticket), Taken::Now))
            }
        }
    }

    /// Ends the sessions whose time is over at `now`, and returns how many. One that a call holds is left for the
    /// next time, but the calls that wait for it have lost it already.
    pub fn expire(&self, now: Duration) -> usize {
        let mut deferred = Deferred::default();
        let mut count = 0;
        let mut table = self.registry.lock();
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

    /// Ends all sessions, whatever their time. Values that calls hold are dropped when those calls return
    /// them; this does not wait for them. Calls that wait are woken and find their session lost.
    pub fn shutdown(&self) {
        self.registry.end_all();
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_SESSIONS, DEFAULT_MAX_WAITING)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("max_sessions", &self.registry.max_sessions)
            .field("max_waiting", &self.registry.max_waiting)
            .field("len", &self.len())
            .field("draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}

/// Where both locks are taken, the table's comes first and the slot's second. Values are dropped and wakers woken under
/// neither.
impl Registry {
    fn add(&self, slot: &Arc<Slot>, quota: Option<&Quota>) -> Result<(), OpenError> {
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

    fn find(&self, id: SessionId, owner: &str) -> Option<Arc<Slot>> {
        // The token's seal binds it to its owner already; this comparison is the second line of defence.
        self.lock().slots.get(&id).filter(|slot| *slot.owner == *owner).map(Arc::clone)
    }

    /// Forgets the slot, unless another session has come to bear its id.
    pub(super) fn remove(&self, slot: &Arc<Slot>) {
        let mut table = self.lock();
        if table.slots.get(&slot.id).is_some_and(|found| Arc::ptr_eq(found, slot)) {
            table.slots.remove(&slot.id);
            table.accounts.remove(slot);
        }
    }

    /// If the session's time is over, ends it unless a call holds it. The calls that wait for it lose it either way.
    pub(super) fn expire(&self, slot: &Arc<Slot>, now: Duration) {
        let mut deferred = Deferred::default();
        if slot.expire(now, &mut deferred) {
            self.remove(slot);
        }
        deferred.run();
    }

    fn end_all(&self) {
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
        // No foreign code runs under the lock, so the table is whole even if a thread died beside it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.end_all();
    }
}
