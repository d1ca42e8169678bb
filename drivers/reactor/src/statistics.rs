//! What a server has done so far and does now, in numbers.

use std::fmt;
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};
use vgi_rpc_transfer::Throttle;

/// What a server has done so far and does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Connections that are open.
    pub open: usize,
    /// Connections accepted so far.
    pub accepted: u64,
    /// Connections that were closed to make room for new ones, so far.
    pub gave_way: u64,
    /// Connections that were closed because they took too long, so far.
    pub timed_out: u64,
    /// Connections that were closed for the memory that they held, so far.
    pub closed_for_memory: u64,
    /// Times that the system refused to accept a connection, for want of descriptors or memory.
    pub accepts_failed: u64,
    /// Times that the server was full when a connection came, and none gave way at once: it waits in the listener's backlog.
    pub full: u64,
    /// Connections with something to do that wait for a thread.
    pub jobs_waiting: usize,
    /// Threads that run work.
    pub jobs_running: usize,
    /// Threads, the one that calls [`Reactor::run`](crate::Reactor::run) aside.
    pub threads: usize,
}

/// Looks at a server from outside, and does not keep it alive. Clones look at the same one.
#[derive(Clone)]
pub struct Watch(pub(crate) Weak<dyn Counted>);

impl Watch {
    /// What the server does now; `None` once it is gone.
    pub fn statistics(&self) -> Option<Statistics> {
        Some(self.0.upgrade()?.statistics())
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.statistics()).finish()
    }
}

/// What a [`Watch`] looks at.
pub(crate) trait Counted: Send + Sync {
    fn statistics(&self) -> Statistics;
}

/// One thing that is counted, and now and then told of.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    count: AtomicU64,
    pub(crate) throttle: Throttle,
}

impl Tally {
    pub(crate) fn add(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// What is counted as it happens.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    pub(crate) accepted: Tally,
    pub(crate) gave_way: Tally,
    pub(crate) timed_out: Tally,
    pub(crate) for_memory: Tally,
    pub(crate) accepts_failed: Tally,
    pub(crate) full: Tally,
}
