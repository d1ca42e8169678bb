//! Proof Key for Code Exchange, and the cookie that keeps what belongs to it. RFC 7636; RFC 6749, section 10.12.
//!
//! All functions are pure: random bytes and the time are parameters. The endpoint's own login uses them, and another server can
//! use them too.

use super::token::{KeyRing, NONCE_BYTES, SealError, TokenError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::fmt;
use std::time::Duration;
use subtle::ConstantTimeEq;
use thiserror::Error;

pub use super::token::LoginState;

/// How long a browser may take to sign in.
pub const MAX_LOGIN_TIME: Duration = Duration::from_secs(600);

/// A verifier and the challenge derived from it.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The secret that is sent when the code is exchanged: 43 characters.
    pub verifier: String,
    /// The hash that is sent in the authorization request, by the method `S256`: 43 characters.
    pub challenge: String,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("challenge", &self.challenge).finish_non_exhaustive()
    }
}

/// Generates a pair from 32 random bytes.
///
/// ```
/// let pair = vgi_rpc_protocol::http::pkce::generate_pair([7; 32]);
/// assert_eq!((pair.verifier.len(), pair.challenge.len()), (43, 43));
/// ```
pub fn generate_pair(random: [u8; 32]) -> Pair {
    let verifier = URL_SAFE_NO_PAD.encode(random);
    let challenge = challenge(&verifier);
    Pair { verifier, challenge }
}

/// Returns the challenge of a verifier, by the method `S256`. RFC 7636, section 4.2.
pub fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// Encrypts this state to a cookie value that only servers with the same keys can read. `nonce` must be fresh random bytes for
/// each cookie.
///
/// # Errors
/// If the state has more than 64 MiB.
pub fn new_state_cookie(
    keys: &KeyRing,
    login: &LoginState,
    nonce: [u8; NONCE_BYTES],
) -> Result<String, SealError> {
    login.seal(keys, nonce)
}

/// Why the state of a login is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StateCookieError {
    /// The cookie was not made by a server with these keys.
    #[error("the login cookie was not issued by this server")]
    Forged,
    /// The browser took longer than [`MAX_LOGIN_TIME`].
    #[error("expected the login to take at most {} s", MAX_LOGIN_TIME.as_secs())]
    Expired,
    /// The state in the query is not the one in the cookie: another browser began this login.
    #[error("the state does not match the login that this browser began")]
    State,
}

/// Decrypts a cookie and compares its state with the state in the query, in constant time. `now` is the time since the Unix
/// epoch.
///
/// # Errors
/// If the cookie was not issued by this server, is too old, or belongs to another login.
pub fn verify_state_cookie(
    keys: &KeyRing,
    cookie: &str,
    state: &str,
    now: Duration,
) -> Result<LoginState, StateCookieError> {
    let login = LoginState::open(keys, cookie, now, MAX_LOGIN_TIME).map_err(|error| match error {
        TokenError::Expired => StateCookieError::Expired,
        _ => StateCookieError::Forged,
    })?;
    match is_same(&login.state, state) {
        true => Ok(login),
        false => Err(StateCookieError::State),
    }
}

/// Compares two strings in constant time.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    bool::from(one.as_bytes().ct_eq(other.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::token::TokenKey;
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn login() -> LoginState {
        LoginState {
            created_at: NOW.as_secs(),
            verifier: "v".into(),
            state: "s".into(),
            nonce: "n".into(),
            target: "/describe?a".into(),
            return_to: String::new(),
        }
    }

    #[test]
    fn rfc_7636_appendix_b() {
        let random = [
            116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37, 77, 105,
            214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121,
        ];
        let pair = generate_pair(random);
        assert_eq!(pair.verifier, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(pair.challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_cookie_is_its_own_servers_and_its_own_logins() {
        let keys = KeyRing::new(TokenKey::new([1; 32]), []);
        let cookie = new_state_cookie(&keys, &login(), [2; 24]).unwrap();
        let verify = |keys: &KeyRing, cookie: &str, state: &str, after: u64| {
            verify_state_cookie(keys, cookie, state, NOW + Duration::from_secs(after))
        };
        assert_eq!(verify(&keys, &cookie, "s", 0), Ok(login()));
        assert_eq!(verify(&keys, &cookie, "s", 600), Ok(login()));
        assert_eq!(verify(&keys, &cookie, "s", 601), Err(StateCookieError::Expired));
        for state in ["", "S", "ss", "t"] {
            assert_eq!(verify(&keys, &cookie, state, 0), Err(StateCookieError::State));
        }
        let others = KeyRing::new(TokenKey::new([3; 32]), []);
        assert_eq!(verify(&others, &cookie, "s", 0), Err(StateCookieError::Forged));
        let rotated = KeyRing::new(TokenKey::new([3; 32]), [TokenKey::new([1; 32])]);
        assert_eq!(verify(&rotated, &cookie, "s", 0), Ok(login()));
        for at in 0..cookie.len() {
            let mut changed = cookie.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(verify(&keys, &changed, "s", 0), Err(StateCookieError::Forged), "{at}");
        }
        for text in ["", "A", "AAAA", &cookie[1..]] {
            assert_eq!(verify(&keys, text, "s", 0), Err(StateCookieError::Forged));
        }
    }

    #[test]
    fn nothing_shows() {
        let shown = format!("{:?} {:?}", login(), generate_pair([7; 32]));
        assert!(!shown.contains("/describe") && !shown.contains(&generate_pair([7; 32]).verifier), "{shown}");
    }
}
