//! Counters of a server.

use std::fmt;
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};
use vgi_rpc_transfer::Throttle;

/// Counters of a server: totals so far, and current values.
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
    /// How often the system refused to accept a connection, for lack of descriptors or memory.
    pub accepts_failed: u64,
    /// How often the server was full when a connection arrived, and none gave way at once: it waits in the listener's backlog.
    pub full: u64,
    /// Connections that are ready and wait for a thread.
    pub jobs_waiting: usize,
    /// Threads that run jobs.
    pub jobs_running: usize,
    /// Threads that serve connections, not including the one that calls [`Reactor::run`](crate::Reactor::run).
    pub threads: usize,
}

/// Reads a server's counters without keeping it alive. Clones read the same server.
#[derive(Clone)]
pub struct Watch(pub(crate) Weak<dyn Counted>);

impl Watch {
    /// Returns the server's counters; `None` once it is dropped.
    pub fn statistics(&self) -> Option<Statistics> {
        Some(self.0.upgrade()?.statistics())
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.statistics()).finish()
    }
}

/// What a [`Watch`] reads.
pub(crate) trait Counted: Send + Sync {
    fn statistics(&self) -> Statistics;
}

/// A counter whose events are reported from time to time.
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

/// Counters that are incremented as events occur.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    pub(crate) accepted: Tally,
    pub(crate) gave_way: Tally,
    pub(crate) timed_out: Tally,
    pub(crate) for_memory: Tally,
    pub(crate) accepts_failed: Tally,
    pub(crate) full: Tally,
}
