//! One invocation of a handler: validates the parameters of a request, runs the handler or a turn of its stream, and catches a
//! panic.
//!
//! An invocation knows nothing of the connection, so it may run on any thread. When it runs, and where its output goes, is decided
//! in `call`.

mod open_stream;
mod validate;
mod work;

pub(crate) use open_stream::OpenStream;
#[cfg(feature = "http")]
pub(crate) use open_stream::SavedStream;
pub(in crate::service) use open_stream::Turning;
#[cfg(feature = "http")]
pub(crate) use work::application_metadata;
pub(in crate::service) use work::{Emission, Outcome, Task, split_logs};
pub use work::{Work, WorkResult};
