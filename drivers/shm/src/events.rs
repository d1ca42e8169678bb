//! Events for operators, as `tracing` events with the target `vgi_rpc_shm`.

use crate::error::AttachError;
use std::fmt::Display;
use tracing::warn;
use vgi_rpc_protocol::OneLine;

/// A server has refused the segment of a client. `left_out` is the number of refusals suppressed since the last event.
pub(crate) fn refused(error: &AttachError, left_out: u64) {
    let reason = OneLine(error);
    warn!(target: "vgi_rpc_shm", %reason, left_out, "the shared segment of a client is refused");
}

/// A client continues without shared memory.
pub(crate) fn not_shared(reason: &dyn Display) {
    let reason = OneLine(reason);
    warn!(target: "vgi_rpc_shm", %reason, "memory is not shared with the server");
}

/// An environment variable has a value that is not a number of bytes.
pub(crate) fn ignored(variable: &str, default: u64) {
    warn!(target: "vgi_rpc_shm", variable, default, "a variable is ignored: expected a number of bytes without a unit");
}
