//! TCP connections through a SOCKS5 proxy, which resolves the names of its targets: the scheme `socks5h` of other programs.
//!
//! [`SocksProxy`] is a setting of clients, parsed from an address such as `socks5h://127.0.0.1:1080`. Its
//! [`connect`](SocksProxy::connect) returns a socket connected to the target, within one time limit for all steps.
//! [`Negotiation`] is the protocol with the proxy, without I/O.
//!
//! The name of a target is never resolved on this machine, and if the proxy does not connect, there is no direct connection. The
//! negotiation with the proxy is not encrypted, including the credentials; after it, the client can use TLS with the target.
//!
//! ```no_run
//! use std::time::Duration;
//! use vgi_rpc_socks::SocksProxy;
//!
//! let proxy: SocksProxy = "socks5h://user:password@127.0.0.1:1080".parse()?;
//! let socket = proxy.connect("worker.example.org", 9400, Some(Duration::from_secs(10)))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `proxy` | the setting |
// | `dial` | connecting through the proxy |
// | `negotiation` | the protocol with the proxy |
// | `target` | the target of a connection |
// | `error` | why a connection failed |

mod dial;
mod error;
mod negotiation;
mod proxy;
mod target;

pub use error::{NegotiationError, Reply, SocksError, SocksErrorKind};
pub use negotiation::{Credentials, Negotiation, Step};
pub use proxy::{ProxyUrlError, SocksProxy};
pub use target::{Target, TargetError};
