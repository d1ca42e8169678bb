//! The cursor token: the part of a stream's state that changes with every turn.

use super::binding::Binding;
use super::envelope::{self, CURSOR};
use super::error::{SealError, TokenError};
use super::fields::Fields;
use super::key::{KeyRing, NONCE_BYTES};
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// The current position of a stream. A new one is minted with every response, in `vgi_rpc.stream_state#b64` (WIRE_PROTOCOL 10,
/// "State token binary format").
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor {
    /// When the token was minted, in seconds since the Unix epoch.
    pub created_at: u64,
    /// The call that the cursor belongs to. In an opened cursor it is authentic and may be looked up in a cache.
    pub call_id: [u8; 16],
    /// The handler's state, serialised. After opening, it shares the memory of the token.
    pub state: Bytes,
}

impl Cursor {
    /// Mints the token: base64 of the standard alphabet, padded. `nonce` must be fresh random bytes for every token.
    ///
    /// # Errors
    ///
    /// If the state is larger than [`MAX_CONTENTS_BYTES`](super::MAX_CONTENTS_BYTES) allows.
    pub fn seal(
        &self,
        keys: &KeyRing,
        binding: &Binding,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<String, SealError> {
        let contents = [&self.created_at.to_le_bytes()[..], &self.call_id, &self.state].concat();
        CURSOR.seal(&contents, keys, binding, nonce)
    }

    /// Opens a token that a client sent. `now` counts from the Unix epoch. A token older than `time_to_live` is refused; with
    /// `None`, tokens never expire (`token_ttl` 0 in other implementations).
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
        let mut fields = Fields::new(CURSOR.open(text, keys, binding)?);
        let (created_at, call_id) = (fields.u64()?, fields.array()?);
        envelope::check_age(created_at, now, time_to_live)?;
        Ok(Self { created_at, call_id, state: fields.rest() })
    }
}

impl fmt::Debug for Cursor {
    /// Omits the state, which is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("created_at", &self.created_at)
            .field("call_id", &format_args!("{:032x}", u128::from_be_bytes(self.call_id)))
            .field("state_bytes", &self.state.len())
            .finish()
    }
}
