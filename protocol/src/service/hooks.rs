//! What an application may attach to a service beside its handlers: start-up work, admission, and a listener to every
//! call.

use super::context::{CallContext, TransportKind};
use super::record::{CallRecord, TraceIds};
use crate::effect::{Accompany, Answers, Ask, Failure};
use crate::panics::{self, catch};
use crate::wire::error::RpcError;
use arrow_array::RecordBatch;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Listens to every call, on every transport. It cannot change a call; a panic in it is swallowed.
///
/// On a byte stream a call is one unary call or one stream with all of its turns. Over HTTP it is one request, so a
/// stream has several. A request that only cancels a stream is no call: WIRE_PROTOCOL 9, "Client-initiated
/// cancellation".
pub trait CallHook: Send + Sync + 'static {
    /// A request was resolved to a method; nothing else was looked at. What is returned accompanies the call to its end.
    fn on_start(&self, call: &CallContext) -> Option<Box<dyn CallScope>>;
}

/// What a [`CallHook`] keeps of one call. A panic in it is swallowed, also one in its destructor.
pub trait CallScope: Send {
    /// The parameters of the call are known: one row, which is validated next, on the thread that [`enter`](Self::enter) is
    /// called on then. It has been fetched or read from shared memory if it lay there, and its columns need not be those that
    /// the method [declares](CallContext::declared_parameters). It does not come in the further requests of a stream over HTTP,
    /// nor if the request was refused before.
    fn parameters(&mut self, _row: &RecordBatch) {}

    /// The call's handler is about to run on this thread, or an effect is about to be performed that the call waits for. On a
    /// stream this comes at each turn. It does not come after [`end`](Self::end), even when the handler of a call whose
    /// connection was lost runs later.
    fn enter(&mut self) {}

    /// The handler has returned, or the effect was performed, on the thread of its [`enter`](Self::enter). If the connection
    /// was lost meanwhile, [`end`](Self::end) came before; and an effect that takes longer than its time limit may end when
    /// the handler runs already, on another thread.
    fn exit(&mut self) {}

    /// The span that the call runs under, for the [record](CallRecord::trace) of the call. Called once, before
    /// [`end`](Self::end); of several hooks the first that has one counts.
    fn trace(&self) -> Option<TraceIds> {
        None
    }

    /// The call is over, for whatever reason: called once for each call, refused ones and those whose connection was lost
    /// included.
    fn end(&mut self, _record: &CallRecord) {}
}

/// Work to do once before the first call, told on which transport.
pub(crate) type ServeStart = dyn Fn(TransportKind) -> Result<(), RpcError> + Send + Sync;

/// Decides whether a call may go on.
pub(crate) type Admission = dyn Fn(&CallContext, &Answers) -> Result<(), Stop> + Send + Sync;

/// Why [admission](super::ServiceBuilder::admit) does not let a call go on now.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// The call is answered with this error.
    Refuse(RpcError),
    /// A question must be answered first.
    Ask(Ask),
}

impl Stop {
    /// The error that a call is answered with when nothing more may be asked for it.
    pub(crate) fn into_error(self) -> RpcError {
        match self {
            Self::Refuse(error) => error,
            Self::Ask(_) => RpcError::runtime_error("admission asks more questions than one call may"),
        }
    }
}

impl From<RpcError> for Stop {
    fn from(error: RpcError) -> Self {
        Self::Refuse(error)
    }
}

impl From<Ask> for Stop {
    fn from(ask: Ask) -> Self {
        Self::Ask(ask)
    }
}

impl From<&Failure> for Stop {
    fn from(failure: &Failure) -> Self {
        Self::Refuse(failure.clone().into())
    }
}

/// The scopes of one call, shared by its machine and the work that is out.
pub(crate) struct Scopes(Mutex<Listening>);

struct Listening {
    scopes: Vec<Box<dyn CallScope>>,
    has_ended: bool,
}

impl Drop for Listening {
    fn drop(&mut self) {
        panics::discard_all(self.scopes.drain(..));
    }
}

impl Scopes {
    /// Tells that a call begins. `None` when nothing accompanies it.
    pub(crate) fn start(hooks: &[Box<dyn CallHook>], call: &CallContext) -> Option<Arc<Self>> {
        let scopes: Vec<_> =
            hooks.iter().filter_map(|hook| catch(|| hook.on_start(call)).flatten()).collect();
        (!scopes.is_empty()).then(|| Arc::new(Self(Mutex::new(Listening { scopes, has_ended: false }))))
    }

    /// Tells the parameters, unless the call has ended.
    pub(crate) fn parameters(&self, row: &RecordBatch) {
        let mut listening = self.lock();
        if !listening.has_ended {
            listening.scopes.iter_mut().for_each(|scope| {
                catch(|| scope.parameters(row));
            });
        }
    }

    /// Tells that the call has ended, unless that was told before.
    pub(crate) fn end(&self, record: &mut CallRecord) {
        let mut listening = self.lock();
        let has_ended = std::mem::replace(&mut listening.has_ended, true);
        record.trace = listening.scopes.iter().find_map(|scope| catch(|| scope.trace()).flatten());
        if has_ended {
            return;
        }
        let record = &*record;
        listening.scopes.iter_mut().for_each(|scope| {
            catch(|| scope.end(record));
        });
    }

    fn lock(&self) -> MutexGuard<'_, Listening> {
        // A listener's panic is caught within, so that the lock is never poisoned.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accompany for Scopes {
    fn enter(&self) -> bool {
        let mut listening = self.lock();
        if !listening.has_ended {
            listening.scopes.iter_mut().for_each(|scope| {
                catch(|| scope.enter());
            });
        }
        !listening.has_ended
    }

    /// In the reverse order of entering, as scopes nest.
    fn exit(&self) {
        self.lock().scopes.iter_mut().rev().for_each(|scope| {
            catch(|| scope.exit());
        });
    }
}
