//! Authentication: identifies the caller from the head of a request, before its body is read.
//!
//! An [`Authenticator`] takes an [`AuthRequest`] and returns an [`AuthContext`] or an [`AuthError`]. A server combines small
//! ones:
//!
//! | to say | write |
//! | --- | --- |
//! | one of several credentials will do (OR) | [`chain`] |
//! | this must hold, whatever the credential (AND) | [`require_all`] with a [`Precondition`] |
//! | a bearer token from a list | [`bearer_static`] |
//! | a bearer token that a function checks | [`bearer`] |
//! | a JSON Web Token of an issuer (feature `jwt`) | `jwt` |
//! | a header that a trusted proxy sets | [`header`] |
//! | a client certificate that a proxy forwards (feature `mtls-pem`) | `client_certificate` and its kin |
//! | a client certificate that Envoy forwards | [`xfcc`] |
//! | a grant that this deployment has sealed | [`sealed_grants`] |
//! | an opaque bearer token that a resolver knows | [`resolved_tokens`] |
//!
//! A precondition such as the [proxy proof](super::proof) is not a credential: in a chain, any later member would bypass it. It
//! therefore has another type, which [`chain`] does not accept:
//!
//! ```
//! use vgi_rpc_protocol::http::{auth, proof};
//! let secrets = proof::Secrets::parse(&format!("edge:{}", "11".repeat(32))).unwrap();
//! let gate = proof::Gate::new(proof::GateConfig::new("my-worker", secrets)).unwrap();
//! let token = auth::bearer_static([("token", auth::AuthContext::new("bearer", "ann"))]);
//! let both = auth::require_all(gate, Some(Box::new(token)));
//! auth::chain(vec![Box::new(both)]);
//! ```
//!
//! ```compile_fail
//! use vgi_rpc_protocol::http::{auth, proof};
//! let secrets = proof::Secrets::parse(&format!("edge:{}", "11".repeat(32))).unwrap();
//! let gate = proof::Gate::new(proof::GateConfig::new("my-worker", secrets)).unwrap();
//! auth::chain(vec![Box::new(gate)]);
//! ```
//!
//! The identity of a connection's peer is not a credential of a request: see [`peer_identity`](crate::peer_identity).
//!
//! The body of a 401 is in [`unauthorized`](super::unauthorized); the routes decide which paths need no authentication.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `request` | the input of an authenticator |
// | `failure` | why it refuses, and the status of the response |
// | `combine` | the traits, OR and AND |
// | `bearer`, `header` | ready-made authenticators |
// | `jwt` | JSON Web Tokens |
// | `client_certificate`, `xfcc` | client certificates |
// | `sealed_grants`, `resolved_tokens` | the bearer tokens of an identity |
// | `identity_bearers` | these two, chained after a deployment's own authenticator |

mod bearer;
#[cfg(feature = "mtls-pem")]
mod client_certificate;
mod combine;
mod failure;
mod header;
mod identity_bearers;
#[cfg(feature = "jwt")]
mod jwt;
mod request;
mod resolved_tokens;
mod sealed_grants;
mod xfcc;

#[cfg(any(feature = "jwt", feature = "oauth-pkce"))]
pub use super::documents::LoadDocument;
pub use crate::service::AuthContext;
pub use bearer::{Bearer, StaticBearer, bearer, bearer_static};
#[cfg(feature = "mtls-pem")]
pub use client_certificate::{
    ClientCertificate, any_certificate_subject, certificate_fingerprints, certificate_subjects,
    client_certificate,
};
pub use combine::{Authenticator, Chain, Precondition, RequireAll, chain, require_all};
pub use failure::{AuthError, AuthFailure, HeaderFault, Reason};
pub use header::{HeaderPrincipal, header};
pub(crate) use identity_bearers::{accepts_bearers, with_identity_bearers};
#[cfg(feature = "jwt")]
pub use jwt::{Jwt, JwtError, JwtIssuer, jwt};
pub use request::AuthRequest;
pub(crate) use request::Found;
pub use resolved_tokens::{ResolvedTokens, resolved_tokens};
pub use sealed_grants::{SealedGrants, sealed_grants};
pub use xfcc::{Xfcc, XfccPosition, xfcc};
