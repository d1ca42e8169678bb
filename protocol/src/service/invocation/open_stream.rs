//! A stream between its turns: open, or saved and to be restored.

use crate::ipc::EncodedSchema;
use crate::panics;
use crate::service::context::CallContext;
#[cfg(feature = "http")]
use crate::service::declare::{Handler, Method};
#[cfg(feature = "http")]
use crate::service::handler::{Saved, guard};
use crate::service::handler::{StreamState, dropped};
use crate::wire::error::RpcError;
use bytes::Bytes;
use std::fmt;
#[cfg(feature = "http")]
use std::sync::Arc;

/// A stream that is to take a turn.
pub(crate) enum Turning {
    Open(Box<OpenStream>),
    /// The stream was saved, and is restored first.
    #[cfg(feature = "http")]
    Saved(Arc<Method>, Box<SavedStream>),
}

/// A saved stream.
#[cfg(feature = "http")]
pub(crate) struct SavedStream {
    pub(crate) is_producer: bool,
    pub(crate) state: Bytes,
    pub(crate) call_state: Bytes,
    pub(crate) input: EncodedSchema,
    pub(crate) output: EncodedSchema,
}

impl Turning {
    pub(crate) fn is_producer(&self) -> bool {
        match self {
            Self::Open(stream) => stream.state.is_producer(),
            #[cfg(feature = "http")]
            Self::Saved(_, saved) => saved.is_producer,
        }
    }

    #[cfg(not(feature = "http"))]
    pub(super) fn open(self, _: &mut CallContext) -> Result<Box<OpenStream>, RpcError> {
        let Self::Open(stream) = self;
        Ok(stream)
    }

    #[cfg(feature = "http")]
    pub(super) fn open(self, context: &mut CallContext) -> Result<Box<OpenStream>, RpcError> {
        match self {
            Self::Open(stream) => Ok(stream),
            Self::Saved(method, saved) => saved.open(&method, context),
        }
    }
}

#[cfg(feature = "http")]
impl SavedStream {
    fn open(self, method: &Method, context: &mut CallContext) -> Result<Box<OpenStream>, RpcError> {
        let Handler::Stream { restore, .. } = &method.handler else {
            return Err(RpcError::runtime_error("a unary method has no streams"));
        };
        let Self { is_producer, state, call_state, input, output } = self;
        let saved = Saved { is_producer, state: &state, call_state: &call_state };
        let state = guard(|| restore(saved, context))?;
        let stream = Box::new(OpenStream { state, input, output, call_state });
        if stream.state.is_producer() != is_producer {
            return Err(RpcError::type_error(
                "the stream came back as another kind: a producer as an exchange, or an exchange as a producer",
            ));
        }
        if !stream.state.can_resume() {
            // It would have to stay in memory, where the next turn does not find it.
            return Err(RpcError::type_error(
                "expected a stream that comes back to have a state that can be saved again, got an unresumable one",
            ));
        }
        Ok(stream)
    }
}

/// A stream between its turns.
pub(crate) struct OpenStream {
    pub(crate) state: Box<dyn StreamState>,
    pub(crate) input: EncodedSchema,
    pub(crate) output: EncodedSchema,
    /// The part that does not change during the stream, for a transport that keeps no state between turns.
    pub(crate) call_state: Bytes,
}

impl Drop for OpenStream {
    /// Catches a panic in the state's destructor. The machine may drop the stream on any thread.
    fn drop(&mut self) {
        panics::discard(std::mem::replace(&mut self.state, dropped()));
    }
}

impl fmt::Debug for OpenStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStream")
            .field("output", self.output.schema())
            .field("call_state_bytes", &self.call_state.len())
            .finish_non_exhaustive()
    }
}
