//! The numbers of one moment.

use std::time::Duration;
use vgi_rpc_protocol::wire::code::Code;

/// The upper bounds of the buckets of [`Durations`]; one more bucket has what took longer.
pub(crate) const BOUNDS: [Duration; 14] = [
    Duration::from_micros(100),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(10),
    Duration::from_secs(60),
];

/// What a server does at one moment, and has done so far. The numbers are read one after the other, so calls that end meanwhile may
/// be in some of them only.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// The methods that were called, by protocol and name.
    pub calls: Vec<MethodCalls>,
    /// The servers that are there, with the names that they were given.
    pub servers: Vec<(String, vgi_rpc_reactor::Statistics)>,
    /// The threads that perform effects, with the names that they were given.
    pub effects: Vec<(String, vgi_rpc_effects::Statistics)>,
    /// The memory budgets.
    pub budgets: Vec<BudgetUse>,
    /// What was refused so far, by the reasons that the program has given.
    pub refusals: Vec<(String, u64)>,
    /// The access log, if there is one.
    pub access_log: Option<vgi_rpc_access_log::Statistics>,
    /// Sticky sessions that are open, on servers that have them.
    pub sessions: Option<usize>,
    /// What was done with segments of shared memory, with the names that the program has given.
    pub shared_memory: Vec<(String, vgi_rpc_protocol::shm::Counts)>,
}

/// The calls of one method.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodCalls {
    /// The protocol.
    pub protocol: String,
    /// The method.
    pub method: String,
    /// Calls that have not ended.
    pub in_flight: u64,
    /// Calls that have succeeded.
    pub ok: u64,
    /// Calls that have failed, by code. Codes without any are not there.
    pub failed: Vec<(Code, u64)>,
    /// How long they took.
    pub durations: Durations,
}

/// How long calls took.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Durations {
    pub(crate) buckets: [u64; BOUNDS.len() + 1],
    /// All of them together.
    pub sum: Duration,
}

impl Durations {
    /// Calls that took no longer than each bound, in the order of bounds: every number includes the ones before it.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        let mut total = 0;
        BOUNDS.iter().zip(self.buckets).map(move |(bound, calls)| {
            total += calls;
            (*bound, total)
        })
    }

    /// All calls.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// A memory budget.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetUse {
    /// The name that it was given.
    pub name: String,
    /// Bytes that peers can make the process hold.
    pub limit: usize,
    /// Bytes that are in use.
    pub used: usize,
    /// Times that memory was refused.
    pub refusals: u64,
}
