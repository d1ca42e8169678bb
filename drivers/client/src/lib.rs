//! A blocking vgi-rpc client: one type over any transport.
//!
//! The drivers provide what it is built on: a [`Transport`] moves the bytes of a connection, as those of
//! `vgi-rpc-stdio` and `vgi-rpc-unix` do, and a [`Channel`] carries whole calls in some other way, as that of
//! `vgi-rpc-http` does.
//!
//! The feature `zstd`, on by default, turns on that of `vgi-rpc-protocol`.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `client` | clients, and unary calls |
// | `stream` | streams: opening, turns, ending |
// | `method` | what is called |
// | `shape`, `kinds` | what kind a method is, and calls of another kind |
// | `typed` | calls with Rust values |
// | `reflection` | asking a server what it hosts |
// | `uploads` | URLs to upload to |
// | `hooks`, `hooked` | who listens to calls |
// | `retry_policy`, `retries` | making calls again that failed |
// | `external` | fetching batches that lie elsewhere |
// | `pointer` | answers that are elsewhere, and are not fetched |
// | `error` | why a call gave no result |
// | `channel`, `byte_channel` | what carries calls: anything, or a connection of bytes |
// | `transport` | what moves a connection's bytes |
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
