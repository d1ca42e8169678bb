//! What an application may attach to a service beside its handlers: start-up work, and a listener to every call.

use super::context::{CallContext, TransportKind};
use super::record::CallRecord;
use crate::wire::error::RpcError;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Listens to every call, on every transport. It cannot change a call; a panic in it is swallowed.
pub trait CallHook: Send + Sync + 'static {
    /// A request was resolved to a method, and its handler is about to be invoked.
    fn on_start(&self, _call: &CallContext) {}

    /// A call is over: how it went, and what it moved. It is told of refused calls too, which never started.
    fn on_end(&self, _record: &CallRecord) {}
}

/// Work to do once before the first call, told on which transport.
pub(crate) type ServeStart = dyn Fn(TransportKind) -> Result<(), RpcError> + Send + Sync;

/// Tells that a handler is about to be invoked.
pub(crate) fn start(hooks: &[Box<dyn CallHook>], call: &CallContext) {
    hooks.iter().for_each(|hook| run(|| hook.on_start(call)));
}

/// Tells that a call is over.
pub(crate) fn end(hooks: &[Box<dyn CallHook>], record: &CallRecord) {
    hooks.iter().for_each(|hook| run(|| hook.on_end(record)));
}

/// Runs a hook; what goes wrong in it goes no further.
fn run(hook: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(hook));
}
