//! The registry of open sessions on this server.

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

/// The default maximum number of open sessions. Each keeps application resources, often a file or a connection, so thousands
/// are many. Clients that abandon sessions must not exhaust these resources.
pub const DEFAULT_MAX_SESSIONS: usize = 4096;

/// The default maximum number of calls that wait for one session. Each keeps its request in memory, so one client must not be
/// able to queue any number. A client with overlapping calls in a session has only a few in flight.
pub const DEFAULT_MAX_WAITING: usize = 16;

/// The open sessions of one server. Clones share them.
///
/// A session lives until it expires, is closed, or until [`shutdown`](Self::shutdown). Its lifetime starts when it is opened;
/// use does not prolong it. Then its value is dropped, so that the application can release its resources. A value in use by a
/// call is dropped when that call returns it, never earlier.
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
    /// Creates an empty registry with at most `max_sessions` open sessions and at most `max_waiting` waiting calls per session.
    pub fn new(max_sessions: usize, max_waiting: usize) -> Self {
        Self { registry: Arc::new(Registry::new(max_sessions, max_waiting)) }
    }

    /// Returns the number of open sessions, including expired ones that have not been dropped yet.
    pub fn len(&self) -> usize {
        self.registry.len()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether new sessions are refused because the server is draining.
    pub fn is_draining(&self) -> bool {
        self.registry.is_draining()
    }

    /// Sets whether new sessions are refused. Open sessions are still served.
    pub fn set_draining(&self, draining: bool) {
        self.registry.set_draining(draining);
    }

    /// Opens a session that expires `ttl` after `now`, and returns its guard.
    ///
    /// `owner` is the caller's [`TokenOwner::owner_key`](crate::http::token::TokenOwner::owner_key); no other owner can take the
    /// session. `quota` is the caller's own limit, in addition to the limit of all sessions. `id` must be random.
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
        // Expired sessions do not count.
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

    /// Takes a session, or a place in its queue. The waker is used as in [`Ticket::poll`].
    ///
    /// To end a session from outside its calls, take it and call [`SessionGuard::close`].
    ///
    /// A call that already has the session must not take it again: its ticket would wait for itself.
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
                // The queue does not have this ticket's waker yet, and the session may have become free since.
                let mut ticket = Ticket::new(registry, slot, number);
                let held = ticket.poll(now, waker)?;
                Ok(held.map_or(Taken::Wait(ticket), Taken::Now))
            }
        }
    }

    /// Ends the sessions that have expired at `now`, and returns how many. A session in use is ended later, but its waiting
    /// calls lose it now.
    pub fn expire(&self, now: Duration) -> usize {
        self.registry.expire_all(now)
    }

    /// Ends all sessions. Values in use are dropped when their calls return them; this does not wait for that. Waiting calls
    /// are woken and fail with [`TakeError::Lost`].
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
