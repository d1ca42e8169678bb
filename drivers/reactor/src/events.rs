//! Events for operators, as `tracing` events with the target `vgi_rpc_reactor`. They contain nothing that a peer has sent. None
//! is emitted while the server's state is locked.

use crate::address::Address;
use crate::options::Ended;
use crate::statistics::Tally;
use crate::timeouts::Wait;
use std::io;
use tracing::{debug, enabled, error, info, trace, warn};

/// The target of all events.
const TARGET: &str = "vgi_rpc_reactor";

pub(crate) fn listening(address: &Address, serves: Option<&'static str>) {
    info!(target: TARGET, %address, serves, "listening");
}

pub(crate) fn draining(connections: usize) {
    info!(target: TARGET, connections, "draining: no more connections are accepted");
}

pub(crate) fn ended(address: &Address, ended: &Result<Ended, io::ErrorKind>) {
    match ended {
        Ok(Ended::Drained) => info!(target: TARGET, %address, "drained"),
        Ok(Ended::DrainTimedOut) => {
            warn!(target: TARGET, %address, "ended before it was drained: its time limit has passed");
        }
        Ok(reason) => info!(target: TARGET, %address, ?reason, "ended"),
        Err(kind) => error!(target: TARGET, %address, error = %kind, "ended: the event loop failed"),
    }
}

/// The server is full, and a new connection waits.
pub(crate) fn full(tally: &Tally, connections: usize) {
    tally.add();
    if enabled!(target: TARGET, tracing::Level::WARN)
        && let Some(left_out) = tally.throttle.admit()
    {
        warn!(target: TARGET, connections, left_out, "a connection waits: the server is full");
    }
}

pub(crate) fn accept_failed(tally: &Tally, error: &io::Error) {
    tally.add();
    if enabled!(target: TARGET, tracing::Level::WARN)
        && let Some(left_out) = tally.throttle.admit()
    {
        warn!(target: TARGET, %error, left_out, "a connection cannot be accepted, and waits");
    }
}

pub(crate) fn gave_way(tally: &Tally) {
    tally.add();
    if enabled!(target: TARGET, tracing::Level::WARN)
        && let Some(left_out) = tally.throttle.admit()
    {
        warn!(target: TARGET, left_out, "a connection was closed to make room for another");
    }
}

pub(crate) fn timed_out(tally: &Tally, connection: usize, wait: Wait) {
    tally.add();
    let timeout = wait.timeout();
    debug!(target: TARGET, connection, timeout, "a connection was closed: a timeout has passed");
}

pub(crate) fn closed_for_memory(tally: &Tally) {
    tally.add();
    if enabled!(target: TARGET, tracing::Level::WARN)
        && let Some(left_out) = tally.throttle.admit()
    {
        warn!(target: TARGET, left_out, "a connection was closed to free its memory: the budget is used up");
    }
}

pub(crate) fn accepted(tally: &Tally, connection: usize) {
    tally.add();
    trace!(target: TARGET, connection, "accepted a connection");
}

pub(crate) fn closed(connection: usize) {
    trace!(target: TARGET, connection, "closed a connection");
}
