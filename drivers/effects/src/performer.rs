//! The [`Performer`]: the threads that perform effects, and their settings.

use crate::handle::Handle;
use crate::inbox::Inbox;
use crate::perform::Perform;
use crate::pool::{Bounds, Pool};
use crate::watch::Watch;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;
use vgi_rpc_protocol::effect::{Failure, Request};

/// The threads that perform the effects of all connections of a process. Clones share them.
///
/// Effects are performed in the order in which they are requested, so many requests of one caller delay those of other callers:
/// see [limits](crate#limits).
///
/// The threads end when the last clone and the last [`Inbox`] have been dropped. Threads that are performing an effect finish it
/// first; nothing waits for them.
#[derive(Clone, Default)]
pub struct Performer(Option<Arc<Handle>>);

impl Performer {
    /// Creates a performer that calls `perform`, on at most 8 threads.
    pub fn new(perform: impl Perform) -> Self {
        Self(Some(Arc::new(Handle::new(Pool::new(Box::new(perform))))))
    }

    /// Creates a performer for servers without effects: every effect fails with
    /// [`Failure::unsupported`](vgi_rpc_protocol::effect::Failure::unsupported). No thread is ever started.
    pub fn none() -> Self {
        Self(None)
    }

    /// Whether it performs nothing, like [`none`](Self::none).
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Creates a performer of questions that [bring their answer](vgi_rpc_protocol::effect::Question::answered_by). All other
    /// effects fail with [`Failure::unsupported`](vgi_rpc_protocol::effect::Failure::unsupported).
    pub fn own_answers() -> Self {
        Self::new(|_: &Request| Failure::unsupported().into())
    }

    /// Sets how many effects are performed at the same time, each on its own thread. At least 1; default 8.
    ///
    /// This and the other settings apply to all clones, and should be set before the first effect.
    pub fn threads(self, threads: usize) -> Self {
        self.set(|bounds| bounds.threads = threads.max(1))
    }

    /// Sets how many effects may wait for a thread. Further ones fail at once with
    /// [`Unavailable`](vgi_rpc_protocol::effect::FailureReason::Unavailable). Default 1024.
    ///
    /// Effects that are performed together count as one.
    pub fn queue(self, effects: usize) -> Self {
        self.set(|bounds| bounds.queue = effects)
    }

    /// Sets how long a thread is idle before it ends. Default 10 s.
    pub fn keep_alive(self, time: Duration) -> Self {
        self.set(|bounds| bounds.keep_alive = time)
    }

    /// Creates an inbox for one machine. `waker` is woken each time something is added to it.
    ///
    /// Wakers are called without a lock held, on any thread, and within [`Inbox::handle`] if an effect fails at once. A panicking
    /// waker does not affect others.
    pub fn inbox(&self, waker: Waker) -> Inbox {
        Inbox::new(self.0.clone(), waker)
    }

    /// Returns a handle that reads how many effects are running and waiting, while the threads exist.
    pub fn watch(&self) -> Watch {
        Watch::new(self.0.as_ref().map(|handle| Arc::downgrade(handle.pool())))
    }

    fn set(self, change: impl FnOnce(&mut Bounds)) -> Self {
        if let Some(handle) = &self.0 {
            handle.pool().configure(change);
        }
        self
    }
}

impl fmt::Debug for Performer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Performer").finish_non_exhaustive()
    }
}
