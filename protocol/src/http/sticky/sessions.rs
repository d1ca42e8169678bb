//! The registry of the sessions that are open on this server.

use super::error::{OpenError, TakeError};
use super::quota::Quota;
use super::registry::Registry;
use super::session_guard::SessionGuard;
use super::slot::{SessionId, Slot, Turn};
use super::ticket::{Taken, Ticket};
use crate::panics;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

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

impl Sessions {
    /// No sessions yet, at most so many at once, and for each at most so many calls that wait while another holds it.
    pub fn new(max_sessions: usize, max_waiting: usize) -> Self {
        Self { registry: Arc::new(Registry::new(max_sessions, max_waiting)) }
    }

    /// How many sessions are open; expired ones count until they are noticed.
    pub fn len(&self) -> usize {
        self.registry.len()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether new sessions are refused because the server is about to stop.
    pub fn is_draining(&self) -> bool {
        self.registry.is_draining()
    }

    /// Refuses new sessions from now on, or accepts them again. Open ones are served either way.
    pub fn set_draining(&self, draining: bool) {
        self.registry.set_draining(draining);
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
    ) -> Result<SessionGuard, OpenError> {
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
            panics::discard(state);
            return Err(error);
        }
        Ok(SessionGuard::new(Arc::clone(&self.registry), slot, state))
    }

    /// Takes hold of a session, or a place in the queue of those that wait for it. The waker is used as
    /// [`Ticket::poll`] uses it.
    ///
    /// To end a session from outside its calls, take it and then call [`SessionGuard::close`].
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
            Turn::Now(state) => Ok(Taken::Now(SessionGuard::new(registry, slot, state))),
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
        self.registry.expire_all(now)
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
