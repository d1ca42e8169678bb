//! Hooks: the listeners to calls.

use super::call_record::{CallRecord, TraceIds};
use crate::effect::EffectListener;
use crate::panics::{self, catch};
use crate::service::context::CallContext;
use arrow_array::RecordBatch;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Listens to every call, on every transport. It cannot change a call. A panic in it is ignored.
///
/// On a byte stream a call is one unary call or one stream with all of its turns. Over HTTP it is one request, so a stream has
/// several. A request that only cancels a stream is not a call: WIRE_PROTOCOL 9, "Client-initiated cancellation".
pub trait CallHook: Send + Sync + 'static {
    /// Called when a request is resolved to a method, before anything else is checked. The returned scope accompanies the call to
    /// its end.
    fn on_start(&self, call: &CallContext) -> Option<Box<dyn CallScope>>;
}

/// The state of a [`CallHook`] for one call. A panic in it, or in its destructor, is ignored.
pub trait CallScope: Send {
    /// Called with the parameters of the call: one row, which is validated next, on the thread that [`enter`](Self::enter) is
    /// called on later. The row has already been fetched or read from shared memory if necessary. Its columns may differ from
    /// those that the method [declares](CallContext::declared_parameters). It is not called for the later requests of a stream
    /// over HTTP, nor if the request was refused before.
    fn parameters(&mut self, _row: &RecordBatch) {}

    /// Called before the call's handler runs on this thread, or before an effect that the call waits for is performed. On a
    /// stream it is called at each turn. It is never called after [`end`](Self::end), even if the handler of a call whose
    /// connection was lost runs later.
    fn enter(&mut self) {}

    /// Called after the handler has returned, or the effect was performed, on the thread of the matching [`enter`](Self::enter).
    /// If the connection was lost in between, [`end`](Self::end) was called before. An effect that exceeds its time limit may end
    /// while the handler already runs on another thread.
    fn exit(&mut self) {}

    /// Returns the call's span for its [record](CallRecord::trace). Called once, before [`end`](Self::end). If several hooks
    /// return one, the first counts.
    fn trace(&self) -> Option<TraceIds> {
        None
    }

    /// Called once when the call is over, for whatever reason, including refused calls and those whose connection was lost.
    fn end(&mut self, _record: &CallRecord) {}
}

/// The scopes of one call, shared by the call's state machine and its running work.
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
    /// Notifies the hooks that a call begins. Returns `None` if no hook returns a scope.
    pub(crate) fn start(hooks: &[Box<dyn CallHook>], call: &CallContext) -> Option<Arc<Self>> {
        let scopes: Vec<_> =
            hooks.iter().filter_map(|hook| catch(|| hook.on_start(call)).flatten()).collect();
        (!scopes.is_empty()).then(|| Arc::new(Self(Mutex::new(Listening { scopes, has_ended: false }))))
    }

    /// Passes the parameters to the scopes, unless the call has ended.
    pub(crate) fn parameters(&self, row: &RecordBatch) {
        let mut listening = self.lock();
        if !listening.has_ended {
            listening.scopes.iter_mut().for_each(|scope| {
                catch(|| scope.parameters(row));
            });
        }
    }

    /// Notifies the scopes that the call has ended, unless they were notified before.
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
        // A listener's panic is caught while the lock is held, so it is never poisoned.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EffectListener for Scopes {
    fn enter(&self) -> bool {
        let mut listening = self.lock();
        if !listening.has_ended {
            listening.scopes.iter_mut().for_each(|scope| {
                catch(|| scope.enter());
            });
        }
        !listening.has_ended
    }

    /// Calls the scopes in the reverse order of entering.
    fn exit(&self) {
        self.lock().scopes.iter_mut().rev().for_each(|scope| {
            catch(|| scope.exit());
        });
    }
}
