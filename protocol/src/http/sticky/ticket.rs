//! A ticket: a place in a session's queue.

use super::deferred::Deferred;
use super::error::TakeError;
use super::registry::Registry;
use super::session_guard::SessionGuard;
use super::slot::{Slot, TicketNumber};
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// The result of [`Sessions::take`](super::Sessions::take): the session, or a place in its queue.
#[derive(Debug)]
pub enum Taken {
    /// The session: no other call uses it or waits for it.
    Now(SessionGuard),
    /// A ticket, which receives the session when the calls before it have ended.
    Wait(Ticket),
}

/// A place in the queue of a session that another call uses. Tickets are served in order.
///
/// A returned session belongs to the first ticket from that moment on: a later call cannot overtake it, however late it is
/// polled. So poll a ticket when it is woken, or drop it. Dropping it leaves the queue; if the session already belonged to this
/// ticket, it passes to the next. A session whose ticket is neither polled nor dropped cannot be used until it expires.
pub struct Ticket {
    registry: Arc<Registry>,
    slot: Arc<Slot>,
    number: TicketNumber,
}

impl Ticket {
    pub(super) fn new(registry: Arc<Registry>, slot: Arc<Slot>, number: TicketNumber) -> Self {
        Self { registry, slot, number }
    }

    /// Returns the session if it is this ticket's turn, and `None` while other tickets are before it. The waker of the last
    /// poll is woken when it is this ticket's turn or the session ends; a spurious poll has no effect.
    ///
    /// After this has returned the session or an error, further polls return [`TakeError::Lost`].
    ///
    /// # Errors
    ///
    /// [`TakeError::Lost`] if the session has ended or has expired at `now`. If it has expired, the other tickets lose it too,
    /// and are woken.
    pub fn poll(&mut self, now: Duration, waker: &Waker) -> Result<Option<SessionGuard>, TakeError> {
        let mut deferred = Deferred::default();
        if self.slot.has_expired(now) {
            // This ticket leaves first: this poll reports the end, so it need not be woken.
            self.slot.leave(self.number, &mut deferred);
            self.registry.expire(&self.slot, now);
            deferred.run();
            return Err(TakeError::Lost);
        }
        let state = self.slot.poll(self.number, waker.clone(), &mut deferred);
        let held = state.map(|state| {
            state.map(|state| SessionGuard::new(Arc::clone(&self.registry), Arc::clone(&self.slot), state))
        });
        deferred.run();
        held
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut deferred = Deferred::default();
        self.slot.leave(self.number, &mut deferred);
        deferred.run();
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("id", &self.slot.id_hex()).finish_non_exhaustive()
    }
}
