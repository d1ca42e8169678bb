//! OpenTelemetry for vgi-rpc: spans and metrics of servers, of clients, and of the transfers of external objects.
//!
//! [`Otel`] is made of an [`OtelConfig`], and gives what the other crates take:
//!
//! | to | use |
//! | --- | --- |
//! | trace and measure the calls of a server | `ServiceBuilder::hook` with [`Otel::server`] |
//! | count what was refused before it became a call, over HTTP | `EndpointBuilder::on_auth_failure` with [`Otel::auth_failures`] |
//! | trace and measure the calls of a client, and join its trace to the server's | `Client::hook` with [`Otel::client`] |
//! | trace fetches and uploads of external objects | `Performer::new` or `External::new` with [`Otel::perform`] |
//!
//! ```
//! use vgi_rpc_otel::{Otel, OtelConfig};
//! use vgi_rpc_protocol::arrow::schema::DataType;
//! use vgi_rpc_protocol::service::{Method, Protocol, Service};
//!
//! // The providers are the global ones: those of `opentelemetry::global` at this point.
//! let otel = Otel::new(OtelConfig::new());
//! let answer = Method::new("answer").returns(DataType::Int64).unary(|_, _| Ok(42_i64));
//! let service = Service::builder("worker-1")
//!     .protocol(Protocol::new("demo.Deep.v1").method(answer))
//!     .hook(otel.server())
//!     .build()?;
//! # let _ = service;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate knows the API of OpenTelemetry, and no exporter: the application sets up its SDK, and shuts it down before the
//! process ends, so that nothing is lost which waits to be sent. `cargo run -p vgi-rpc-otel --example worker` shows both.
//!
//! # Spans
//!
//! Tracer and meter are named `vgi_rpc`, version `0.1.0`, as in every implementation.
//!
//! | span | kind | of |
//! | --- | --- | --- |
//! | `vgi_rpc/METHOD` | server | a call that the server has resolved to one of its methods |
//! | `vgi_rpc/METHOD` | client | a call that a client makes, one for each attempt |
//! | `vgi_rpc.external/fetch` | client | an external object that is fetched, with all attempts |
//! | `vgi_rpc.external/upload` | client | one that is stored |
//!
//! On a byte stream a call is one unary call or one stream with all of its turns. Over HTTP each request is a call on the server,
//! and a whole stream is one on the client, whose span is the parent of all of them.
//!
//! A server's span is the current one on the thread that runs the handler, and while effects of the call are performed, which are
//! therefore its children. Its parent is the `traceparent` of the request's metadata; otherwise the span that is current where
//! the request is read, if there is one; otherwise the `traceparent` header of the request. A client sends its span in the metadata
//! and, with the further turns of a stream over HTTP, in the headers. The format is W3C Trace Context, whatever the global
//! propagator is; baggage is not carried.
//!
//! The status of a server's span is `Error` if the code of the error is `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`,
//! `INTERNAL`, `UNAVAILABLE` or `DATA_LOSS`. Other errors are mistakes of the caller, and leave it unset. The status of a client's
//! span is `Error` after every error. The span of an object that was stored leaves it unset, as the reference's does. [`names`] lists the
//! attributes.
//!
//! # Metrics
//!
//! | instrument | kind | labels |
//! | --- | --- | --- |
//! | `rpc.server.requests`, `rpc.server.duration` | counter, histogram in seconds | system, service, method, type, status (`ok`, `error`), authentication domain, evidence of peers |
//! | `rpc.server.auth_failure` | counter | system, service, `error.type`: the [reason](vgi_rpc_protocol::http::auth::Reason) |
//! | `rpc.client.requests`, `rpc.client.duration` | counter, histogram in seconds | system, service, method, type, status |
//!
//! Durations are in buckets from 5 ms to 10 s, as OpenTelemetry's conventions for RPC have them. The reference leaves the buckets to the
//! SDK, whose own are for milliseconds. A view of the application's SDK replaces them.
//!
//! A request for an unknown protocol or method is not a call, and creates no series. A client labels calls of a method that no
//! server is known to have with `_OTHER`, since the names may come from a client of its own.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `otel` | what an application has of all this |
// | `config` | settings |
// | `shared` | the tracer, the instruments, and the settings of all hooks |
// | `span` | where spans of all kinds begin |
// | `names` | names of spans, metrics and attributes |
// | `trace_context` | W3C Trace Context, as text |
// | `current` | the span that is current on a thread |
// | `server`, `attributes` | calls of a server, and what is said of them |
// | `client`, `known` | calls of a client, and the methods that are known to be there |
// | `external` | transfers of external objects |

mod attributes;
mod client;
mod config;
mod current;
mod external;
mod known;
pub mod names;
mod otel;
mod server;
mod shared;
mod span;
mod trace_context;

pub use client::OtelClient;
pub use config::OtelConfig;
pub use external::OtelPerform;
pub use otel::Otel;
pub use server::OtelServer;
