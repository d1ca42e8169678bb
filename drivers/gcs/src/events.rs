//! Events for operators, which a subscriber of `tracing` receives: target `vgi_rpc_gcs`. They have no key in them, and nothing that was
//! signed.

use crate::error::GcsErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::{Level, enabled, info, warn};
use vgi_rpc_transfer::Throttle;

/// The target of all of them.
const TARGET: &str = "vgi_rpc_gcs";

/// What operators were told of the credentials. Callers decide how often objects are stored.
#[derive(Debug, Default)]
pub(crate) struct Told {
    throttle: Throttle,
    /// That they are refused, and not yet that they are accepted again.
    refused: AtomicBool,
}

/// Cloud Storage has refused what was signed with the credentials.
pub(crate) fn refused(told: &Told, bucket: &str, operation: &str, kind: &GcsErrorKind) {
    if enabled!(target: TARGET, Level::WARN)
        && let Some(left_out) = told.throttle.admit()
    {
        told.refused.store(true, Ordering::Relaxed);
        warn!(target: TARGET, bucket, operation, error = %kind, left_out, "Cloud Storage has refused the credentials");
    }
}

/// It has done what was signed with them.
pub(crate) fn accepted(told: &Told, bucket: &str) {
    if told.refused.load(Ordering::Relaxed) && told.refused.swap(false, Ordering::Relaxed) {
        info!(target: TARGET, bucket, "Cloud Storage accepts the credentials again");
    }
}

/// The application has given other credentials.
pub(crate) fn replaced(bucket: &str) {
    info!(target: TARGET, bucket, "the credentials were replaced");
}
