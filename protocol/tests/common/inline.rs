//! Runs one HTTP request to its response on the calling thread, which blocks while the request waits.

use bytes::Bytes;
use http::Request;
use std::cell::Cell;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;
use vgi_rpc_protocol::effect::{Completion, Effect, EffectEvent, Failure};
use vgi_rpc_protocol::http::{Body, Endpoint, RecordedResponse, RequestOrigin, RequestStep, Transaction};

/// Unparks a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a request to its answer. `body` gets the maximum size and is called only if the request needs the body; `perform`
/// completes effects; `ended` is the time at which a handler has returned.
pub fn run(
    mut transaction: Transaction,
    (began, ended): (Duration, Duration),
    body: impl FnOnce(u64) -> Body,
    mut perform: impl FnMut(&Effect) -> Completion,
) -> RecordedResponse {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut body = Some(body);
    loop {
        match transaction.poll(began, &waker) {
            RequestStep::NeedBody => {
                let body = body.take().expect("a body is asked for once");
                transaction.receive_body(body(transaction.max_body_bytes())).unwrap();
            }
            RequestStep::Work(work) => {
                let time = Cell::new(began);
                transaction.complete(work.run(&|| time.replace(ended))).unwrap();
            }
            RequestStep::Waiting => {
                let mut performed = false;
                while let Some(event) = transaction.poll_effect() {
                    if let EffectEvent::Requested(effect) = event {
                        let completion = effect.request.own_answer().unwrap_or_else(|| perform(&effect));
                        transaction.complete_effect(effect.id, completion);
                        performed = true;
                    }
                }
                if !performed {
                    thread::park();
                }
            }
            RequestStep::Answer(answer) => return answer,
            RequestStep::Over => panic!("a request is answered once"),
        }
    }
}

/// Answers a complete request, which must not request effects.
pub fn answer(endpoint: &Arc<Endpoint>, request: Request<Bytes>, arrival: RequestOrigin) -> RecordedResponse {
    let now = arrival.now;
    let (head, body) = request.into_parts();
    let transaction = endpoint.begin(head, arrival);
    run(transaction, (now, now), |_| Body::Whole(body), |_| Failure::unsupported().into())
}
