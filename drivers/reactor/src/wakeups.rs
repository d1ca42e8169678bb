//! Wakes the poll from any thread: for queue entries, and for connections that were woken.

use crate::locks::lock;
use crate::tokens::WAKER;
use mio::{Registry, Token, Waker};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Wake;

/// Wakes the poll because memory is short, after which the supervisor checks. There may be thousands of refusals, so only the
/// first one since its last check wakes the poll.
#[derive(Debug)]
pub(crate) struct MemoryAlarm {
    wakeups: Arc<Wakeups>,
    is_raised: AtomicBool,
}

impl MemoryAlarm {
    pub(crate) fn new(wakeups: Arc<Wakeups>) -> Self {
        Self { wakeups, is_raised: AtomicBool::new(false) }
    }

    /// Must be called before the refusals are checked.
    pub(crate) fn lower(&self) {
        self.is_raised.store(false, Ordering::SeqCst);
    }
}

impl Wake for MemoryAlarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_raised.swap(true, Ordering::SeqCst) {
            self.wakeups.wake_poll();
        }
    }
}

/// The poll's waker, and the connections that it is woken for.
///
/// Waking acquires only the lock in here, and nothing is called or dropped under it. So a connection may be woken under any
/// lock, including the server's own.
#[derive(Debug)]
pub(crate) struct Wakeups {
    waker: Waker,
    /// Connections claimed by their wakers. They are queued after the next poll.
    woken: Mutex<Vec<Token>>,
}

impl Wakeups {
    pub(crate) fn new(registry: &Registry) -> io::Result<Self> {
        Ok(Self { waker: Waker::new(registry, WAKER)?, woken: Mutex::default() })
    }

    /// Makes the poll return.
    pub(crate) fn wake_poll(&self) {
        // If the system cannot wake the poll, polling fails with its own error.
        let _ = self.waker.wake();
    }

    /// Adds a connection that the caller owns, to be served.
    pub(crate) fn push(&self, token: Token) {
        let is_first = {
            let mut woken = lock(&self.woken);
            woken.push(token);
            woken.len() == 1
        };
        // The thread that pushed the first one wakes the poll for all that follow.
        if is_first {
            self.wake_poll();
        }
    }

    /// Removes the connections that were woken, and passes them to `queue`, which must not wake anything.
    pub(crate) fn drain(&self, queue: impl FnMut(Token)) {
        lock(&self.woken).drain(..).for_each(queue);
    }
}
