//! The trait [`Perform`]: how the application performs effects.

use bytes::Bytes;
use vgi_rpc_protocol::effect::{Completion, Request};

/// Performs effects.
///
/// Implemented for closures that take a [`Request`] and give no data. The closure has to name the type of its parameter:
/// `|request: &Request| ...`.
pub trait Perform: Send + Sync + 'static {
    /// Performs one effect. It is called on a thread that may block, and on several at the same time.
    ///
    /// `data` takes the data of the effect in pieces, before the completion is returned. It never blocks, and drops
    /// the pieces when no machine waits for the effect any more.
    ///
    /// If this panics, the effect fails, and the thread goes on with the next one.
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
