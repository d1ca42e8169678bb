//! Reading the Arrow stream that a request's body is.

use super::{Dispatch, Refusal, bad_request};
use crate::Limits;
use crate::ipc::{FramingError, Item, MessageError, Metadata, ReadError, Reader};
use crate::memory::Account;
use crate::service::Args;
use crate::service::MethodKind;
use crate::service::resolve::gate_version;
use crate::service::validate::validate;
use crate::wire::error::RpcError;
use crate::wire::request::Request;
use arrow_array::RecordBatch;
use bytes::Bytes;
use http::StatusCode;

/// The batch that a request's body has to begin with. The rest of the stream means nothing, but must be sound as far
/// as it goes: a body that was cut is not what the client said.
pub(super) fn read(
    body: Bytes,
    limits: &Limits,
    account: &Account,
) -> Result<(RecordBatch, Metadata), Refusal> {
    read_stream(body, limits, account).map_err(|error| {
        let status = match error {
            ReadError::Message(MessageError::OverBudget(_))
            | ReadError::Framing(FramingError::OverBudget(_)) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, RpcError::from(&error))
    })
}

fn read_stream(
    body: Bytes,
    limits: &Limits,
    account: &Account,
) -> Result<(RecordBatch, Metadata), ReadError> {
    let mut reader = Reader::with_account(limits.clone(), account.clone());
    reader.receive(body);
    let mut first = None;
    loop {
        match reader.next_item()? {
            Some(Item::Schema(_)) => {}
            Some(Item::Batch(batch, metadata)) => {
                first = Some((batch, metadata));
                reader.skip_stream();
            }
            // A driver passes on whole bodies only, so that the end of one may stand for the stream's end marker.
            Some(Item::EndOfStream) | None if first.is_some() && !reader.is_mid_message() => {
                return first.ok_or_else(no_batch);
            }
            Some(Item::EndOfStream) => return Err(no_batch()),
            None => return Err(FramingError::CutShort { what: "the request's body" }.into()),
        }
    }
}

fn no_batch() -> ReadError {
    MessageError::Unexpected { expected: "a record batch", got: "the end of the stream" }.into()
}

impl Dispatch<'_> {
    /// A request that may be dispatched: its arguments and its metadata. Everything that is wrong with it is the
    /// client's doing.
    pub(super) fn request(&mut self, body: Bytes, kind: MethodKind) -> Result<(Args, Metadata), Refusal> {
        let (batch, metadata) = read(body, self.endpoint.limits(), &self.visit.account)?;
        let request = Request { batch, metadata };
        request.validate().map_err(bad_request)?;
        self.check_carriage(&request.metadata).map_err(bad_request)?;
        self.begin_record(&request.batch, kind);
        gate_version(self.hosted, &request).map_err(bad_request)?;
        let args = validate(&self.method, request.batch).map_err(bad_request)?;
        Ok((args, request.metadata))
    }
}
