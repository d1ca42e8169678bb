//! The call token: the properties of a stream that are fixed when it begins.

use super::binding::Binding;
use super::envelope::{self, CALL};
use super::error::{SealError, TokenError};
use super::fields::{Fields, put_bytes};
use super::key::{KeyRing, NONCE_BYTES};
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// The fixed properties of a stream. The token is minted once, in `vgi_rpc.call_state#b64`, and the client sends it back with
/// every request (WIRE_PROTOCOL 10, "Stream exchange").
#[derive(Clone, PartialEq, Eq)]
pub struct CallToken {
    /// When the token was minted, in seconds since the Unix epoch.
    pub created_at: u64,
    /// A random id drawn when the stream began. A cursor with another id does not belong to this call.
    pub call_id: [u8; 16],
    /// Schema of the stream's output batches, encoded as an Arrow IPC message.
    pub output_schema: Bytes,
    /// Schema of the stream's input batches, encoded likewise.
    pub input_schema: Bytes,
    /// Correlates the turns of one stream in logs.
    pub stream_id: String,
    /// The maximum size of one response of this stream in bytes, if there is a limit.
    pub response_limit: Option<u64>,
    /// Whether the stream is a producer; otherwise it is an exchange. The method's declaration may leave this open.
    pub is_producer: bool,
    /// The handler's state for the life of the stream, serialised.
    pub call_state: Bytes,
}

impl CallToken {
    /// Mints the token: base64 of the standard alphabet, padded. `nonce` must be fresh random bytes for every token.
    ///
    /// # Errors
    ///
    /// If the contents are larger than [`MAX_CONTENTS_BYTES`](super::MAX_CONTENTS_BYTES).
    pub fn seal(
        &self,
        keys: &KeyRing,
        binding: &Binding,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<String, SealError> {
        let parts = [&self.output_schema, &self.input_schema, &self.call_state];
        let mut contents = Vec::with_capacity(128 + parts.map(Bytes::len).iter().sum::<usize>());
        contents.extend_from_slice(&self.created_at.to_le_bytes());
        contents.extend_from_slice(&self.call_id);
        contents.push(u8::from(self.response_limit.is_some()));
        contents.extend_from_slice(&self.response_limit.unwrap_or_default().to_le_bytes());
        put_bytes(&mut contents, &self.output_schema);
        put_bytes(&mut contents, &self.input_schema);
        put_bytes(&mut contents, self.stream_id.as_bytes());
        contents.push(u8::from(self.is_producer));
        put_bytes(&mut contents, &self.call_state);
        CALL.seal(&contents, keys, binding, nonce)
    }

    /// Opens a token that a client sent, as [`Cursor::open`](super::Cursor::open) does. Do so only after the
    /// cursor was opened, and compare the two `call_id`s.
    ///
    /// # Errors
    ///
    /// [`TokenError::Expired`] if the token is genuine but has expired, otherwise [`TokenError::Invalid`].
    pub fn open(
        keys: &KeyRing,
        binding: &Binding,
        text: &[u8],
        now: Duration,
        time_to_live: Option<Duration>,
    ) -> Result<Self, TokenError> {
        let mut fields = Fields::new(CALL.open(text, keys, binding)?);
        let (created_at, call_id) = (fields.u64()?, fields.array()?);
        let response_limit = match (fields.u8()?, fields.u64()?) {
            (0, 0) => None,
            (1, limit) => Some(limit),
            _ => return Err(TokenError::Invalid),
        };
        let (output_schema, input_schema) = (fields.bytes()?, fields.bytes()?);
        let stream_id = fields.text()?;
        let is_producer = match fields.u8()? {
            0 => false,
            1 => true,
            _ => return Err(TokenError::Invalid),
        };
        let call_state = fields.bytes()?;
        fields.end()?;
        envelope::check_age(created_at, now, time_to_live)?;
        Ok(Self {
            created_at,
            call_id,
            output_schema,
            input_schema,
            stream_id,
            response_limit,
            is_producer,
            call_state,
        })
    }
}

impl fmt::Debug for CallToken {
    /// Omits the call state, which is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallToken")
            .field("created_at", &self.created_at)
            .field("call_id", &format_args!("{:032x}", u128::from_be_bytes(self.call_id)))
            .field("stream_id", &self.stream_id)
            .field("response_limit", &self.response_limit)
            .field("is_producer", &self.is_producer)
            .field("call_state_bytes", &self.call_state.len())
            .finish_non_exhaustive()
    }
}
