//! The session token: the ids of a live session and its server.

use super::binding::Binding;
use super::envelope::SESSION;
use super::error::{SealError, TokenError};
use super::fields::{Fields, put_bytes};
use super::key::{KeyRing, NONCE_BYTES};
use std::time::Duration;

/// Names a sticky session. The token is minted when the session is opened, and the client sends it back in `VGI-Session`
/// (sticky-sessions-spec 3). To the client, every [`TokenError`] means that the session is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionToken {
    /// When the token was minted, in seconds since the Unix epoch.
    pub created_at: u64,
    /// The server that has the session. Compare it with this server's id: a token of another server with the same key opens,
    /// but its session is not here.
    pub server_id: String,
    /// The session.
    pub session_id: [u8; 12],
    /// When the session ends, in seconds since the Unix epoch.
    pub expires_at: u64,
}

impl SessionToken {
    /// Creates a token for a session opened at `now` that ends at `expires_at`, both since the Unix epoch. The end is rounded
    /// up to a whole second, so that the token never expires before its session.
    pub fn new(
        server_id: impl Into<String>,
        session_id: [u8; 12],
        now: Duration,
        expires_at: Duration,
    ) -> Self {
        let round_up = u64::from(expires_at.subsec_nanos() > 0);
        Self {
            created_at: now.as_secs(),
            server_id: server_id.into(),
            session_id,
            expires_at: expires_at.as_secs().saturating_add(round_up),
        }
    }

    /// Mints the token: base64 of the URL-safe alphabet, not padded. `nonce` must be fresh random bytes for every token.
    ///
    /// # Errors
    ///
    /// If the server's id is larger than [`MAX_CONTENTS_BYTES`](super::MAX_CONTENTS_BYTES) allows.
    pub fn seal(
        &self,
        keys: &KeyRing,
        binding: &Binding,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<String, SealError> {
        let mut contents = Vec::with_capacity(36 + self.server_id.len());
        contents.extend_from_slice(&self.created_at.to_le_bytes());
        put_bytes(&mut contents, self.server_id.as_bytes());
        contents.extend_from_slice(&self.session_id);
        contents.extend_from_slice(&self.expires_at.to_le_bytes());
        SESSION.seal(&contents, keys, binding, nonce)
    }

    /// Opens a token that a client sent. It has expired when `now`, since the Unix epoch, has reached
    /// `expires_at`.
    ///
    /// # Errors
    ///
    /// [`TokenError::Expired`] if the token is genuine but has expired, otherwise [`TokenError::Invalid`].
    pub fn open(keys: &KeyRing, binding: &Binding, text: &[u8], now: Duration) -> Result<Self, TokenError> {
        let mut fields = Fields::new(SESSION.open(text, keys, binding)?);
        let (created_at, server_id) = (fields.u64()?, fields.text()?);
        let (session_id, expires_at) = (fields.array()?, fields.u64()?);
        fields.end()?;
        if now >= Duration::from_secs(expires_at) {
            return Err(TokenError::Expired);
        }
        Ok(Self { created_at, server_id, session_id, expires_at })
    }
}
