//! Sealed tokens: what a stateless server hands to its client and gets back with the next request.
//!
//! Lives here: keys, what a token is bound to, the sealed envelope, and the contents of the kinds of
//! token. Not here: headers and metadata keys that carry tokens, the live sessions that a session token names
//! ([`sticky`](super::sticky)), and any source of time or randomness: `now` and nonces are parameters.
//!
//! | kind | lives for | carries | text |
//! | --- | --- | --- | --- |
//! | [`Cursor`] | one turn of a stream | the state that advances | base64, padded |
//! | [`CallToken`] | one stream | what its initialisation fixed | base64, padded |
//! | [`SessionToken`] | one sticky session | which session, on which server | base64url, unpadded |
//! | `LoginState` (feature `oauth-pkce`) | 10 min | a browser that is away to sign in | base64url, unpadded |
//!
//! On the wire a token is opaque to everyone but the server that minted it (WIRE_PROTOCOL 10, "State token
//! binary format"; sticky-sessions-spec 3). Inside it is
//!
//! ```text
//! version u8 | nonce 24 | XChaCha20-Poly1305( codec u8 | contents, compressed as `codec` says ) | tag 16
//! ```
//!
//! and the authenticated data name the kind and the [`Binding`]: a token of one kind, caller or method does
//! not open as one of another. Tokens do not travel between implementations, so the layout of the contents is
//! this crate's.
//!
//! **Order of use for a stream turn** (normative, WIRE_PROTOCOL 10 "Resolution order"): open the cursor; look
//! its `call_id` up in the [`CallCache`]; on a miss open the call token and require the same `call_id`.
// Where things are:
//
// | file | subject |
// | --- | --- |
// | `envelope` | the sealed envelope that all kinds share |
// | `cursor`, `call`, `session`, `login` | the kinds |
// | `binding` | whom and what a token is for |
// | `fields`, `codec`, `compression` | the contents |
// | `key` | keys and their rotation |
// | `cache` | call tokens that were opened before |
// | `error` | why a token is not opened or sealed |

mod binding;
mod cache;
mod call;
mod codec;
#[cfg(feature = "zstd")]
mod compression;
mod cursor;
mod envelope;
mod error;
mod fields;
mod key;
#[cfg(feature = "oauth-pkce")]
mod login;
mod session;
#[cfg(test)]
mod tests;

pub use binding::{Binding, Identity};
pub use cache::CallCache;
pub use call::CallToken;
pub use cursor::Cursor;
pub use envelope::MAX_CONTENTS_BYTES;
pub use error::{SealError, TokenError};
pub use key::{InvalidKey, KeyRing, NONCE_BYTES, TokenKey};
#[cfg(feature = "oauth-pkce")]
pub use login::LoginState;
pub use session::SessionToken;
