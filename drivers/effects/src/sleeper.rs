//! A waker for a thread that blocks.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// A waker, and what sleeps until it is woken.
pub fn sleeper() -> (Waker, Sleeper) {
    let signal = Arc::new(Signal::default());
    (signal.clone().into(), Sleeper(signal))
}

/// Sleeps until its waker is woken. Made by [`sleeper`].
#[derive(Debug)]
pub struct Sleeper(Arc<Signal>);

impl Sleeper {
    /// Sleeps until the waker has been woken since the last call of this. Returns at once if it already was.
    pub fn wait(&self) {
        let woken = self.0.woken.lock().unwrap_or_else(PoisonError::into_inner);
        let asleep = |woken: &mut bool| !*woken;
        *self.0.changed.wait_while(woken, asleep).unwrap_or_else(PoisonError::into_inner) = false;
    }
}

#[derive(Debug, Default)]
struct Signal {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}
