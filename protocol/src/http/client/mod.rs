//! The client's side of HTTP: builds requests and reads responses, without I/O, clock or randomness. WIRE_PROTOCOL 10, 13 and
//! 17.
//!
//! [`ClientMachine`] is the counterpart of [`crate::client::Connection`] in which every turn of a call is a separate request.
//! Sockets, addresses, timeouts and retries are left to a driver.
//!
//! ```text
//!             call, send, tick, close, cancel
//!   caller ──commands──► ┌─────────────┐ ──requests──► driver
//!                        │ClientMachine│
//!   caller ◄──events──── └─────────────┘ ◄─responses── driver
//!              Log, Header, Output, Failed, Finished
//! ```
//!
//! The requests' targets are paths; the driver adds the authority, and a credential if there is one.
//!
//! ```
//! use arrow_array::RecordBatch;
//! use bytes::Bytes;
//! use vgi_rpc_protocol::Next;
//! use vgi_rpc_protocol::client::{Call, Event};
//! use vgi_rpc_protocol::http::client::ClientMachine;
//! use vgi_rpc_protocol::ipc::EncodedSchema;
//!
//! /// Makes a unary call over any HTTP client.
//! fn unary(
//!     caller: &mut ClientMachine,
//!     call: &Call<'_>,
//!     params: &RecordBatch,
//!     mut fetch: impl FnMut(http::Request<Vec<Bytes>>) -> http::Response<Bytes>,
//! ) -> Result<RecordBatch, Box<dyn std::error::Error>> {
//!     caller.call(call, &EncodedSchema::new(params.schema())?, params)?;
//!     // 1. Send the requests. The first one may ask for the server's capabilities.
//!     while let Some(request) = caller.poll_request() {
//!         caller.receive(fetch(request))?;
//!     }
//!     // 2. Read the result.
//!     let mut result = Err("no result".into());
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
// | `machine`, `machine/turns` | the state machine: commands, requests, responses, events |
// | `settings`, `shared` | the settings of clients, and the state that they share |
// | `request` | request heads |
// | `response` | the Arrow streams of a response, or why it has none |
// | `retry_after` | the parser of `Retry-After` |
// | `turn` | one request of a call and the events of its response |
// | `session` | the token and the headers of a sticky session |
// | `upload` | upload URLs |
// | `error` | responses that do not answer the call |

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

pub use error::{ForeignResponse, ResponseError};
pub use machine::ClientMachine;
pub use session::Session;
pub use settings::{Settings, SettingsError};
pub use upload::upload_urls;
