//! Restores a stream from its tokens. WIRE_PROTOCOL 10, "Resolution order".

use crate::http::endpoint::{Endpoint, ResolvedCall};
use crate::http::refusal::{Refusal, bad_request, no_room};
use crate::http::request_context::RequestContext;
use crate::http::token::{Binding, CallToken, Cursor, TokenError};
use crate::ipc::{EncodedSchema, Metadata, decode_schema};
use crate::memory::Reservation;
use crate::service::invocation::SavedStream;
use crate::wire::error::RpcError;
use crate::wire::keys;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// A stream in its state after the last turn.
pub(super) struct Recovered {
    pub(super) call_id: [u8; 16],
    pub(super) call: Arc<ResolvedCall>,
    pub(super) stream: Box<SavedStream>,
    /// The reservation for the opened tokens.
    pub(super) memory: Reservation,
}

/// Opens the tokens in the order that the specification requires: first the cursor, which is sealed for this caller and names
/// its call. Only then is that call looked up in the cache, or its call token opened.
pub(super) fn recover(
    endpoint: &Endpoint,
    request: &RequestContext,
    binding: &Binding,
    metadata: &Metadata,
) -> Result<Recovered, Refusal> {
    let tokens = [keys::STREAM_STATE, keys::CALL_STATE];
    let len: usize = tokens.iter().filter_map(|key| metadata.get(key)).map(<[u8]>::len).sum();
    // A token is decoded once and decrypted once; each result is smaller.
    let memory = request.account.reserve(2 * len).map_err(no_room)?;
    open_tokens(endpoint, request.now, binding, metadata, memory).map_err(bad_request)
}

fn open_tokens(
    endpoint: &Endpoint,
    now: Duration,
    binding: &Binding,
    metadata: &Metadata,
    memory: Reservation,
) -> Result<Recovered, RpcError> {
    let lifetime = endpoint.token_lifetime();
    let Some(cursor) = metadata.get(keys::STREAM_STATE) else {
        return Err(RpcError::runtime_error(format!(
            "missing state token: expected the batch's metadata to carry {:?}",
            keys::STREAM_STATE
        )));
    };
    let refused = |error: TokenError| RpcError::runtime_error(error.to_string());
    let cursor = Cursor::open(endpoint.keys(), binding, cursor, now, lifetime).map_err(refused)?;
    let call = match endpoint.recall(cursor.call_id, binding, now) {
        Some(call) => call,
        None => {
            let Some(token) = metadata.get(keys::CALL_STATE) else {
                return Err(RpcError::runtime_error(format!(
                    "missing call token: expected the batch's metadata to carry {:?}",
                    keys::CALL_STATE
                )));
            };
            let token = CallToken::open(endpoint.keys(), binding, token, now, lifetime).map_err(refused)?;
            if token.call_id != cursor.call_id {
                return Err(refused(TokenError::Invalid));
            }
            let schema = |message: &Bytes| {
                let schema = decode_schema(message.clone(), endpoint.limits()).ok()?;
                EncodedSchema::new(schema).ok()
            };
            let schemas = schema(&token.output_schema).zip(schema(&token.input_schema));
            let (output, input) = schemas.ok_or_else(|| refused(TokenError::Invalid))?;
            let CallToken { stream_id, response_limit, created_at, is_producer, call_state, .. } = token;
            let call =
                Arc::new(ResolvedCall { output, input, stream_id, response_limit, is_producer, call_state });
            // Measured from the beginning of the call, so that caching does not prolong its life.
            endpoint.remember(cursor.call_id, binding, call.clone(), Duration::from_secs(created_at));
            call
        }
    };
    let stream = SavedStream {
        is_producer: call.is_producer,
        state: cursor.state,
        call_state: call.call_state.clone(),
        input: call.input.clone(),
        output: call.output.clone(),
    };
    Ok(Recovered { call_id: cursor.call_id, call, stream: Box::new(stream), memory })
}
