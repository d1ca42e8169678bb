//! Keeps idle connections for further requests.

use super::pooled_connection::PooledConnection;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a connection is kept: less than servers and load balancers commonly keep theirs, so that it is rarely found closed.
const MAX_IDLE_TIME: Duration = Duration::from_secs(30);

/// Idle connections to one server.
#[derive(Debug)]
pub(crate) struct Pool {
    max_idle: usize,
    idle: Mutex<Vec<(Instant, PooledConnection)>>,
}

impl Pool {
    pub(crate) fn new(max_idle: usize) -> Self {
        Self { max_idle, idle: Mutex::default() }
    }

    /// Returns the most recently used connection, if it can still be used.
    pub(crate) fn take(&self) -> Option<PooledConnection> {
        loop {
            let (since, mut connection) = self.idle().pop()?;
            // Those below it have been idle for longer.
            if since.elapsed() > MAX_IDLE_TIME {
                self.idle().clear();
                return None;
            }
            if connection.can_reuse() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection if it can be used again.
    pub(crate) fn give_back(&self, mut connection: PooledConnection) {
        if !connection.can_reuse() {
            return;
        }
        connection.release_memory();
        let mut idle = self.idle();
        idle.push((Instant::now(), connection));
        if idle.len() > self.max_idle {
            idle.remove(0);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, PooledConnection)>> {
        // Pushing and popping leave the list intact if there is a panic.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
