//! External batches, and how they are fetched.

use std::fmt;
use std::sync::Arc;
use vgi_rpc_effects::Perform;
use vgi_rpc_protocol::effect::{Completion, Effect, Failure, FailureReason};
use vgi_rpc_protocol::external::FetchOptions;
use vgi_rpc_protocol::panics;

/// How a client fetches external batches: the limits, and the performer of the effects. WIRE_PROTOCOL 12.
///
/// Clones share the performer. It is called on the thread that makes the call, for
/// [`Request::Fetch`](vgi_rpc_protocol::effect::Request::Fetch) and, over HTTP,
/// [`Request::Upload`](vgi_rpc_protocol::effect::Request::Upload). `HttpFetcher` of `vgi-rpc-external` implements these. It must
/// apply [`FetchOptions::time_limit`] itself; the timeouts of a call do not interrupt it.
#[derive(Clone)]
pub struct External {
    options: FetchOptions,
    perform: Arc<dyn Perform>,
}

impl External {
    /// Fetches according to the options. `perform` performs the effects.
    pub fn new(options: FetchOptions, perform: impl Perform) -> Self {
        Self { options, perform: Arc::new(perform) }
    }

    /// Returns the options for fetching.
    pub fn options(&self) -> &FetchOptions {
        &self.options
    }

    /// Performs an effect of a state machine on this thread. For implementations of [`Channel`](crate::Channel).
    pub fn perform(&self, effect: &Effect) -> Completion {
        let perform = || self.perform.perform(&effect.request, &mut |_| {});
        panics::catch(perform)
            .unwrap_or_else(|| Failure::new(FailureReason::Failed, "performing the effect panicked").into())
    }
}

impl fmt::Debug for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("External").field("options", &self.options).finish_non_exhaustive()
    }
}
