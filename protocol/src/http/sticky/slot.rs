//! The slot of one session: its value while no call uses it, and the queue of waiting tickets.

use super::deferred::{Deferred, State};
use super::error::TakeError;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// The id of a session: 12 random bytes drawn when it is opened.
pub type SessionId = [u8; 12];

/// The number of a ticket within its slot. A later ticket has a higher number.
pub(super) type TicketNumber = u64;

/// One open session, shared by the registry, the call that uses it, and the waiting tickets.
pub(super) struct Slot {
    pub(super) id: SessionId,
    pub(super) owner: Box<str>,
    /// The account whose quota the session counts against.
    pub(super) account: Option<Box<str>>,
    pub(super) expires_at: Duration,
    queue: Mutex<Queue>,
}

/// The session's value or its state, and the waiting tickets.
struct Queue {
    place: Place,
    /// In the order of their numbers. A ticket that is no longer in the queue has lost the session.
    waiting: VecDeque<Waiter>,
    next_number: TicketNumber,
}

enum Place {
    /// No call uses the value. It belongs to the first ticket of the queue, which has been woken but has not been polled yet.
    /// If no ticket waits, it belongs to the next call that takes the session.
    Here(State),
    /// A call uses the value and will return it.
    Held,
    /// The session has ended. If a call still uses the value, it is dropped when that call returns it.
    Over,
}

struct Waiter {
    number: TicketNumber,
    /// The waker of the last poll. `None` before the first poll and after it was woken.
    waker: Option<Waker>,
}

/// The result of taking a session.
pub(super) enum Turn {
    Now(State),
    /// The number of a new ticket at the end of the queue.
    Wait(TicketNumber),
}

impl Slot {
    /// Creates a session that the opening call already uses.
    pub(super) fn held(id: SessionId, owner: &str, account: Option<Box<str>>, expires_at: Duration) -> Self {
        let queue = Mutex::new(Queue { place: Place::Held, waiting: VecDeque::new(), next_number: 0 });
        Self { id, owner: owner.into(), account, expires_at, queue }
    }

    pub(super) fn id_hex(&self) -> String {
        self.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Takes the value, or a place in the queue if the value is in use or belongs to a ticket. At most `max_waiting` tickets
    /// may wait.
    pub(super) fn take(&self, max_waiting: usize) -> Result<Turn, TakeError> {
        let mut queue = self.lock();
        if matches!(queue.place, Place::Over) {
            return Err(TakeError::Lost);
        }
        if queue.waiting.is_empty()
            && let Some(state) = queue.fetch()
        {
            return Ok(Turn::Now(state));
        }
        if queue.waiting.len() >= max_waiting {
            return Err(TakeError::Busy { limit: max_waiting });
        }
        let number = queue.next_number;
        queue.next_number += 1;
        queue.waiting.push_back(Waiter { number, waker: None });
        Ok(Turn::Wait(number))
    }

    /// Takes the value if it is this ticket's turn. Otherwise the ticket keeps its place, and this waker is woken when that
    /// changes.
    pub(super) fn poll(
        &self,
        number: TicketNumber,
        waker: Waker,
        deferred: &mut Deferred,
    ) -> Result<Option<State>, TakeError> {
        let mut queue = self.lock();
        let position = queue.position(number);
        if position == Some(0)
            && let Some(state) = queue.fetch()
        {
            deferred.drop_waker(waker);
            queue.leave(number, deferred);
            return Ok(Some(state));
        }
        let Some(waiter) = position.and_then(|position| queue.waiting.get_mut(position)) else {
            deferred.drop_waker(waker);
            return Err(TakeError::Lost);
        };
        if let Some(before) = waiter.waker.replace(waker) {
            deferred.drop_waker(before);
        }
        Ok(None)
    }

    /// Removes a ticket from the queue, if it is still in it. If the value belonged to this ticket, it passes to the next one.
    pub(super) fn leave(&self, number: TicketNumber, deferred: &mut Deferred) {
        let mut queue = self.lock();
        queue.leave(number, deferred);
        queue.hand_over(deferred);
    }

    /// Returns the value to the slot, where it belongs to the first ticket. If the session has ended, the value is dropped.
    pub(super) fn give_back(&self, state: State, deferred: &mut Deferred) {
        let mut queue = self.lock();
        if matches!(queue.place, Place::Over) {
            deferred.drop_value(state);
        } else {
            queue.place = Place::Here(state);
            queue.hand_over(deferred);
        }
    }

    /// Ends the session, also for the waiting tickets. If a call uses the value, it is dropped when that call returns it.
    pub(super) fn end(&self, deferred: &mut Deferred) {
        self.lock().end(deferred);
    }

    pub(super) fn has_expired(&self, now: Duration) -> bool {
        now >= self.expires_at
    }

    /// If the session has expired, rejects the waiting tickets and ends the session unless a call uses it. Returns whether this
    /// ended it.
    pub(super) fn expire(&self, now: Duration, deferred: &mut Deferred) -> bool {
        if !self.has_expired(now) {
            return false;
        }
        let mut queue = self.lock();
        let ends = matches!(queue.place, Place::Here(_));
        if ends {
            queue.end(deferred);
        } else {
            queue.turn_away(deferred);
        }
        ends
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No foreign code runs under the lock, so the queue is consistent even after a panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn position(&self, number: TicketNumber) -> Option<usize> {
        self.waiting.binary_search_by_key(&number, |waiter| waiter.number).ok()
    }

    /// Takes the value if no call uses it.
    fn fetch(&mut self) -> Option<State> {
        match std::mem::replace(&mut self.place, Place::Held) {
            Place::Here(state) => Some(state),
            other => {
                self.place = other;
                None
            }
        }
    }

    fn leave(&mut self, number: TicketNumber, deferred: &mut Deferred) {
        let waiter = self.position(number).and_then(|position| self.waiting.remove(position));
        if let Some(waker) = waiter.and_then(|waiter| waiter.waker) {
            deferred.drop_waker(waker);
        }
    }

    /// If no call uses the value, wakes the ticket that it belongs to, once.
    fn hand_over(&mut self, deferred: &mut Deferred) {
        if matches!(self.place, Place::Here(_))
            && let Some(waker) = self.waiting.front_mut().and_then(|first| first.waker.take())
        {
            deferred.wake(waker);
        }
    }

    fn end(&mut self, deferred: &mut Deferred) {
        if let Place::Here(state) = std::mem::replace(&mut self.place, Place::Over) {
            deferred.drop_value(state);
        }
        self.turn_away(deferred);
    }

    /// Empties the queue: all tickets in it have lost the session.
    fn turn_away(&mut self, deferred: &mut Deferred) {
        for waiter in self.waiting.drain(..) {
            if let Some(waker) = waiter.waker {
                deferred.wake(waker);
            }
        }
    }
}
