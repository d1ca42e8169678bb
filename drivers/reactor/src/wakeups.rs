//! Makes the poll return, from any thread: for jobs that it left in the queue, and for connections that were woken.

use crate::locks::lock;
use crate::tokens::WAKER;
use mio::{Registry, Token, Waker};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Wake;

/// Has the poll return because memory is short, after which the supervisor looks. Refusals may come by the thousand, so
/// that only the first one since its last look wakes the poll.
#[derive(Debug)]
pub(crate) struct MemoryAlarm {
    wakeups: Arc<Wakeups>,
    is_raised: AtomicBool,
}

impl MemoryAlarm {
    pub(crate) fn new(wakeups: Arc<Wakeups>) -> Self {
        Self { wakeups, is_raised: AtomicBool::new(false) }
    }

    /// To be called before it is looked at what has happened.
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
/// Waking takes no lock but the one in here, and nothing is called or dropped under that one. So a connection may be
/// woken under any lock, the server's own included.
#[derive(Debug)]
pub(crate) struct Wakeups {
    waker: Waker,
    /// Connections that their wakers have claimed. They enter the queue after the next poll.
    woken: Mutex<Vec<Token>>,
}

impl Wakeups {
    pub(crate) fn new(registry: &Registry) -> io::Result<Self> {
        Ok(Self { waker: Waker::new(registry, WAKER)?, woken: Mutex::default() })
    }

    /// Has the poll return.
    pub(crate) fn wake_poll(&self) {
        // If the system cannot wake the poll, its own error will.
        let _ = self.waker.wake();
    }

    /// Has a connection served that the caller owns.
    pub(crate) fn push(&self, token: Token) {
        let is_first = {
            let mut woken = lock(&self.woken);
            woken.push(token);
            woken.len() == 1
        };
        // Whoever pushed the first one wakes the poll for all that follow.
        if is_first {
            self.wake_poll();
        }
    }

    /// Takes the connections that were woken. `queue` calls nothing that wakes.
    pub(crate) fn drain(&self, queue: impl FnMut(Token)) {
        lock(&self.woken).drain(..).for_each(queue);
    }
}
