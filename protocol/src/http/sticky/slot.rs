//! The place of one session: its value when no call holds it, and the queue of those who wait for it.

use super::sessions::{SessionId, TakeError};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What an application binds to a session.
pub(super) type State = Box<dyn Any + Send>;

/// One open session. It is shared by the registry, the call that holds it, and the calls that wait.
pub(super) struct Slot {
    pub(super) id: SessionId,
    pub(super) owner: Box<str>,
    /// Whose quota the session counts against.
    pub(super) account: Option<Box<str>>,
    pub(super) expires_at: Duration,
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// The session's value, or where it is, and how many wait for it.
struct Queue {
    place: Place,
    waiting: usize,
}

enum Place {
    /// Nobody holds the session.
    Idle(State),
    /// A call holds it and will return it.
    Held,
    /// It is over. If a call still holds the value, the value goes when that call returns it.
    Over,
}

impl Slot {
    /// A session that the call which opens it holds from the start.
    pub(super) fn held(id: SessionId, owner: &str, account: Option<Box<str>>, expires_at: Duration) -> Self {
        let queue = Mutex::new(Queue { place: Place::Held, waiting: 0 });
        Self { id, owner: owner.into(), account, expires_at, queue, changed: Condvar::new() }
    }

    pub(super) fn has_expired(&self, now: Duration) -> bool {
        now >= self.expires_at
    }

    /// Takes the value, waiting while another call holds it, unless `max_waiting` calls wait already.
    pub(super) fn take(&self, max_waiting: usize) -> Result<State, TakeError> {
        let mut queue = self.lock();
        if matches!(queue.place, Place::Held) {
            if queue.waiting >= max_waiting {
                return Err(TakeError::Busy { limit: max_waiting });
            }
            queue.waiting += 1;
            while matches!(queue.place, Place::Held) {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            queue.waiting -= 1;
        }
        match std::mem::replace(&mut queue.place, Place::Held) {
            Place::Idle(state) => Ok(state),
            Place::Held | Place::Over => {
                queue.place = Place::Over;
                Err(TakeError::Lost)
            }
        }
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// Returns the value to its place. Gives it back if the session ended meanwhile: it has no place any
    /// more.
    pub(super) fn give_back(&self, state: State) -> Option<State> {
        let mut queue = self.lock();
        if matches!(queue.place, Place::Over) {
            return Some(state);
        }
        queue.place = Place::Idle(state);
        drop(queue);
        self.changed.notify_one();
        None
    }

    /// Ends the session for those who wait and those to come. Gives the value if nobody holds it.
    pub(super) fn end(&self) -> Option<State> {
        self.end_locked(&mut self.lock().place)
    }

    /// Ends the session and gives its value, unless a call holds it.
    pub(super) fn end_if_idle(&self) -> Option<State> {
        let place = &mut self.lock().place;
        if matches!(place, Place::Idle(_)) { self.end_locked(place) } else { None }
    }

    fn end_locked(&self, place: &mut Place) -> Option<State> {
        let before = std::mem::replace(place, Place::Over);
        // Even beside an idle session calls may wait: of several, the return of the value wakes but one.
        self.changed.notify_all();
        match before {
            Place::Idle(state) => Some(state),
            Place::Held | Place::Over => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No foreign code runs under the lock, so the queue is whole even if a thread died beside it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops values of the application. A panic in a destructor concerns that value alone and ends here.
pub(super) fn discard(states: impl IntoIterator<Item = State>) {
    for state in states {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(state)));
    }
}
