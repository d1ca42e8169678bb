//! Answers the question of who has an address.

use crate::error::LocalApiError;
use crate::local_api::LocalApi;
use bytes::Bytes;
use vgi_rpc_effects::Perform;
use vgi_rpc_protocol::effect::{Completion, Failure, FailureReason, Request};
use vgi_rpc_protocol::peer_identity::{WhoIs, WhoIsResponse};

impl LocalApi {
    /// Asks the daemon who has an address. Blocks at most until the [time limit](Self::time_limit). The completion is a value for
    /// every status, and a failure if there is no response.
    pub fn who_is(&self, question: &WhoIs) -> Completion {
        match self.get(&question.target, question.max_bytes) {
            Ok(response) => {
                let (status, content_type) = (response.status, response.content_type);
                Completion::value(WhoIsResponse { status, content_type, body: response.body })
            }
            Err(error) => Failure::new(reason(&error), error.to_string()).into(),
        }
    }
}

fn reason(error: &LocalApiError) -> FailureReason {
    match error {
        LocalApiError::TimedOut => FailureReason::TimedOut,
        error if error.is_transient() => FailureReason::Unavailable,
        _ => FailureReason::Refused,
    }
}

/// Answers questions of who has an address. Other effects fail: to perform those too, use a closure that calls
/// [`who_is`](LocalApi::who_is).
impl Perform for LocalApi {
    fn perform(&self, request: &Request, _: &mut dyn FnMut(Bytes)) -> Completion {
        let question = match request {
            Request::Question(question) => question.payload::<WhoIs>(),
            _ => None,
        };
        question.map_or_else(|| Failure::unsupported().into(), |question| self.who_is(question))
    }
}
