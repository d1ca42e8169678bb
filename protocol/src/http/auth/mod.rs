//! Authentication: who makes this request, decided from its head before anything else of it is read.
//!
//! An [`Authenticator`] looks at an [`AuthRequest`] and answers an [`AuthContext`] or an [`AuthError`]. What
//! a server wants of its callers is put together from small ones:
//!
//! | to say | write |
//! | --- | --- |
//! | one of several credentials will do (OR) | [`chain`] |
//! | this must hold, whatever the credential (AND) | [`require_all`] with a [`Precondition`] |
//! | a bearer token out of a list | [`bearer_static`] |
//! | a bearer token that something else judges | [`bearer`] |
//! | a JSON Web Token of an issuer (feature `jwt`) | `jwt` |
//! | a header that a trusted proxy sets | [`header`] |
//! | a client certificate that a proxy forwards (feature `mtls-pem`) | `client_certificate` and its kin |
//! | a client certificate that Envoy tells of | [`xfcc`] |
//! | a grant that this deployment has sealed | [`sealed_grants`] |
//! | an opaque bearer token that a resolver knows | [`resolved_tokens`] |
//!
//! A precondition, such as the [proxy proof](super::proof), is no credential: in a chain any later member
//! would bypass it. It is of another type for that reason, and [`chain`] does not take it:
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
//! What a connection says of its peer is no credential of a request: see [`peer_identity`](crate::peer_identity).
//!
//! Not here: the shape of a 401, which is [`unauthorized`](super::unauthorized), and which paths need no
//! authentication, which is for the routes.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `request` | what an authenticator is given |
// | `failure` | why it refuses, and how that is answered |
// | `combine` | the traits, OR and AND |
// | `bearer`, `header` | ready-made authenticators |
// | `jwt` | JSON Web Tokens |
// | `client_certificate`, `xfcc` | client certificates |
// | `sealed_grants`, `resolved_tokens` | those of an identity |
// | `identity_bearers` | these two behind a deployment's own |

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
