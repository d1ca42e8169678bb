//! What is done away from the socket: authentication, decoding, handlers.

use bytes::Bytes;
use http::request::Parts;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vgi_rpc_protocol::http::{Answer, Arrival, Begun, Body, Call, Endpoint};

/// One step of a request.
#[derive(Debug)]
pub(crate) enum Work {
    /// Look at the head, and say whether the body is of use.
    Begin(Arc<Endpoint>, Parts, Option<String>),
    /// Answer a request that is there whole.
    Whole(Arc<Endpoint>, Parts, Option<String>, Bytes),
    /// Answer a request whose head was looked at.
    Run(Call, Body),
}

/// What a step gave.
#[derive(Debug)]
pub(crate) enum Done {
    /// The body is to be read.
    ReadBody(Call),
    Answer(Answer),
    /// Something panicked that should not.
    Failed,
}

impl vgi_rpc_reactor::Work for Work {
    type Done = Done;

    /// What a handler does wrong is an error of its call. Whatever else panics, such as an authenticator, costs its
    /// own request.
    fn run(self) -> Done {
        catch_unwind(AssertUnwindSafe(|| self.take())).unwrap_or(Done::Failed)
    }
}

impl Work {
    fn take(self) -> Done {
        match self {
            Self::Begin(endpoint, head, remote) => match begin(&endpoint, head, remote) {
                Begun::Answer(answer) => Done::Answer(answer),
                Begun::Call(call) => Done::ReadBody(call),
            },
            Self::Whole(endpoint, head, remote, body) => match begin(&endpoint, head, remote) {
                Begun::Answer(answer) => Done::Answer(answer),
                Begun::Call(call) => run(call, Body::Whole(body)),
            },
            Self::Run(call, body) => run(call, body),
        }
    }
}

fn begin(endpoint: &Arc<Endpoint>, head: Parts, remote_address: Option<String>) -> Begun {
    endpoint.begin(head, Arrival { now: now(), remote_address, ..Arrival::default() })
}

fn run(call: Call, body: Body) -> Done {
    let body = match body {
        Body::Whole(bytes) if bytes.len() as u64 > call.max_body_bytes() => Body::TooLarge,
        body => body,
    };
    Done::Answer(call.run(body).answer(now()))
}

/// The time since the Unix epoch.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
