//! Events for operators, as `tracing` events with the target `vgi_rpc_access_log`.

use std::io;
use std::path::Path;
use tracing::{info, warn};
use vgi_rpc_protocol::OneLine;

/// The target of all events.
const TARGET: &str = "vgi_rpc_access_log";

/// The file was moved aside.
pub(crate) fn rotated(path: &Path) {
    info!(target: TARGET, path = %OneLine(path.display()), "the access log was moved aside");
}

/// The path was reopened after a signal.
pub(crate) fn reopened(path: &Path) {
    info!(target: TARGET, path = %OneLine(path.display()), "the access log was reopened");
}

/// A record could not be written, for the first time after a success.
pub(crate) fn failing(path: &Path, error: &io::Error) {
    warn!(
        target: TARGET,
        path = %OneLine(path.display()),
        error = %OneLine(error),
        "records of the access log are being dropped"
    );
}

/// The thread cannot write a record, and tries again.
pub(crate) fn waiting(path: &Path, error: &io::Error) {
    warn!(
        target: TARGET,
        path = %OneLine(path.display()),
        error = %OneLine(error),
        "the access log cannot be written, and its records wait"
    );
}

/// A record was written after others were dropped.
pub(crate) fn recovered(path: &Path, dropped: u64) {
    warn!(
        target: TARGET,
        path = %OneLine(path.display()),
        dropped,
        "the access log is written again, without the records that were dropped"
    );
}
