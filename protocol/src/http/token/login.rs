//! The state of a browser that is away to sign in.

use super::binding::{Binding, Identity};
use super::envelope::LOGIN;
use super::error::{SealError, TokenError};
use super::fields::{Fields, put_bytes};
use super::key::{KeyRing, NONCE_BYTES};
use std::fmt;
use std::time::Duration;

/// What a server keeps, in a cookie, of a browser that is away to sign in. Nobody else can read or change it.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginState {
    /// When the browser was sent away, in seconds since the Unix epoch.
    pub created_at: u64,
    /// What proves, when the code is exchanged, that this server asked for it.
    pub verifier: String,
    /// What the browser must bring back in the query.
    pub state: String,
    /// What the id token must have in it.
    pub nonce: String,
    /// The path and query that the browser asked for.
    pub target: String,
    /// The page of another origin that is given the token; empty for none.
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

    /// Opens a state that is at most so old.
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

/// The browser is nobody yet.
fn binding() -> Binding {
    Binding::server(&Identity::anonymous())
}

impl fmt::Debug for LoginState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest would let another one finish what this browser began.
        f.debug_struct("LoginState").field("created_at", &self.created_at).finish_non_exhaustive()
    }
}
