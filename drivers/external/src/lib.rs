//! External objects of vgi-rpc over HTTP and HTTPS: fetched within limits, and stored. WIRE_PROTOCOL 12, "Fetch safety".
//!
//! [`HttpFetcher`] performs [`Request::Fetch`] and [`Request::Upload`], and does the `PUT` for whatever performs [`Request::Store`],
//! which knows where objects go. It blocks the calling thread, which decodes the object while more of it arrives: what is not
//! decoded yet is not read.
//!
//! - The [`UrlPolicy`](vgi_rpc_protocol::external::UrlPolicy) is applied to each URL before it is requested, redirects included,
//!   and to each address before it is connected to. A name is resolved once, and the address that was checked is the one
//!   that is used; a connection is used again only under a policy that allows its address.
//! - No proxy is used, whatever the environment says: behind one, no address could be checked.
//! - Content codings are undone by the [`Resolution`](vgi_rpc_protocol::external::Resolution), and not here.
//! - Errors show scheme, host, port and path of a URL. Nothing is logged.
//! - Stores of objects ([`ObjectStorage`]) that sign their requests send them by [`HttpFetcher::exchange`]. [`ObjectNames`] and
//!   [`Backoff`] are what they have in common.
//! - A large object is read in several ranges at a time, if its server says that it can do that, and names the version of the
//!   object.
//!
//! ```no_run
//! use vgi_rpc_external::{HttpFetcher, HttpOptions, Put};
//! use vgi_rpc_protocol::effect::{Completion, Failure, Request};
//! use vgi_rpc_protocol::external::{FetchOptions, Location};
//!
//! let fetcher = HttpFetcher::new(HttpOptions::default())?;
//! let options = FetchOptions::default();
//! let perform = move |request: &Request| match request {
//!     Request::Fetch(fetch) => fetcher.fetch(fetch),
//!     Request::Upload(upload) => fetcher.upload(upload),
//!     Request::Store(store) => {
//!         let (upload_url, download_url) = new_object();
//!         match fetcher.put(&upload_url, &Put::from(store.object()), &options.policy, options.time_limit) {
//!             Ok(()) => Completion::Stored(download_url),
//!             Err(error) => Failure::from(error).into(),
//!         }
//!     }
//!     _ => Failure::unsupported().into(),
//! };
//! # let _: Box<dyn Fn(&Request) -> Completion + Send + Sync> = Box::new(perform);
//!
//! /// Signs a pair of URLs.
//! fn new_object() -> (Location, Location) {
//!     # unimplemented!()
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Request::Fetch`]: vgi_rpc_protocol::effect::Request::Fetch
//! [`Request::Upload`]: vgi_rpc_protocol::effect::Request::Upload
//! [`Request::Store`]: vgi_rpc_protocol::effect::Request::Store

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `effects`, `perform` | what machines ask for |
// | `fetcher` | one transfer: attempts, and what they block on |
// | `options`, `put` | settings, and what is stored |
// | `request` | a request of an application's own, and its response |
// | `storage` | what object stores have in common, and how their effects are performed |
// | `presigned` | a store whose URLs others sign |
// | `names` | the names of objects in a bucket |
// | `backoff` | how long to wait before another attempt |
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
mod backoff;
mod block;
mod connect;
mod download;
mod effects;
mod error;
mod exchange;
mod fetcher;
mod gather;
mod names;
mod options;
mod perform;
mod pool;
mod presigned;
mod put;
mod ranges;
mod request;
mod storage;
mod target;

pub use backoff::{Backoff, date, deadline, retry_after, unix_time};
pub use error::{TransferError, TransferErrorKind, Waiting};
pub use fetcher::HttpFetcher;
pub use names::{DEFAULT_PREFIX, NameError, ObjectNames};
pub use options::{HttpOptions, Lookup};
pub use presigned::{Presign, PresignedError, PresignedStorage, PresignedUrls, Purpose};
pub use put::Put;
pub use request::{HttpRequest, HttpResponse};
pub use storage::{ObjectStorage, StorageEffects};
pub use vgi_rpc_tls::{ClientTls, ClientTlsBuilder, Pem, TlsConfigError};
