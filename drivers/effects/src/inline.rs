//! Runs one HTTP request on the calling thread, which blocks while the request waits.

use crate::sleeper::sleeper;
use std::time::Duration;
use vgi_rpc_protocol::effect::{Completion, Effect, EffectEvent};
use vgi_rpc_protocol::http::{Body, RecordedResponse, RequestStep, Transaction};

/// Runs a request on this thread until its response, for servers with a thread for each request. Returns `None` if the response
/// was already taken.
///
/// `body` is called if the request needs its body, with the maximum number of useful bytes. `perform` completes effects, one
/// after the other. `clock` returns the time since the Unix epoch.
pub fn run_inline(
    mut transaction: Transaction,
    body: impl FnOnce(u64) -> Body,
    clock: &dyn Fn() -> Duration,
    mut perform: impl FnMut(&Effect) -> Completion,
) -> Option<RecordedResponse> {
    let (waker, sleeper) = sleeper();
    let mut body = Some(body);
    loop {
        match transaction.poll(clock(), &waker) {
            RequestStep::NeedBody => {
                let body = body.take()?;
                transaction.receive_body(body(transaction.max_body_bytes())).ok()?;
            }
            RequestStep::Work(work) => transaction.complete(work.run(clock)).ok()?,
            RequestStep::Waiting => match transaction.poll_effect() {
                Some(EffectEvent::Requested(effect)) => {
                    let completion =
                        effect.within(|request| request.own_answer().unwrap_or_else(|| perform(&effect)));
                    transaction.complete_effect(effect.id, completion);
                }
                Some(EffectEvent::Withdrawn(_)) => {}
                None => sleeper.wait(),
            },
            RequestStep::Answer(answer) => return Some(answer),
            RequestStep::Over => return None,
        }
    }
}
