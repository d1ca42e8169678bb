//! What is counted, and where the numbers come from.

use crate::calls::{CallCounter, Calls};
use crate::snapshot::{BudgetUse, Snapshot};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_effects::Performer;
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::shm::Counters;
use vgi_rpc_reactor::Watch;

/// The numbers of a process. Clones are the same ones.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Inner>);

#[derive(Default)]
struct Inner {
    calls: Arc<Calls>,
    sources: Mutex<Sources>,
}

type Count = Arc<dyn Fn() -> u64 + Send + Sync>;
type Size = Arc<dyn Fn() -> usize + Send + Sync>;

/// Where numbers come from that others count.
#[derive(Clone, Default)]
struct Sources {
    servers: Vec<(String, Watch)>,
    budgets: Vec<(String, Budget)>,
    effects: Vec<(String, vgi_rpc_effects::Watch)>,
    refusals: Vec<(String, Count)>,
    access_log: Option<AccessLog>,
    sessions: Option<Size>,
    shared_memory: Vec<(String, Counters)>,
}

impl Metrics {
    /// Numbers of a process that has done nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the calls of a service, as one of its hooks. Several services may be counted together.
    pub fn hook(&self) -> CallCounter {
        CallCounter(self.0.calls.clone())
    }

    /// Adds a server, which [`Handle::watch`](vgi_rpc_reactor::Handle::watch) looks at, under a name. Once the server is gone, so
    /// are its numbers.
    pub fn server(&self, name: impl Into<String>, watch: Watch) {
        self.sources().servers.push((name.into(), watch));
    }

    /// Adds the threads that perform effects, under a name. Once they have ended, their numbers are gone; those of
    /// [`Performer::none`] are never there.
    pub fn effects(&self, name: impl Into<String>, performer: &Performer) {
        self.sources().effects.push((name.into(), performer.watch()));
    }

    /// Adds a memory budget under a name.
    pub fn budget(&self, name: impl Into<String>, budget: Budget) {
        self.sources().budgets.push((name.into(), budget));
    }

    /// Adds a number of refusals that something else counts, such as failed handshakes of TLS, under a name of the reason.
    pub fn refusals(&self, reason: impl Into<String>, count: impl Fn() -> u64 + Send + Sync + 'static) {
        self.sources().refusals.push((reason.into(), Arc::new(count)));
    }

    /// Sets the access log. It stays open for as long as these numbers are there.
    pub fn access_log(&self, log: impl Into<Option<AccessLog>>) {
        self.sources().access_log = log.into();
    }

    /// Sets what says how many sticky sessions are open.
    pub fn sessions(&self, count: impl Fn() -> usize + Send + Sync + 'static) {
        self.sources().sessions = Some(Arc::new(count));
    }

    /// Adds what counts the segments of shared memory of a server or a client, such as `ShmServer::counters`, under a name.
    pub fn shared_memory(&self, name: impl Into<String>, counters: &Counters) {
        self.sources().shared_memory.push((name.into(), counters.clone()));
    }

    /// The numbers now.
    pub fn snapshot(&self) -> Snapshot {
        // The functions of the program are not called under the lock.
        let sources = self.sources().clone();
        let servers = sources.servers.into_iter();
        let budgets = sources.budgets.into_iter().map(|(name, budget)| BudgetUse {
            name,
            limit: budget.limit(),
            used: budget.used(),
            refusals: budget.refusals(),
        });
        let shared_memory = sources.shared_memory.into_iter();
        let effects = sources.effects.into_iter();
        Snapshot {
            calls: self.0.calls.snapshot(),
            servers: servers.filter_map(|(name, watch)| Some((name, watch.statistics()?))).collect(),
            effects: effects.filter_map(|(name, watch)| Some((name, watch.statistics()?))).collect(),
            budgets: budgets.collect(),
            refusals: sources.refusals.into_iter().map(|(reason, count)| (reason, count())).collect(),
            access_log: sources.access_log.map(|log| log.statistics()),
            sessions: sources.sessions.map(|count| count()),
            shared_memory: shared_memory.map(|(name, counters)| (name, counters.counts())).collect(),
        }
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        // Nothing panics while it is held.
        self.0.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
