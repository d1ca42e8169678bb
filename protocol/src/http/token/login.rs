//! The state of a browser's pending login.

use super::binding::{Binding, TokenOwner};
use super::envelope::LOGIN;
use super::error::{SealError, TokenError};
use super::fields::{Fields, put_bytes};
use super::key::{KeyRing, NONCE_BYTES};
use std::fmt;
use std::time::Duration;

/// The state of a pending login, which the server stores in a cookie. Only servers with the same keys can read or change it.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginState {
    /// When the login began, in seconds since the Unix epoch.
    pub created_at: u64,
    /// The PKCE verifier, which proves in the code exchange that this server requested the code.
    pub verifier: String,
    /// The state that the callback's query must contain.
    pub state: String,
    /// The nonce that the ID token must contain.
    pub nonce: String,
    /// The path and query that the browser requested.
    pub target: String,
    /// The page of another origin that receives the token; empty for none.
    pub return_to: String,
}

impl LoginState {
    pub(crate) fn seal(&self, keys: &KeyRing, nonce: [u8; NONCE_BYTES]) -> Result<String, SealError> {
        let mut contents = self.created_at.to_le_bytes().to_vec();
        for text in [&self.verifier, &self.state, &self.nonce, &self.target, &self.return_to] {
            put_bytes(&mut contents, text.as_bytes());
        }
        LOGIN.seal(&contents, keys, &binding(), nonce)
    }

    /// Opens a state that is not older than the given age.
    pub(crate) fn open(
        keys: &KeyRing,
        text: &str,
        now: Duration,
        max_age: Duration,
    ) -> Result<Self, TokenError> {
        let mut fields = Fields::new(LOGIN.open(text.as_bytes(), keys, &binding())?);
        let created_at = fields.u64()?;
        let (verifier, state, nonce) = (fields.text()?, fields.text()?, fields.text()?);
        let (target, return_to) = (fields.text()?, fields.text()?);
        fields.end()?;
        super::envelope::check_age(created_at, now, Some(max_age))?;
        Ok(Self { created_at, verifier, state, nonce, target, return_to })
    }
}

/// The caller is still anonymous.
fn binding() -> Binding {
    Binding::server(&TokenOwner::anonymous())
}

impl fmt::Debug for LoginState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The other fields would let another browser complete this login.
        f.debug_struct("LoginState").field("created_at", &self.created_at).finish_non_exhaustive()
    }
}
