//! Hooks that observe a client's calls, such as those that create spans.

use crate::error::CallError;
use std::sync::Arc;
use vgi_rpc_protocol::client::{Call, CallKind};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::panics::{self, catch};

/// Observes every call of a [`Client`](crate::Client), and may add metadata to its request. Panics in it are caught.
///
/// A stream with all of its turns is one call. A [retry](crate::RetryPolicy) is another call. So is a call that the client itself
/// makes to query the server's reflection.
pub trait ClientHook: Send + Sync + 'static {
    /// Called before a call is sent. `metadata` is that of its request, without the names of protocol and method; entries added
    /// to it, such as a trace context, are sent. The returned scope accompanies the call until it ends.
    fn on_start(&self, call: &ClientCall<'_>, metadata: &mut Metadata) -> Option<Box<dyn ClientScope>>;
}

/// The state of a [`ClientHook`] for one call. Panics in it are caught.
pub trait ClientScope: Send {
    /// Called before the client sends or waits for something of this call, on this thread. External batches are fetched within
    /// the scope.
    fn enter(&mut self) {}

    /// Called afterwards, on the thread of the last [`enter`](Self::enter).
    fn exit(&mut self) {}

    /// Called once when the call has ended.
    fn end(&mut self, _outcome: &ClientOutcome<'_>) {}
}

/// The call that a client makes.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ClientCall<'a> {
    /// The protocol.
    pub protocol: &'a str,
    /// The method.
    pub method: &'a str,
    /// Unary, or a stream.
    pub kind: CallKind,
    /// Correlates the call with the server's logs and errors.
    pub request_id: &'a str,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ClientOutcome<'a> {
    /// Why the call failed, or its stream broke off.
    pub error: Option<&'a CallError>,
    /// The client cancelled the stream.
    pub cancelled: bool,
}

/// Scopes that were entered. They exit when this is dropped, also after a panic.
struct Entered<'a>(&'a mut [Box<dyn ClientScope>]);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.iter_mut().rev().for_each(|scope| {
            catch(|| scope.exit());
        });
    }
}

/// The scopes of the current call.
#[derive(Default)]
pub(crate) struct Listening {
    scopes: Vec<Box<dyn ClientScope>>,
    pub(crate) cancelled: bool,
}

impl Listening {
    pub(crate) fn start(hooks: &[Arc<dyn ClientHook>], call: &mut Call<'_>) -> Self {
        let Call { protocol, method, kind, request_id, metadata, .. } = call;
        let (kind, request_id) = (*kind, request_id.unwrap_or_default());
        let about = ClientCall { protocol, method, kind, request_id };
        let scopes =
            hooks.iter().filter_map(|hook| catch(|| hook.on_start(&about, metadata)).flatten()).collect();
        Self { scopes, cancelled: false }
    }

    /// Runs part of the call within its scopes.
    pub(crate) fn within<T>(&mut self, run: impl FnOnce() -> T) -> T {
        if self.scopes.is_empty() {
            return run();
        }
        self.scopes.iter_mut().for_each(|scope| {
            catch(|| scope.enter());
        });
        let _entered = Entered(&mut self.scopes);
        run()
    }

    /// Ends the call, if it has not ended.
    pub(crate) fn end(&mut self, error: Option<&CallError>) {
        let outcome = ClientOutcome { error, cancelled: std::mem::take(&mut self.cancelled) };
        let mut scopes = std::mem::take(&mut self.scopes);
        scopes.iter_mut().for_each(|scope| {
            catch(|| scope.end(&outcome));
        });
        panics::discard_all(scopes.drain(..));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if !self.scopes.is_empty() {
            self.cancelled = true;
            self.end(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;

    struct Noted(Arc<Mutex<Vec<&'static str>>>, &'static str, &'static str);

    impl Noted {
        fn note(&self, what: &'static str) {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(what);
        }
    }

    impl ClientScope for Noted {
        fn enter(&mut self) {
            self.note(self.1);
        }

        fn exit(&mut self) {
            self.note(self.2);
        }
    }

    #[test]
    fn scopes_exit_when_what_they_surround_panics() {
        let noted = Arc::default();
        let scope = |enter, exit| Box::new(Noted(Arc::clone(&noted), enter, exit)) as Box<dyn ClientScope>;
        let scopes = vec![scope("enter first", "exit first"), scope("enter second", "exit second")];
        let mut listening = Listening { scopes, cancelled: false };
        let run = || listening.within(|| std::panic::panic_any("on purpose"));
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
        let noted = noted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        assert_eq!(*noted, ["enter first", "enter second", "exit second", "exit first"]);
    }
}
