//! The client's side of HTTP: requests built and responses read, without I/O, clock or randomness. WIRE_PROTOCOL 10,
//! 13 and 17.
//!
//! Lives here: a [`ClientMachine`], the counterpart of [`crate::client::Connection`] where every turn of a call is a request
//! of its own. Not here: sockets, addresses, timeouts, and what is tried again; a driver has those.
//!
//! ```text
//!             call, send, tick, close, cancel
//!   caller ──commands──► ┌─────────────┐ ──requests──► driver
//!                        │ClientMachine│
//!   caller ◄──events──── └─────────────┘ ◄─responses── driver
//!              Log, Header, Output, Failed, Finished
//! ```
//!
//! The requests' targets are paths; whoever sends them adds the authority, and a credential if there is one.
//!
//! ```
//! use arrow_array::RecordBatch;
//! use bytes::Bytes;
//! use vgi_rpc_protocol::Next;
//! use vgi_rpc_protocol::client::{Call, Event};
//! use vgi_rpc_protocol::http::client::ClientMachine;
//! use vgi_rpc_protocol::ipc::EncodedSchema;
//!
//! /// Makes a unary call by way of anything that answers HTTP requests.
//! fn unary(
//!     caller: &mut ClientMachine,
//!     call: &Call<'_>,
//!     params: &RecordBatch,
//!     mut fetch: impl FnMut(http::Request<Vec<Bytes>>) -> http::Response<Bytes>,
//! ) -> Result<RecordBatch, Box<dyn std::error::Error>> {
//!     caller.call(call, &EncodedSchema::new(params.schema())?, params)?;
//!     // 1. Send what is to be sent. The first request may ask for the server's capabilities.
//!     while let Some(request) = caller.poll_request() {
//!         caller.receive(fetch(request))?;
//!     }
//!     // 2. See what came of it.
//!     let mut result = Err("no result came".into());
//!     while let Next::Event(event) = caller.poll_event() {
//!         match event {
//!             Event::Output(batch, _metadata) => result = Ok(batch),
//!             Event::Failed(error) => result = Err(error.into()),
//!             Event::Log(message) => println!("{}", message.message),
//!             Event::Header(..) | Event::Finished => {}
//!         }
//!     }
//!     result
//! }
//! ```

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `machine`, `machine/turns` | the machine: commands in, requests out, responses in, events out |
// | `settings`, `shared` | what callers are told, and what they know together |
// | `request` | heads of requests |
// | `response` | from a response to the Arrow streams in it, or to why there are none |
// | `retry_after` | how long a server asks its clients to wait |
// | `turn` | one request of a call and the events of its answer |
// | `session` | the token and the headers of a sticky session |
// | `upload` | URLs to upload to |
// | `error` | answers that are none |

mod error;
mod machine;
mod request;
mod response;
mod retry_after;
mod session;
mod settings;
mod shared;
mod turn;
mod upload;

pub use error::{ForeignAnswer, ResponseError};
pub use machine::ClientMachine;
pub use session::Session;
pub use settings::{Settings, SettingsError};
pub use upload::upload_urls;
