//! OpenTelemetry for vgi-rpc: spans and metrics of servers and clients, and spans of the transfers of external objects.
//!
//! [`Otel`] is created from an [`OtelConfig`], and provides hooks for the other crates:
//!
//! | to | use |
//! | --- | --- |
//! | trace and measure the calls of a server | `ServiceBuilder::hook` with [`Otel::server`] |
//! | count callers that were refused over HTTP before a call | `EndpointBuilder::on_auth_failure` with [`Otel::auth_failures`] |
//! | trace and measure the calls of a client, and connect its trace to the server's | `Client::hook` with [`Otel::client`] |
//! | trace fetches and uploads of external objects | `Performer::new` or `External::new` with [`Otel::perform`] |
//!
//! ```
//! use vgi_rpc_otel::{Otel, OtelConfig};
//! use vgi_rpc_protocol::arrow::schema::DataType;
//! use vgi_rpc_protocol::service::{Method, Protocol, Service};
//!
//! // Uses the global providers: those of `opentelemetry::global` at this point.
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
//! This crate uses only the API of OpenTelemetry, without an exporter. The application sets up the SDK, and shuts it down before
//! the process ends, so that buffered data is sent. `cargo run -p vgi-rpc-otel --example worker` shows both.
//!
//! # Spans
//!
//! The tracer and the meter are named `vgi_rpc`, version `0.1.0`, as in every implementation.
//!
//! | span | kind | of |
//! | --- | --- | --- |
//! | `vgi_rpc/METHOD` | server | a call of a known method of the server |
//! | `vgi_rpc/METHOD` | client | a call of a client, one span for each attempt |
//! | `vgi_rpc.external/fetch` | client | the fetch of an external object, with all attempts |
//! | `vgi_rpc.external/upload` | client | the storage of an external object |
//!
//! On a byte stream, a call is one unary call or one stream with all of its turns. Over HTTP, each request is a call on the
//! server. A whole stream is one call on the client, whose span is the parent of those on the server.
//!
//! A server's span is the current one on the thread that runs the handler, and while effects of the call are performed, so their
//! spans are its children. Its parent is the `traceparent` of the request's metadata; otherwise the span that is current where
//! the request is read, if any; otherwise the `traceparent` header of the request. A client sends its span in the metadata and,
//! in the further turns of a stream over HTTP, in the headers. The format is always W3C Trace Context, independent of the global
//! propagator. Baggage is not sent.
//!
//! The status of a server's span is `Error` if the code of the error is `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`,
//! `INTERNAL`, `UNAVAILABLE` or `DATA_LOSS`. Other errors are mistakes of the caller, and the status is unset. The status of a
//! client's span is `Error` after every error. The span of a successfully stored object has no status, as in the reference.
//! [`names`] lists the attributes.
//!
//! # Metrics
//!
//! | instrument | kind | labels |
//! | --- | --- | --- |
//! | `rpc.server.requests`, `rpc.server.duration` | counter, histogram in seconds | system, service, method, type, status (`ok`, `error`), authentication domain, evidence of peers |
//! | `rpc.server.auth_failure` | counter | system, service, `error.type`: the [reason](vgi_rpc_protocol::http::auth::Reason) |
//! | `rpc.client.requests`, `rpc.client.duration` | counter, histogram in seconds | system, service, method, type, status |
//!
//! Durations have buckets from 5 ms to 10 s, as in OpenTelemetry's conventions for RPC. The reference uses the SDK's default
//! buckets, which are for milliseconds. A view in the application's SDK can replace them.
//!
//! A request for an unknown protocol or method is not a call, and creates no series. A client labels calls of a method that no
//! server is known to have with `_OTHER`, because it may forward names that its own clients chose.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `otel` | the public type that creates the hooks |
// | `config` | settings |
// | `shared` | the tracer, the instruments, and the settings of all hooks |
// | `span` | begins spans |
// | `names` | names of spans, metrics and attributes |
// | `trace_context` | W3C Trace Context, as text |
// | `current` | the current span of a thread |
// | `server`, `attributes` | calls of a server, and their attributes |
// | `client`, `known` | calls of a client, and the known methods of servers |
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
