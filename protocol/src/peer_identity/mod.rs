//! Peer identities: evidence of the peer's identity, and policies that use it.
//!
//! A [`Provider`] finds evidence: in what the kernel, TLS or a trusted proxy reports of a connection or a request, or by asking a
//! daemon. A [`Policy`] derives the caller from it, with or without the application's own authentication. [`PeerAuthentication`]
//! combines both. It is set for byte streams on [`ServiceBuilder`](crate::service::ServiceBuilder::peer_authentication) and for
//! HTTP on the endpoint's builder. Handlers see the evidence in
//! [`CallContext::peer_evidence`](crate::service::CallContext::peer_evidence). All of it is off by default.
//!
//! ```
//! use vgi_rpc_protocol::peer_identity::{PeerAuthentication, PeerSettingError, Policy, providers};
//! use vgi_rpc_protocol::service::{Protocol, Service};
//!
//! fn users() -> Result<PeerAuthentication, PeerSettingError> {
//!     PeerAuthentication::new(Policy::primary("unix"), [providers::unix_credentials("host:db1")?])
//! }
//!
//! let service = Service::builder("0123456789ab")
//!     .protocol(Protocol::new("demo.Reports.v1"))
//!     .peer_authentication(users().unwrap());
//! # let _ = service;
//! ```
//!
//! Tokens of streams and sticky sessions are bound to the evidence that admitted their caller, so that no other peer can use
//! them.
//!
//! This module has evidence, policies, providers, and the parsers for their input, including certificates. Sockets, TLS and the
//! PROXY protocol are in the drivers. The rules are those of `transport-identity-spec.md`.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `identity`, `status`, `evidence` | the results of providers, and their digest |
// | `json` | the JSON in them |
// | `policy`, `policy_error` | policies that determine the caller |
// | `provider`, `providers` | providers of evidence |
// | `settings` | an operator's settings |
// | `iroh` | endpoints of Iroh |
// | `tailscale` | headers and WhoIs of Tailscale |
// | `headers`, `certificate_headers`, `xfcc` | headers that proxies set |
// | `spiffe`, `svid` | SPIFFE IDs, and certificates that have one |
// | `certificate`, `distinguished_name` | X.509 |
// | `text` | percent-encoding |

#[cfg(feature = "mtls-pem")]
mod certificate;
#[cfg(all(feature = "http", feature = "mtls-pem"))]
mod certificate_headers;
#[cfg(feature = "http")]
pub(crate) mod distinguished_name;
mod evidence;
#[cfg(feature = "http")]
mod headers;
mod identity;
mod iroh;
mod json;
mod policy;
mod policy_error;
mod provider;
pub mod providers;
pub(crate) mod settings;
mod spiffe;
mod status;
#[cfg(feature = "mtls-pem")]
mod svid;
mod tailscale;
pub(crate) mod text;
pub(crate) mod xfcc;

#[cfg(feature = "mtls-pem")]
pub use certificate::{Certificate, CertificateError, FingerprintHash, MAX_CERTIFICATE_BYTES};
pub use evidence::{EvidenceError, PeerEvidence, ProviderResult};
pub use identity::{Assurance, IdentityError, PeerIdentity, Stability, Subject, SubjectKind};
pub use json::{JsonError, JsonObject, MAX_JSON_BYTES, MAX_JSON_DEPTH, MAX_JSON_VALUES};
pub use policy::Policy;
pub use policy_error::PolicyError;
#[cfg(feature = "http")]
pub use provider::AmbiguousHeader;
pub use provider::{Credentials, PeerQuery, Provider};
pub(crate) use settings::Undecided;
pub use settings::{PeerAuthentication, PeerSettingError, TrustedProxies};
pub use spiffe::{SpiffeIdError, TrustDomains};
pub use status::ProviderStatus;
pub use tailscale::whois::{WhoIs, WhoIsResponse};
pub use xfcc::{XfccElement, XfccError};

#[cfg(test)]
mod tests;
