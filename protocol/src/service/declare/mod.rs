//! Declares methods, with their signatures and handlers, and the protocols that they belong to.
//!
//! This folder does not look up a method and does not run a handler. What clients see of a declaration is in
//! [`crate::description`].

mod method;
mod protocol;
mod rows;
mod service_error;
mod turns;
mod typed_method;

pub(in crate::service) use method::Handler;
pub use method::{Method, MethodBuilder, MethodSpec};
pub(crate) use protocol::Hosted;
pub use protocol::Protocol;
pub(in crate::service) use protocol::is_protocol_name;
pub use rows::{OpensProducer, Rows};
pub use service_error::ServiceError;
