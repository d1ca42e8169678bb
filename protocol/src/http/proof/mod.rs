//! Proxy proof: evidence that a request came through a trusted proxy (`proxy-proof-spec.md`).
//!
//! A proxy and a worker share a 32-byte [`Secret`]. With each request the proxy sends a fresh token ([`mint`]) in the header
//! [`PROXY_PROOF`](super::headers::PROXY_PROOF); the worker's [`Gate`] verifies it. This proves the hop, never the user: the
//! gate is a [`Precondition`](super::auth::Precondition), to be combined with a credential by
//! [`require_all`](super::auth::require_all).
//!
//! ```
//! use std::time::Duration;
//! use vgi_rpc_protocol::http::auth::{AuthRequest, Authenticator, require_all};
//! use vgi_rpc_protocol::http::headers::PROXY_PROOF;
//! use vgi_rpc_protocol::http::proof::{Gate, GateConfig, Secret, Secrets, mint};
//!
//! let hex = "11".repeat(32);
//! let gate = Gate::new(GateConfig::new("my-worker", Secrets::parse(&format!("edge:{hex}"))?))?;
//! let authenticator = require_all(gate, None);
//!
//! let now = Duration::from_secs(1_700_000_000);
//! let nonce = [7; 16]; // sixteen random bytes, new ones for each request
//! let token = mint("edge", &Secret::from_hex(&hex).unwrap(), "my-worker", now, nonce)?;
//! let (parts, ()) = http::Request::post("/").header(PROXY_PROOF, token).body(()).unwrap().into_parts();
//! let request = AuthRequest::new(&parts, None, now);
//! assert_eq!(authenticator.authenticate(&request).unwrap().claims["vgi_proxy_proof"]["proxy"], "edge");
//! assert!(authenticator.authenticate(&request).is_err(), "replayed");
//! # Ok::<(), vgi_rpc_protocol::http::proof::ProofConfigError>(())
//! ```

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `token` | the token's text, the string that is signed, minting |
// | `names` | the grammars of key, proxy and worker ids |
// | `secret` | secrets, their derivation, the worker's list of secrets |
// | `verify` | the verifier's checks in order, and its failures |
// | `replay` | the cache of used nonces |
// | `gate` | modes, claims and counters: the precondition |

mod gate;
mod names;
mod replay;
mod secret;
mod token;
mod verify;

pub use gate::{Gate, GateConfig, GateCounts, Mode, PROOF_CLAIM};
pub use replay::{DEFAULT_REPLAY_CAPACITY, ReplayCache};
pub use secret::{ProofConfigError, Secret, Secrets, derive_secret};
pub use token::{MAX_PROOF_LENGTH, Proof, mint};
pub use verify::{DEFAULT_SKEW, ProofFailure, Verified, Verifier};
