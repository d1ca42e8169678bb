//! The metrics of a process and their sources.

use crate::calls::{CallCounter, Calls};
use crate::snapshot::{BudgetUse, Snapshot};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_effects::Performer;
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::shm::Counters;
use vgi_rpc_reactor::Watch;

/// The metrics of a process. Clones share them.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Inner>);

#[derive(Default)]
struct Inner {
    calls: Arc<Calls>,
    sources: Mutex<Sources>,
}

type Count = Arc<dyn Fn() -> u64 + Send + Sync>;
type Size = Arc<dyn Fn() -> usize + Send + Sync>;

/// The sources of numbers that other components count.
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
    /// Creates metrics without sources.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a service hook that counts calls. Several services may be counted together.
    pub fn hook(&self) -> CallCounter {
        CallCounter(self.0.calls.clone())
    }

    /// Adds a server under a name, by its [`Handle::watch`](vgi_rpc_reactor::Handle::watch). Its numbers are omitted once the
    /// server has ended.
    pub fn server(&self, name: impl Into<String>, watch: Watch) {
        self.sources().servers.push((name.into(), watch));
    }

    /// Adds a performer of effects under a name. Its numbers are omitted once its threads have ended, and always for
    /// [`Performer::none`].
    pub fn effects(&self, name: impl Into<String>, performer: &Performer) {
        self.sources().effects.push((name.into(), performer.watch()));
    }

    /// Adds a memory budget under a name.
    pub fn budget(&self, name: impl Into<String>, budget: Budget) {
        self.sources().budgets.push((name.into(), budget));
    }

    /// Adds a counter of refusals, such as failed TLS handshakes, under the name of their reason.
    pub fn refusals(&self, reason: impl Into<String>, count: impl Fn() -> u64 + Send + Sync + 'static) {
        self.sources().refusals.push((reason.into(), Arc::new(count)));
    }

    /// Sets the access log. It stays open while these metrics exist.
    pub fn access_log(&self, log: impl Into<Option<AccessLog>>) {
        self.sources().access_log = log.into();
    }

    /// Sets the function that returns the number of open sticky sessions.
    pub fn sessions(&self, count: impl Fn() -> usize + Send + Sync + 'static) {
        self.sources().sessions = Some(Arc::new(count));
    }

    /// Adds the shared memory counters of a server or a client, such as `ShmServer::counters`, under a name.
    pub fn shared_memory(&self, name: impl Into<String>, counters: &Counters) {
        self.sources().shared_memory.push((name.into(), counters.clone()));
    }

    /// Returns the current numbers.
    pub fn snapshot(&self) -> Snapshot {
        // The program's functions are called without the lock.
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
        // Nothing panics while the lock is held.
        self.0.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
