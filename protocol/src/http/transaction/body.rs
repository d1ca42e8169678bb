//! Reads the Arrow stream in a request's body.

use crate::http::endpoint::Endpoint;
use crate::http::refusal::Refusal;
use crate::ipc::{FramingError, Item, MessageError, Metadata, ReadError, Reader};
use crate::memory::Account;
use crate::wire::error::RpcError;
use arrow_array::RecordBatch;
use bytes::Bytes;
use http::StatusCode;

/// Reads the first batch of a request's body. The rest of the stream is ignored, but must be valid: a truncated body is not the
/// client's request.
pub(super) fn read(
    endpoint: &Endpoint,
    body: Bytes,
    account: &Account,
) -> Result<(RecordBatch, Metadata), Refusal> {
    let reader = Reader::with_account(endpoint.limits().clone(), account.clone());
    read_stream(reader.sharing(endpoint.schemas.clone()), body).map_err(|error| {
        let status = match error {
            ReadError::Message(MessageError::OverBudget(_))
            | ReadError::Framing(FramingError::OverBudget(_)) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, RpcError::from(&error))
    })
}

fn read_stream(mut reader: Reader, body: Bytes) -> Result<(RecordBatch, Metadata), ReadError> {
    reader.receive(body);
    let mut first = None;
    loop {
        match reader.next_item()? {
            Some(Item::Schema(_)) => {}
            Some(Item::Batch(batch, metadata)) => {
                first = Some((batch, metadata));
                reader.skip_stream();
            }
            // A driver passes on complete bodies only, so the end of a body may replace the stream's end marker.
            Some(Item::EndOfStream) | None if first.is_some() && !reader.is_mid_message() => {
                return first.ok_or_else(no_batch);
            }
            Some(Item::EndOfStream) if first.is_some() => {
                let (expected, got) = ("the end of the body after that of its stream", "more bytes");
                return Err(MessageError::Unexpected { expected, got }.into());
            }
            Some(Item::EndOfStream) => return Err(no_batch()),
            None => return Err(FramingError::CutShort { what: "the request's body" }.into()),
        }
    }
}

fn no_batch() -> ReadError {
    MessageError::Unexpected { expected: "a record batch", got: "the end of the stream" }.into()
}
