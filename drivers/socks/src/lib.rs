//! TCP connections through a SOCKS5 proxy, which resolves the names of its targets: what other programs write as `socks5h`.
//!
//! [`SocksProxy`] is a setting of clients, made of an address such as `socks5h://127.0.0.1:1080`. Its
//! [`connect`](SocksProxy::connect) gives a socket that leads to the target, within one time limit for all of it.
//! [`Negotiation`] is what is said to the proxy, without I/O.
//!
//! The name of a target is never resolved on this machine, and a connection that the proxy does not make is not made
//! directly. The conversation with the proxy is not encrypted, its credentials included; what follows is the client's, who may
//! speak TLS with the target.
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
// | `dial` | connecting |
// | `negotiation` | what is said to the proxy |
// | `target` | where a connection leads |
// | `error` | why there is none |

mod dial;
mod error;
mod negotiation;
mod proxy;
mod target;

pub use error::{NegotiationError, Reply, SocksError, SocksErrorKind};
pub use negotiation::{Credentials, Negotiation, Step};
pub use proxy::{ProxyUrlError, SocksProxy};
pub use target::{Target, TargetError};
