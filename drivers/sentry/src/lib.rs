//! Sentry for vgi-rpc servers: the failures that are the server's fault, with what is known of their calls, and spans if asked
//! for.
//!
//! The application sets the SDK up, by `sentry::init` of the crate `sentry`. This crate stands on `sentry-core`, which that crate
//! re-exports, and sends what it has to whichever client is bound where calls come in: on the main hub, unless the application
//! does something else. Without a client nothing is sent.
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
//! An event for each call that fails with `UNKNOWN`, `INTERNAL` or `DATA_LOSS`; other codes say that the caller was wrong, or that
//! the failure passes. `UNKNOWN` is the code of every error that a handler has not classified, and of panics. The event has the type
//! and the message of the error, which may repeat what the caller sent.
//!
//! | | |
//! | --- | --- |
//! | transaction | `rpc METHOD` |
//! | tags | `rpc.method`, `rpc.method_type`, `auth.domain`, `auth.authenticated`; `vgi.attach_id` and `vgi.transaction_id`, the first 12 hex digits of the SHA-256 of the parameters of those names; what the settings add |
//! | context `rpc` | `method`, `method_type`, `service`, `server_id`; `request_id`, which the access log has too |
//! | user | `id`, the principal; `username`, `email` and `name` from the claims `preferred_username`, `email` and `name` |
//!
//! Each call has a hub of its own, which is the current one on the thread that runs the handler and where effects of the call are
//! performed. So the events and breadcrumbs that handlers make have the same tags, and none of another call.
//!
//! With [`SentryConfig::enable_performance`] each call is a span `vgi_rpc/METHOD`: a child of the span that is current where the
//! request is read, and otherwise a transaction, which continues the trace of the request's `sentry-trace` header over HTTP. It has
//! `rpc.system`, `rpc.service`, `rpc.method`, `rpc.method_type` and `rpc.stream_id` as data.
//!
//! # Parameters
//!
//! Parameters are sent only if a setting asks for them. [`SentryConfig::record_params`] makes them data of spans, as the reference does:
//! events have none of it, and without [`SentryConfig::enable_performance`], or a span of the application's own, nothing is sent.
//! [`SentryConfig::tag_param`] makes one a tag of events too. Names that contain `password`, `token`, `secret`, `key` or `authorization`
//! are always left out, and a [redactor](SentryConfig::redactor) of the application's is given what is left:
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
// | `hook` | what is made of a call |
// | `current` | the hub that is current on a thread |
// | `params` | parameters as values that Sentry takes |

mod config;
mod current;
mod hook;
mod params;

pub use config::SentryConfig;
pub use hook::Sentry;
