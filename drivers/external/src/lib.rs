//! External objects of vgi-rpc over HTTP and HTTPS: fetched within limits, and stored. WIRE_PROTOCOL 12, "Fetch safety".
//!
//! [`HttpFetcher`] performs what a machine asks for with [`Request::Fetch`](vgi_rpc_protocol::effect::Request::Fetch), and does
//! the `PUT` of whatever performs [`Request::Store`](vgi_rpc_protocol::effect::Request::Store). It blocks the calling thread,
//! which decodes the object while more of it arrives: what is not decoded yet is not read.
//!
//! - The [`UrlPolicy`](vgi_rpc_protocol::external::UrlPolicy) is applied to each URL before it is requested, redirects included,
//!   and to each address before it is connected to. A name is resolved once, and the address that was checked is the one
//!   that is used; a connection is used again only under a policy that allows its address.
//! - No proxy is used, whatever the environment says: behind one, no address could be checked.
//! - Content codings are undone by the [`Resolution`](vgi_rpc_protocol::external::Resolution), and not here.
//! - Errors show scheme, host, port and path of a URL. Nothing is logged.
//! - A large object is read in several ranges at a time, if its server says that it can do that, and names the version of the
//!   object.
//!
//! ```no_run
//! use bytes::Bytes;
//! use std::time::Duration;
//! use vgi_rpc_external::{HttpFetcher, HttpOptions, Upload};
//! use vgi_rpc_protocol::external::{Location, Resolution, Resolved, UrlPolicy};
//!
//! fn round_trip(object: Vec<Bytes>, resolution: Resolution) -> Result<Resolved, Box<dyn std::error::Error>> {
//!     let fetcher = HttpFetcher::new(HttpOptions::default())?;
//!     let (policy, time_limit) = (UrlPolicy::https_public(), Duration::from_secs(60));
//!     let url = Location::parse("https://storage.example/key?signature=x")?;
//!     let upload = Upload { segments: object, ..Upload::default() };
//!     fetcher.put(&url, &upload, &policy, time_limit)?;
//!     Ok(fetcher.resolve(resolution, &policy, time_limit)?)
//! }
//! ```

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `fetcher` | the public methods: attempts, and what they block on |
// | `options`, `tls` | settings |
// | `error` | why a transfer failed, and whether another attempt may do better |
// | `target` | a URL as it is requested |
// | `connect` | names, addresses, TCP, TLS |
// | `pool` | connections that are used again |
// | `exchange` | one request and the head of its response; redirects |
// | `download` | an object, in order |
// | `ranges` | the same, by several requests at a time |
// | `arrivals` | what arrives of it |
// | `gather` | the body of a `PUT` |
// | `block` | waiting for a future on a thread |

mod arrivals;
mod block;
mod connect;
mod download;
mod error;
mod exchange;
mod fetcher;
mod gather;
mod options;
mod pool;
mod ranges;
mod target;
mod tls;

pub use error::{TransferError, TransferErrorKind, Waiting};
pub use fetcher::{HttpFetcher, Upload};
pub use options::{HttpOptions, Lookup};
pub use tls::{Tls, TlsError};
