//! The input and output of a transaction: the request body and the response.

use crate::http::session::CallSession;
use crate::memory::{OverBudget, Reservation};
use crate::service::CallRecord;
use crate::wire::error::RpcError;
use bytes::Bytes;
use http::{Response, StatusCode};

/// A request's body, as read by a driver.
#[derive(Debug)]
pub enum Body {
    /// The whole body. Columns of a batch share these bytes, and are not copied if they are aligned to 64 bytes.
    Whole(Bytes),
    /// The body is larger than [`Transaction::max_body_bytes`](super::Transaction::max_body_bytes), and was dropped.
    TooLarge,
    /// The body exceeds the driver's memory budget.
    OverBudget(OverBudget),
}

/// The response to a request, with its record and memory.
#[derive(Debug)]
pub struct RecordedResponse {
    /// The response. Its body is a gather list. The driver adds `Content-Length`, which is not among the headers. The response
    /// to `HEAD` has the body of `GET`, of which only the length must be sent.
    pub response: Response<Vec<Bytes>>,
    /// The record of the call, for the access log, if
    /// [`EndpointBuilder::record_calls`](crate::http::EndpointBuilder::record_calls) is set and the request reached a method.
    /// Log it before the response is sent.
    pub record: Option<CallRecord>,
    /// The memory reservation of the response body. Drop it once the response was sent, or is counted elsewhere.
    pub memory: Reservation,
}

/// A response that was not returned yet. If it is dropped, the session that its call opened is closed.
pub(super) struct Unsent {
    pub(super) answer: RecordedResponse,
    pub(super) opened: Option<Box<CallSession>>,
}

impl From<RecordedResponse> for Unsent {
    fn from(answer: RecordedResponse) -> Self {
        Self { answer, opened: None }
    }
}

impl Unsent {
    pub(super) fn hand_out(self) -> RecordedResponse {
        if let Some(session) = self.opened {
            session.sent();
        }
        self.answer
    }

    /// Returns the record of a call whose response is not sent. The call counts as failed.
    pub(super) fn into_record(self, error: &RpcError, status: StatusCode) -> Option<CallRecord> {
        let mut record = self.answer.record?;
        record.error.get_or_insert_with(|| error.clone());
        if let Some(http) = &mut record.http {
            http.status = status.as_u16();
        }
        Some(record)
    }
}
