//! What goes in and out of a transaction: the body, and the answer.

use crate::http::session::CallSession;
use crate::memory::{OverBudget, Reservation};
use crate::service::CallRecord;
use crate::wire::error::RpcError;
use bytes::Bytes;
use http::{Response, StatusCode};

/// A request's body as a driver read it.
#[derive(Debug)]
pub enum Body {
    /// All of it. Columns of a batch share these bytes, and are not copied if they lie aligned to 64 bytes.
    Whole(Bytes),
    /// It went on after [`Transaction::max_body_bytes`](super::Transaction::max_body_bytes), and was not kept.
    TooLarge,
    /// The driver's memory budget had no room for it.
    OverBudget(OverBudget),
}

/// The answer to a request.
#[derive(Debug)]
pub struct RequestAnswer {
    /// The response. Its body is a gather list, to be sent with its length: `Content-Length` is not among the headers.
    /// The answer to `HEAD` has the body that `GET` would have, of which only the length is to be sent.
    pub response: Response<Vec<Bytes>>,
    /// The record of the call, for the access log, if [`EndpointBuilder::record_calls`](crate::http::EndpointBuilder::record_calls)
    /// asked for it and the request got as far as a method. Log it before the response is sent.
    pub record: Option<CallRecord>,
    /// Reserved for the response's body. Drop it once the response was sent, or is counted elsewhere.
    pub memory: Reservation,
}

/// An answer that was not handed out yet. The session that its call opened is closed with it, unless it is.
pub(super) struct Unsent {
    pub(super) answer: RequestAnswer,
    pub(super) opened: Option<Box<CallSession>>,
}

impl From<RequestAnswer> for Unsent {
    fn from(answer: RequestAnswer) -> Self {
        Self { answer, opened: None }
    }
}

impl Unsent {
    pub(super) fn hand_out(self) -> RequestAnswer {
        if let Some(session) = self.opened {
            session.sent();
        }
        self.answer
    }

    /// The record of a call whose answer is not sent: it has failed, if it had not before.
    pub(super) fn into_record(self, error: &RpcError, status: StatusCode) -> Option<CallRecord> {
        let mut record = self.answer.record?;
        record.error.get_or_insert_with(|| error.clone());
        if let Some(http) = &mut record.http {
            http.status = status.as_u16();
        }
        Some(record)
    }
}
