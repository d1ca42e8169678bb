//! `tracing` events for operators, with the target `vgi_rpc_recorder`. They contain no recorded data.

use std::io;
use std::path::Path;
use tracing::{Level, enabled, info, warn};
use vgi_rpc_protocol::OneLine;
use vgi_rpc_protocol::service::TransportKind;
use vgi_rpc_reactor::Throttle;

/// The target of all events.
const TARGET: &str = "vgi_rpc_recorder";

/// Limits how often each event is emitted, because clients can cause them.
#[derive(Debug, Default)]
pub(crate) struct Throttles {
    begun: Throttle,
    capped: Throttle,
    failing: Throttle,
}

/// Reports that the recording of a connection begins, the `begun`th one.
pub(crate) fn begun(throttles: &Throttles, transport: TransportKind, begun: usize) {
    if enabled!(target: TARGET, Level::INFO)
        && let Some(left_out) = throttles.begun.admit()
    {
        info!(target: TARGET, %transport, begun, left_out, "a connection is being recorded");
    }
}

/// Reports that the maximum number of captures is reached. This happens once.
pub(crate) fn full(max_captures: usize) {
    info!(target: TARGET, max_captures, "no more connections are recorded: the maximum number of captures is reached");
}

/// Reports that a capture has reached its limit.
pub(crate) fn capped(throttles: &Throttles, max_bytes: u64) {
    if enabled!(target: TARGET, Level::INFO)
        && let Some(left_out) = throttles.capped.admit()
    {
        info!(target: TARGET, max_bytes, left_out, "a capture has reached its limit, and the rest of its connection is not recorded");
    }
}

/// Reports that a capture could not be written.
pub(crate) fn failing(throttles: &Throttles, path: &Path, error: &io::Error) {
    if enabled!(target: TARGET, Level::WARN)
        && let Some(left_out) = throttles.failing.admit()
    {
        let path = OneLine(path.display());
        warn!(target: TARGET, %path, error = %OneLine(error), left_out, "a capture was dropped, since it could not be written");
    }
}
