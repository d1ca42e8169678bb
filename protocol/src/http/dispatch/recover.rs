//! Bringing a stream back from its tokens. WIRE_PROTOCOL 10, "Resolution order".

use super::{Dispatch, Refusal, bad_request, no_room};
use crate::http::endpoint::ResolvedCall;
use crate::http::token::{CallToken, Cursor, TokenError};
use crate::ipc::{EncodedSchema, Metadata, decode_schema};
use crate::memory::Reservation;
use crate::service::method::Handler;
use crate::service::work::{OpenStream, guard};
use crate::wire::error::RpcError;
use crate::wire::keys;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// A stream as its last turn left it.
pub(super) struct Recovered {
    pub(super) call_id: [u8; 16],
    pub(super) call: Arc<ResolvedCall>,
    pub(super) stream: Box<OpenStream>,
    /// For the tokens, once they are opened.
    pub(super) memory: Reservation,
}

impl Dispatch<'_> {
    /// Opens the tokens, in the order that the specification demands: the cursor, which is sealed for this caller,
    /// says which call it belongs to; only then is that call looked up, or the token that it came with opened.
    pub(super) fn recover(&self, metadata: &Metadata) -> Result<Recovered, Refusal> {
        let tokens = [keys::STREAM_STATE, keys::CALL_STATE];
        let len: usize = tokens.iter().filter_map(|key| metadata.get(key)).map(<[u8]>::len).sum();
        // A token is decoded once and decrypted once, into fewer bytes each.
        let memory = self.visit.account.reserve(2 * len).map_err(no_room)?;
        self.open_tokens(metadata, memory).map_err(bad_request)
    }

    fn open_tokens(&self, metadata: &Metadata, memory: Reservation) -> Result<Recovered, RpcError> {
        let endpoint = self.endpoint;
        let (now, lifetime) = (self.visit.now, endpoint.token_lifetime());
        let Some(cursor) = metadata.get(keys::STREAM_STATE) else {
            return Err(RpcError::runtime_error(format!(
                "missing state token: expected the batch's metadata to carry {:?}",
                keys::STREAM_STATE
            )));
        };
        let binding = self.binding();
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
                let token =
                    CallToken::open(endpoint.keys(), binding, token, now, lifetime).map_err(refused)?;
                if token.call_id != cursor.call_id {
                    return Err(refused(TokenError::Invalid));
                }
                let schema = |message: &Bytes| {
                    let schema = decode_schema(message.clone(), endpoint.limits()).ok()?;
                    EncodedSchema::new(schema).ok()
                };
                let schemas = schema(&token.output_schema).zip(schema(&token.input_schema));
                let (output, input) = schemas.ok_or_else(|| refused(TokenError::Invalid))?;
                let CallToken { stream_id, response_limit, created_at, .. } = token;
                let call = Arc::new(ResolvedCall { output, input, stream_id, response_limit });
                // From its beginning, so that a call does not live longer where it is remembered.
                endpoint.remember(cursor.call_id, binding, call.clone(), Duration::from_secs(created_at));
                call
            }
        };
        let Handler::Stream { restore, .. } = &self.method.handler else {
            return Err(refused(TokenError::Invalid));
        };
        // What was sealed here decodes, unless another build of the service sealed it.
        let state = guard(|| restore(&cursor.state).map_err(|_| refused(TokenError::Invalid)))?;
        let stream = OpenStream { state, input: call.input.clone(), output: call.output.clone() };
        Ok(Recovered { call_id: cursor.call_id, call, stream: Box::new(stream), memory })
    }
}
