//! What is done away from the socket: authentication, decoding, handlers.

use bytes::Bytes;
use http::request::Parts;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vgi_rpc_protocol::http::{Answer, Arrival, Begun, Body, Call, Endpoint};
use vgi_rpc_protocol::memory::Account;

/// One step of a request.
#[derive(Debug)]
pub(crate) enum Work {
    /// Look at the head, and say whether the body is of use.
    Begin(Begin),
    /// Answer a request that is there whole.
    Whole(Begin, Bytes),
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
        guard(|| match self {
            Self::Begin(begin) => begin.take(),
            Self::Whole(begin, body) => match begin.take() {
                Done::ReadBody(call) => run(call, Body::Whole(body)),
                done => done,
            },
            Self::Run(call, body) => run(call, body),
        })
    }
}

/// What looking at a request's head takes.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) head: Parts,
    pub(super) remote: Option<String>,
    pub(super) account: Account,
}

impl Begin {
    /// Looks at the head on this thread.
    pub(super) fn run(self) -> Done {
        guard(|| self.take())
    }

    fn take(self) -> Done {
        let arrival = Arrival { now: now(), remote_address: self.remote, account: self.account };
        match self.endpoint.begin(self.head, arrival) {
            Begun::Answer(answer) => Done::Answer(answer),
            Begun::Call(call) => Done::ReadBody(call),
        }
    }
}

fn guard(step: impl FnOnce() -> Done) -> Done {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or(Done::Failed)
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
