//! A client of the LocalAPI of this host's Tailscale daemon, without the command line tool.
//!
//! A [`LocalApi`] answers the [question](vgi_rpc_protocol::peer_identity::WhoIs) of who has an address. The peer identity
//! provider [`tailscale_local_api`](vgi_rpc_protocol::peer_identity::providers::tailscale_local_api) asks it:
//!
//! ```no_run
//! use std::sync::Arc;
//! use vgi_rpc_effects::Performer;
//! use vgi_rpc_protocol::peer_identity::{PeerAuthentication, PeerSettingError, Policy, providers};
//! use vgi_rpc_protocol::service::{Protocol, Service};
//! use vgi_rpc_tailscale::LocalApi;
//!
//! fn peers() -> Result<PeerAuthentication, PeerSettingError> {
//!     let provider = providers::tailscale_local_api("tailnet:example.com")?;
//!     PeerAuthentication::new(Policy::primary("tailscale"), [provider])
//! }
//!
//! let protocol = Protocol::new("demo.Reports.v1");
//! let service = Service::builder("0123456789ab").protocol(protocol).peer_authentication(peers()?).build()?;
//! let daemon = LocalApi::unix("/var/run/tailscale/tailscaled.sock");
//! let server = vgi_rpc_unix::SocketServer::new(Arc::new(service)).effects(Performer::new(daemon));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each request has its own connection, over the daemon's unix socket or, on systems without it, to the daemon's port on a
//! loopback address, with a password. Nothing is cached, no redirect is followed, and no proxy is used.
//!
//! [`WhoIs`]: vgi_rpc_protocol::peer_identity::WhoIs

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `local_api` | the daemon's address, and one exchange with it |
// | `who_is` | answers the question of who has an address |
// | `socket` | sockets with one time limit for all operations |
// | `error` | why there is no response |

mod error;
mod local_api;
mod socket;
mod who_is;

pub use error::{LocalApiError, LocalApiSettingError};
pub use local_api::{LocalApi, LocalResponse};
