//! Foreign code that must not run under a lock: destructors of session values, and wakers.

use crate::panics;
use std::any::Any;
use std::task::Waker;

/// The application's value of a session.
pub(super) type State = Box<dyn Any + Send>;

/// Foreign code to run without a lock. It is collected under the locks and run by [`run`](Self::run).
///
/// It may panic, and may call into [`Sessions`](super::Sessions) again.
#[derive(Default)]
#[must_use = "call `run` once no lock is held"]
pub(super) struct Deferred {
    values: Vec<State>,
    wakers: Vec<Waker>,
    unused_wakers: Vec<Waker>,
}

impl Deferred {
    /// Drops the value of a session that has ended.
    pub(super) fn drop_value(&mut self, value: State) {
        self.values.push(value);
    }

    /// Wakes a waiting call.
    pub(super) fn wake(&mut self, waker: Waker) {
        self.wakers.push(waker);
    }

    /// Drops a waker without waking it. Its destructor is foreign code too.
    pub(super) fn drop_waker(&mut self, waker: Waker) {
        self.unused_wakers.push(waker);
    }

    /// Runs the collected code, values first: a call that is woken because its session ended usually finds the session's
    /// resources released.
    pub(super) fn run(self) {
        panics::discard_all(self.values);
        for waker in self.wakers {
            panics::catch(|| waker.wake());
        }
        panics::discard_all(self.unused_wakers);
    }
}
