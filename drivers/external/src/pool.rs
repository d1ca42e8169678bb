//! A pool of idle connections. One is reused only for the same scheme, host and port, and only under a policy that allows its
//! address.

use crate::connect::Connection;
use crate::target::Peer;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long an idle connection is kept. Servers close them after about a minute, and a connection that is closed during a request
/// costs an attempt.
const IDLE_TIME: Duration = Duration::from_secs(30);
/// How long a connection may take to be ready again after its response was read.
const READY_TIME: Duration = Duration::from_millis(100);

/// The idle connections of a fetcher.
pub(crate) struct Pool {
    max: usize,
    /// The longest idle first.
    idle: Mutex<Vec<(Instant, Connection)>>,
}

impl Pool {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, idle: Mutex::default() })
    }

    /// Takes a connection to this peer whose address passes the check.
    pub(crate) fn take(&self, peer: &Peer, check: impl Fn(IpAddr) -> bool) -> Option<Connection> {
        let expired: Vec<_>;
        let mut idle = self.lock();
        expired = remove_expired(&mut idle);
        let fits = |connection: &Connection| connection.peer == *peer && check(connection.address);
        let index = idle.iter().rposition(|(_, connection)| fits(connection));
        let taken = index.map(|index| idle.remove(index).1);
        drop(idle);
        drop(expired);
        taken
    }

    /// Keeps a connection whose response was read to its end. Drops it if its server closes it.
    pub(crate) async fn keep(self: &Arc<Self>, mut connection: Connection) {
        let ready = tokio::time::timeout(READY_TIME, connection.sender.ready()).await;
        if self.max == 0 || !matches!(ready, Ok(Ok(()))) {
            return;
        }
        let mut idle = self.lock();
        let oldest = if idle.len() >= self.max { Some(idle.remove(0)) } else { None };
        idle.push((Instant::now(), connection));
        drop(idle);
        drop(oldest);
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            sleep(IDLE_TIME).await;
            if let Some(pool) = pool.upgrade() {
                let expired = remove_expired(&mut pool.lock());
                drop(expired);
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Instant, Connection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove_expired(idle: &mut Vec<(Instant, Connection)>) -> Vec<(Instant, Connection)> {
    let has_expired = |(since, connection): &mut (Instant, Connection)| {
        connection.sender.is_closed() || since.elapsed() >= IDLE_TIME
    };
    idle.extract_if(.., has_expired).collect()
}
