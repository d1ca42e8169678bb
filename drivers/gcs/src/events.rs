//! Events for operators, which a subscriber of `tracing` receives: target `vgi_rpc_gcs`. They contain no key and nothing that
//! was signed.

use crate::error::GcsErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::{Level, enabled, info, warn};
use vgi_rpc_transfer::Throttle;

/// The target of all of them.
const TARGET: &str = "vgi_rpc_gcs";

/// What was last reported of the credentials. Callers decide how often objects are stored.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    throttle: Throttle,
    /// They were reported as refused, and not yet as accepted again.
    refused: AtomicBool,
}

/// Cloud Storage has refused a request that was signed with the credentials.
pub(crate) fn refused(reported: &Reported, bucket: &str, operation: &str, kind: &GcsErrorKind) {
    if enabled!(target: TARGET, Level::WARN)
        && let Some(left_out) = reported.throttle.admit()
    {
        reported.refused.store(true, Ordering::Relaxed);
        warn!(target: TARGET, bucket, operation, error = %kind, left_out, "Cloud Storage has refused the credentials");
    }
}

/// A request that was signed with the credentials has succeeded.
pub(crate) fn accepted(reported: &Reported, bucket: &str) {
    if reported.refused.load(Ordering::Relaxed) && reported.refused.swap(false, Ordering::Relaxed) {
        info!(target: TARGET, bucket, "Cloud Storage accepts the credentials again");
    }
}

/// The application has replaced the credentials.
pub(crate) fn replaced(bucket: &str) {
    info!(target: TARGET, bucket, "the credentials were replaced");
}
