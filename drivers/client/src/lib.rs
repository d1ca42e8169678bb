//! A blocking vgi-rpc client: one type over any transport.
//!
//! The drivers provide its basis: a [`Transport`] moves the bytes of a connection, as in `vgi-rpc-stdio` and `vgi-rpc-unix`, and
//! a [`Channel`] carries whole calls in another way, as in `vgi-rpc-http`.
//!
//! The feature `zstd`, on by default, enables that of `vgi-rpc-protocol`.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `client` | clients, and unary calls |
// | `stream` | streams: opening, turns, ending |
// | `method` | the called protocol and method |
// | `shape`, `kinds` | the kinds of methods, and calls of the wrong kind |
// | `typed` | calls with Rust values |
// | `reflection` | querying a server's protocols |
// | `uploads` | URLs to upload to |
// | `hooks`, `hooked` | observing calls |
// | `retry_policy`, `retries` | retrying failed calls |
// | `external` | fetching external batches |
// | `pointer` | pointers to external data that are not fetched |
// | `error` | why a call failed |
// | `channel`, `byte_channel` | carrying calls: the trait, and over a byte stream |
// | `transport` | moving a connection's bytes |
// | `timeouts` | how long a client waits |
// | `pipes` | pipes with timeouts |

mod byte_channel;
mod channel;
mod client;
mod error;
mod external;
mod hooked;
mod hooks;
mod kinds;
mod method;
#[cfg(unix)]
pub mod pipes;
mod pointer;
mod reflection;
mod retries;
mod retry_policy;
mod shape;
mod stream;
mod timeouts;
mod transport;
mod typed;
mod uploads;

pub use channel::Channel;
pub use client::Client;
pub use error::{CallError, ServerGone, TransportError};
pub use external::External;
pub use hooks::{ClientCall, ClientHook, ClientOutcome, ClientScope};
pub use method::{Method, Remote};
pub use retry_policy::RetryPolicy;
pub use shape::{CallShape, WrongKind};
pub use stream::Stream;
pub use timeouts::{Direction, Patience, Timeouts};
pub use transport::{DEFAULT_UNREAD_CAPACITY, Transport};
pub use vgi_rpc_shm::ShmClient;
