//! A place in a session's queue.

use super::deferred::Deferred;
use super::error::TakeError;
use super::registry::Registry;
use super::session_guard::SessionGuard;
use super::slot::{Slot, TicketNumber};
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// What [`Sessions::take`](super::Sessions::take) returns: the session, or a place in its queue.
#[derive(Debug)]
pub enum Taken {
    /// No other call holds the session or waits for it.
    Now(SessionGuard),
    /// The session is this ticket's once the calls before it are done.
    Wait(Ticket),
}

/// A place in the queue of a session that another call holds. Tickets are served first come, first served.
///
/// When the session is returned, it belongs to the first ticket from that moment on: a later call cannot overtake it,
/// however late it is polled. So poll a ticket when it is woken, or drop it. Dropping it leaves the queue; if the
/// session belonged to this ticket already, it passes to the next. A session whose ticket is neither polled nor
/// dropped stays out of use until it expires.
pub struct Ticket {
    registry: Arc<Registry>,
    slot: Arc<Slot>,
    number: TicketNumber,
}

impl Ticket {
    pub(super) fn new(registry: Arc<Registry>, slot: Arc<Slot>, number: TicketNumber) -> Self {
        Self { registry, slot, number }
    }

    /// Returns the session if it is this ticket's turn, and `None` while others are before it. The waker of the last
    /// poll is woken when the turn comes or the session ends; a spurious poll does no harm.
    ///
    /// The ticket is used up once this has returned the session or an error: further polls return
    /// [`TakeError::Lost`].
    ///
    /// # Errors
    ///
    /// [`TakeError::Lost`] if the session has ended or its time is over at `now`. In the latter case the other tickets
    /// lose it too, and are woken.
    pub fn poll(&mut self, now: Duration, waker: &Waker) -> Result<Option<SessionGuard>, TakeError> {
        let mut deferred = Deferred::default();
        if self.slot.has_expired(now) {
            // This ticket leaves first, because it learns of the end here and need not be woken.
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
