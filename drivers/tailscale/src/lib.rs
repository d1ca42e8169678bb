//! Asks the Tailscale daemon of this host over its LocalAPI, without the command line tool.
//!
//! A [`LocalApi`] sends one request on a connection of its own, over the daemon's unix socket or, where there is none, to its port
//! on a loopback address with a password. Nothing is cached, no redirect is followed, and no proxy is used.
//!
//! ```no_run
//! use vgi_rpc_tailscale::LocalApi;
//!
//! let daemon = LocalApi::unix("/var/run/tailscale/tailscaled.sock");
//! let response = daemon.get("/localapi/v0/whois?addr=100.64.0.10%3A4242&proto=tcp", 65_536)?;
//! println!("{}", response.status);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `local_api` | where the daemon listens, and one exchange with it |
// | `socket` | sockets with one time limit for all that is done on them |
// | `error` | why there is no response |

mod error;
mod local_api;
mod socket;

pub use error::{LocalApiError, LocalApiSettingError};
pub use local_api::{LocalApi, LocalResponse};
