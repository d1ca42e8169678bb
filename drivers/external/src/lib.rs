//! Fetches and stores external objects of vgi-rpc over HTTP and HTTPS, within limits. WIRE_PROTOCOL 12, "Fetch safety".
//!
//! [`HttpFetcher`] performs [`Request::Fetch`] and [`Request::Upload`], and sends the `PUT` for performers of [`Request::Store`],
//! which choose the URL. It blocks the calling thread, which decodes the object while it is received: reading waits for decoding.
//!
//! - The [`UrlPolicy`](vgi_rpc_protocol::external::UrlPolicy) is applied to each URL before it is requested, including redirects,
//!   and to each address before it is connected to. A name is resolved once, and only checked addresses are connected to; a
//!   connection is reused only under a policy that allows its address.
//! - No proxy is used, even if the environment sets one: addresses could not be checked through it.
//! - Content codings are decoded by the [`Resolution`](vgi_rpc_protocol::external::Resolution), not by this crate.
//! - Errors contain the scheme, host, port and path of a URL. Nothing is logged.
//! - Object stores ([`ObjectStorage`]) that sign their requests send them with [`HttpFetcher::exchange`]. They share
//!   [`ObjectNames`] and [`Backoff`].
//! - A large object is read in several ranges at a time, if its server supports this and sends the version of the object.
//!
//! ```no_run
//! use vgi_rpc_external::{HttpFetcher, FetcherOptions, Put};
//! use vgi_rpc_protocol::effect::{Completion, Failure, Request};
//! use vgi_rpc_protocol::external::{FetchOptions, Location};
//!
//! let fetcher = HttpFetcher::new(FetcherOptions::default())?;
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
// | `effects`, `perform` | the effects of machines |
// | `fetcher` | one transfer: attempts, and waiting for them |
// | `options`, `put` | settings, and the objects to store |
// | `request` | other requests, and their responses |
// | `storage` | the trait of object stores, and a performer that uses one |
// | `presigned` | a store whose URLs the application signs |
// | `names` | the names of objects in a bucket |
// | `backoff` | how long to wait before another attempt |
// | `error` | why a transfer failed, and whether another attempt may succeed |
// | `target` | the host and the request target of a URL |
// | `connect` | names, addresses, TCP, TLS |
// | `pool` | reused connections |
// | `exchange` | one request and the head of its response; redirects |
// | `download` | an object, in order |
// | `ranges` | an object, by several requests at a time |
// | `arrivals` | the received parts of an object |
// | `gather` | the body of a `PUT` |
// | `block` | waits for a future on a thread |

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
pub use options::{FetcherOptions, Lookup};
pub use presigned::{Presign, PresignedError, PresignedStorage, PresignedUrls, Purpose};
pub use put::Put;
pub use request::{HttpRequest, HttpResponse};
pub use storage::{ObjectStorage, StorageEffects};
pub use vgi_rpc_tls::{ClientTls, ClientTlsBuilder, Pem, TlsConfigError};
