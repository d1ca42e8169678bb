//! `tracing` events for operators, with the target `vgi_rpc_gcs`. They contain neither keys nor signed texts.

use crate::error::GcsErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::{Level, enabled, info, warn};
use vgi_rpc_transfer::Throttle;

/// The target of all events.
const TARGET: &str = "vgi_rpc_gcs";

/// The last reported state of the credentials, and a limit of the events, because callers can cause them.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    throttle: Throttle,
    /// Whether they were reported as refused, and not yet as accepted again.
    refused: AtomicBool,
}

/// Reports that Cloud Storage has refused a request that was signed with the credentials.
pub(crate) fn refused(reported: &Reported, bucket: &str, operation: &str, kind: &GcsErrorKind) {
    if enabled!(target: TARGET, Level::WARN)
        && let Some(left_out) = reported.throttle.admit()
    {
        reported.refused.store(true, Ordering::Relaxed);
        warn!(target: TARGET, bucket, operation, error = %kind, left_out, "Cloud Storage has refused the credentials");
    }
}

/// Reports, after a refusal, that a request that was signed with the credentials has succeeded.
pub(crate) fn accepted(reported: &Reported, bucket: &str) {
    if reported.refused.load(Ordering::Relaxed) && reported.refused.swap(false, Ordering::Relaxed) {
        info!(target: TARGET, bucket, "Cloud Storage accepts the credentials again");
    }
}

/// Reports that the application has replaced the credentials.
pub(crate) fn replaced(bucket: &str) {
    info!(target: TARGET, bucket, "the credentials were replaced");
}
