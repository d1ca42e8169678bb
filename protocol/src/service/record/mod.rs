//! The record of one call, and the hooks that are notified of its start and end.
//!
//! Nothing here writes a log or exports a metric. When a call begins and ends is decided in `call`.

mod call_record;
mod hooks;
pub(crate) mod logical_bytes;

pub use call_record::{CallRecord, CallStatistics, HttpRecord, SessionAction, TraceIds, Traffic};
pub(crate) use hooks::Scopes;
pub use hooks::{CallHook, CallScope};
