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
/// Effects are performed in the order in which they are requested, so many requests of one caller delay those of others:
/// see [limits](crate#limits).
///
/// The threads end when the last clone and the last [`Inbox`] have been dropped. Those that are performing an effect then
/// finish it first; nothing waits for them.
#[derive(Clone, Default)]
pub struct Performer(Option<Arc<Handle>>);

impl Performer {
    /// Has effects performed by `perform`, on 8 threads at most.
    pub fn new(perform: impl Perform) -> Self {
        Self(Some(Arc::new(Handle::new(Pool::new(Box::new(perform))))))
    }

    /// For a server that asks the outside world nothing: every effect fails with
    /// [`Failure::unsupported`](vgi_rpc_protocol::effect::Failure::unsupported). No thread is ever started.
    pub fn none() -> Self {
        Self(None)
    }

    /// Whether it performs nothing, as [`none`](Self::none).
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Performs the questions that [bring their answer](vgi_rpc_protocol::effect::Question::answered_by). All other effects
    /// fail with [`Failure::unsupported`](vgi_rpc_protocol::effect::Failure::unsupported).
    pub fn own_answers() -> Self {
        Self::new(|_: &Request| Failure::unsupported().into())
    }

    /// Sets how many effects are performed at the same time, each on a thread of its own. At least 1; 8 by default.
    ///
    /// This and the other settings hold for all clones, and are meant to be made before the first effect.
    pub fn threads(self, threads: usize) -> Self {
        self.set(|bounds| bounds.threads = threads.max(1))
    }

    /// Sets how many effects may wait for a thread. What is requested beyond that fails at once with
    /// [`Unavailable`](vgi_rpc_protocol::effect::FailureReason::Unavailable). 1024 by default.
    ///
    /// Effects that share one performance count as one.
    pub fn queue(self, effects: usize) -> Self {
        self.set(|bounds| bounds.queue = effects)
    }

    /// Sets how long a thread waits for something to do before it ends. 10 s by default.
    pub fn keep_alive(self, time: Duration) -> Self {
        self.set(|bounds| bounds.keep_alive = time)
    }

    /// An inbox for one machine. `waker` is woken each time something has arrived in it.
    ///
    /// Wakers are called without a lock held, on any thread, and within [`Inbox::handle`] if an effect fails at once. One
    /// that panics harms no other.
    pub fn inbox(&self, waker: Waker) -> Inbox {
        Inbox::new(self.0.clone(), waker)
    }

    /// Looks at the threads for as long as they are there: how many effects they perform, and how many wait.
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
