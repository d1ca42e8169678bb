//! Sentry for vgi-rpc servers: reports failures that are the server's fault, with data of their calls, and optionally sends
//! spans.
//!
//! The application sets up the SDK with `sentry::init` of the crate `sentry`. This crate depends on `sentry-core`, which that
//! crate re-exports, and sends to the client of the hub that is current where calls are received: the main hub, unless the
//! application changes it. Without a client, nothing is sent.
//!
//! ```
//! use vgi_rpc_protocol::arrow::schema::DataType;
//! use vgi_rpc_protocol::service::{Method, Protocol, Service};
//! use vgi_rpc_sentry::{Sentry, SentryConfig};
//!
//! let answer = Method::new("answer").returns(DataType::Int64).unary(|_, _| Ok(42_i64));
//! let service = Service::builder("worker-1")
//!     .protocol(Protocol::new("demo.Deep.v1").method(answer))
//!     .hook(Sentry::new(SentryConfig::new()))
//!     .build()?;
//! # let _ = service;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is sent
//!
//! An event is sent for each call that fails with `UNKNOWN`, `INTERNAL` or `DATA_LOSS`; other codes mean a mistake of the caller
//! or a temporary failure. `UNKNOWN` is the code of every error that a handler has not classified, and of panics. The event has
//! the type and the message of the error, which may repeat data of the caller.
//!
//! | | |
//! | --- | --- |
//! | transaction | `rpc METHOD` |
//! | tags | `rpc.method`, `rpc.method_type`, `auth.domain`, `auth.authenticated`; `vgi.attach_id` and `vgi.transaction_id`, the first 12 hex digits of the SHA-256 of the parameters of those names; those of the settings |
//! | context `rpc` | `method`, `method_type`, `service`, `server_id`; `request_id`, which is also in the access log |
//! | user | `id`, the principal; `username`, `email` and `name` from the claims `preferred_username`, `email` and `name` |
//!
//! Each call has its own hub. It is the current one on the thread that runs the handler and where effects of the call are
//! performed. So the events and breadcrumbs of handlers have the tags of their call.
//!
//! With [`SentryConfig::enable_performance`] each call is a span `vgi_rpc/METHOD`: a child of the span that is current where the
//! request is read, and otherwise a transaction, which continues the trace of the request's `sentry-trace` header over HTTP. It has
//! `rpc.system`, `rpc.service`, `rpc.method`, `rpc.method_type` and `rpc.stream_id` as data.
//!
//! # Parameters
//!
//! Parameters are sent only if a setting enables this. [`SentryConfig::record_params`] sends them as data of spans, like the
//! reference: events do not have this data, and without [`SentryConfig::enable_performance`], or a span of the application,
//! nothing is sent. [`SentryConfig::tag_param`] also sends a parameter as a tag of events. Names that contain `password`,
//! `token`, `secret`, `key` or `authorization` are always omitted, and a [redactor](SentryConfig::redactor) of the application
//! receives the others:
//!
//! ```
//! use vgi_rpc_sentry::SentryConfig;
//!
//! let config = SentryConfig::new()
//!     .enable_performance(true)
//!     .record_params(true)
//!     .tag_param("table")
//!     .redactor(|mut parameters| {
//!         parameters.remove("predicate");
//!         parameters
//!     });
//! # let _ = config;
//! ```

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `config` | settings |
// | `hook` | the events and spans of calls |
// | `current` | the current hub of a thread |
// | `params` | converts parameters to values for Sentry |

mod config;
mod current;
mod hook;
mod params;

pub use config::SentryConfig;
pub use hook::Sentry;
