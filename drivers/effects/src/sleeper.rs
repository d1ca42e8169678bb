//! A waker for a thread that blocks.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// Creates a waker, and a sleeper that waits until it is woken.
pub fn sleeper() -> (Waker, Sleeper) {
    let signal = Arc::new(Signal::default());
    (signal.clone().into(), Sleeper(signal))
}

/// Blocks until its waker is woken. Created by [`sleeper`].
#[derive(Debug)]
pub struct Sleeper(Arc<Signal>);

impl Sleeper {
    /// Blocks until the waker is woken. Returns at once if it was woken since the last call.
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
