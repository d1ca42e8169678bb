//! Batches that lie elsewhere, and what fetches them.

use std::fmt;
use std::sync::Arc;
use vgi_rpc_effects::Perform;
use vgi_rpc_protocol::effect::{Completion, Effect, Failure, FailureReason};
use vgi_rpc_protocol::external::FetchOptions;
use vgi_rpc_protocol::panics;

/// How a client fetches batches that lie elsewhere: within these limits, and by what performs the effects.
/// WIRE_PROTOCOL 12.
///
/// Clones share what performs the effects. It is called on the thread that makes the call, for
/// [`Request::Fetch`](vgi_rpc_protocol::effect::Request::Fetch) and, over HTTP,
/// [`Request::Upload`](vgi_rpc_protocol::effect::Request::Upload), as `HttpFetcher` of `vgi-rpc-external` performs them. It
/// has to respect [`FetchOptions::time_limit`] itself; the timeouts of a call do not interrupt it.
#[derive(Clone)]
pub struct External {
    options: FetchOptions,
    perform: Arc<dyn Perform>,
}

impl External {
    /// Fetches as the options say. `perform` does it.
    pub fn new(options: FetchOptions, perform: impl Perform) -> Self {
        Self { options, perform: Arc::new(perform) }
    }

    /// How batches are fetched.
    pub fn options(&self) -> &FetchOptions {
        &self.options
    }

    /// Performs an effect of a machine, on this thread. For those who implement a [`Channel`](crate::Channel).
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
