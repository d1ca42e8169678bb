//! The trait [`Perform`]: how the application performs effects.

use bytes::Bytes;
use vgi_rpc_protocol::effect::{Completion, Request};

/// Performs effects.
///
/// Implemented for closures that take a [`Request`] and send no data. The closure has to name the type of its parameter:
/// `|request: &Request| ...`.
pub trait Perform: Send + Sync + 'static {
    /// Performs one effect. It may block, and is called on several threads at the same time.
    ///
    /// Call `data` with the pieces of the effect's data before returning the completion. It never blocks, and drops the pieces if
    /// no machine waits for the effect any more.
    ///
    /// If this panics, the effect fails, and the thread continues with the next one.
    fn perform(&self, request: &Request, data: &mut dyn FnMut(Bytes)) -> Completion;
}

impl<F> Perform for F
where
    F: Fn(&Request) -> Completion + Send + Sync + 'static,
{
    fn perform(&self, request: &Request, _: &mut dyn FnMut(Bytes)) -> Completion {
        self(request)
    }
}
