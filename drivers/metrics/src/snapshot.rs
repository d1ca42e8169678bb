//! The numbers at one moment.

use std::time::Duration;
use vgi_rpc_protocol::wire::code::Code;

/// The upper bounds of the buckets of [`Durations`]; one more bucket has the longer ones.
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

/// The current state and the totals of a server. The numbers are read one after the other, so a call that ends during this may be
/// included only in some.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// The methods that were called, by protocol and name.
    pub calls: Vec<MethodCalls>,
    /// The running servers, by the names that the program has set.
    pub servers: Vec<(String, vgi_rpc_reactor::Statistics)>,
    /// The performers of effects, by the names that the program has set.
    pub effects: Vec<(String, vgi_rpc_effects::Statistics)>,
    /// The memory budgets.
    pub budgets: Vec<BudgetUse>,
    /// The refusals so far, by the reasons that the program has set.
    pub refusals: Vec<(String, u64)>,
    /// The access log, if there is one.
    pub access_log: Option<vgi_rpc_access_log::Statistics>,
    /// The number of open sticky sessions, if the server has them.
    pub sessions: Option<usize>,
    /// The counts of shared memory, by the names that the program has set.
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
    /// Calls that have failed, by code. Codes without calls are omitted.
    pub failed: Vec<(Code, u64)>,
    /// The durations of its calls.
    pub durations: Durations,
}

/// The durations of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Durations {
    pub(crate) buckets: [u64; BOUNDS.len() + 1],
    /// The sum of all durations.
    pub sum: Duration,
}

impl Durations {
    /// Returns the number of calls up to each bound, in the order of bounds: each number includes the previous ones.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        let mut total = 0;
        BOUNDS.iter().zip(self.buckets).map(move |(bound, calls)| {
            total += calls;
            (*bound, total)
        })
    }

    /// Returns the number of all calls.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// A memory budget.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetUse {
    /// The name that the program has set.
    pub name: String,
    /// The maximum number of bytes that peers may use in the process.
    pub limit: usize,
    /// The number of bytes in use.
    pub used: usize,
    /// How often memory was refused.
    pub refusals: u64,
}
