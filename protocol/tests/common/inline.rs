//! Runs one HTTP request to its answer on the calling thread, which waits where the request does.

use bytes::Bytes;
use http::Request;
use std::cell::Cell;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;
use vgi_rpc_protocol::effect::{Completion, Effect, EffectEvent, Failure};
use vgi_rpc_protocol::http::{Body, Endpoint, RequestAnswer, RequestOrigin, RequestStep, Transaction};

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a request to its answer. `body` is told how large it may be, and asked for only if the request needs it;
/// `perform` completes effects; `ended` is the time when a handler has returned.
pub fn run(
    mut transaction: Transaction,
    (began, ended): (Duration, Duration),
    body: impl FnOnce(u64) -> Body,
    mut perform: impl FnMut(&Effect) -> Completion,
) -> RequestAnswer {
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

/// Answers a whole request, of which no effect is expected.
pub fn answer(endpoint: &Arc<Endpoint>, request: Request<Bytes>, arrival: RequestOrigin) -> RequestAnswer {
    let now = arrival.now;
    let (head, body) = request.into_parts();
    let transaction = endpoint.begin(head, arrival);
    run(transaction, (now, now), |_| Body::Whole(body), |_| Failure::unsupported().into())
}
