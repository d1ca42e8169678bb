//! The context of one call: its method, its peer, its metadata and limits, and what it may use of its connection: logs, a sticky
//! session, shared memory.
//!
//! Handlers and hooks receive a context. Parameters and return values are in `handler`, and sessions themselves belong to the
//! transport.

mod call_context;
mod declaration;
mod log_room;
mod session;
mod shared_access;

pub(crate) use call_context::{Bounds, RequestId};
pub use call_context::{CallContext, LogSink, ResponseBudget};
pub(in crate::service) use declaration::{Declaration, Shared};
pub(crate) use session::SessionAccess;
pub(in crate::service) use shared_access::SharedAccess;
