//! Sealed tokens: state that a stateless server sends to its client, which sends it back with the next request.
//!
//! This module has the keys, the binding of a token, the sealed envelope, and the contents of each kind of token. It does not
//! have the headers and metadata keys that carry tokens, the live sessions that a session token names
//! ([`sticky`](super::sticky)), or any source of time or randomness: `now` and nonces are parameters.
//!
//! | kind | lifetime | contents | encoding |
//! | --- | --- | --- | --- |
//! | [`Cursor`] | one turn of a stream | the state that changes with every turn | base64, padded |
//! | [`CallToken`] | one stream | its fixed properties | base64, padded |
//! | [`SessionToken`] | one sticky session | the ids of the session and its server | base64url, unpadded |
//! | `LoginState` (feature `oauth-pkce`) | 10 min | the pending login of a browser | base64url, unpadded |
//!
//! On the wire, a token is opaque to all but the server that minted it (WIRE_PROTOCOL 10, "State token binary format";
//! sticky-sessions-spec 3). Its layout is
//!
//! ```text
//! version u8 | nonce 24 | XChaCha20-Poly1305( codec u8 | contents, compressed as `codec` says ) | tag 16
//! ```
//!
//! and the authenticated data includes the kind and the [`Binding`]: a token of one kind, caller or method does not open as one
//! of another. Tokens are not exchanged between implementations, so the layout of the contents is specific to this crate.
//!
//! **Order of use for a stream turn** (normative, WIRE_PROTOCOL 10 "Resolution order"): open the cursor; look
//! its `call_id` up in the [`CallCache`]; on a miss open the call token and require the same `call_id`.
// Where things are:
//
// | file | subject |
// | --- | --- |
// | `envelope` | the sealed envelope that all kinds share |
// | `cursor`, `call`, `session`, `login` | the kinds |
// | `binding` | the caller and the use that a token is bound to |
// | `fields`, `codec`, `compression` | the contents |
// | `key` | keys and their rotation |
// | `cache` | a cache of opened call tokens |
// | `error` | errors of opening and sealing |

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

pub use binding::{Binding, TokenOwner};
pub use cache::CallCache;
pub use call::CallToken;
pub use cursor::Cursor;
pub use envelope::MAX_CONTENTS_BYTES;
pub use error::{SealError, TokenError};
pub use key::{InvalidKey, KeyRing, NONCE_BYTES, TokenKey};
#[cfg(feature = "oauth-pkce")]
pub use login::LoginState;
pub use session::SessionToken;
