//! The service: the protocols that it hosts, admission, and which method a request names. WIRE_PROTOCOL 3.1 and 13.
//!
//! Parameters are validated and handlers are run in `invocation`.

mod admission;
mod refusals;
mod resolve;
mod service;

pub use admission::Stop;
#[cfg(feature = "http")]
pub(crate) use refusals::not_implemented;
pub(in crate::service) use resolve::{Target, gate_version, resolve};
#[cfg(feature = "http")]
pub(crate) use resolve::{built_in, find};
pub use service::{Service, ServiceBuilder};
