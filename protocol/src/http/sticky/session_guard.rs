//! A session in the hands of one call.

use super::deferred::{Deferred, State};
use super::registry::Registry;
use super::slot::{SessionId, Slot};
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One call's hold on a session. Other calls that want the same session wait until this is dropped, which
/// also happens when a handler panics; calls on other sessions do not.
///
/// Dropping it hands the value over to the call that has waited longest, if any waits; [`close`](Self::close) ends the
/// session instead. Both wake waiting calls on the current thread, so do not hold a lock that their wakers take. The
/// value is never moved: each call finds it at the same address.
pub struct SessionGuard {
    registry: Arc<Registry>,
    slot: Arc<Slot>,
    state: State,
}

impl SessionGuard {
    pub(super) fn new(registry: Arc<Registry>, slot: Arc<Slot>, state: State) -> Self {
        Self { registry, slot, state }
    }

    /// The session's id. It is no secret: the token is what gives access.
    pub fn id(&self) -> SessionId {
        self.slot.id
    }

    /// The id as 24 lowercase hex digits, as logs name the session.
    pub fn id_hex(&self) -> String {
        self.slot.id_hex()
    }

    /// When the session ends, since the Unix epoch. Use does not prolong it.
    pub fn expires_at(&self) -> Duration {
        self.slot.expires_at
    }

    /// The value that the session was opened with.
    pub fn state(&self) -> &(dyn Any + Send) {
        &*self.state
    }

    /// The value that the session was opened with, to work with.
    pub fn state_mut(&mut self) -> &mut (dyn Any + Send) {
        &mut *self.state
    }

    /// The value, if it is a `T`.
    pub fn downcast_ref<T: Any>(&self) -> Option<&T> {
        self.state().downcast_ref()
    }

    /// The value to work with, if it is a `T`.
    pub fn downcast_mut<T: Any>(&mut self) -> Option<&mut T> {
        self.state_mut().downcast_mut()
    }

    /// Ends the session and drops its value. Calls that wait for it are woken and find it lost.
    pub fn close(mut self) {
        let mut deferred = Deferred::default();
        // Before a waiting call learns of the end, the session's id and its part of the quota are free again.
        self.registry.remove(&self.slot);
        self.slot.end(&mut deferred);
        deferred.drop_value(self.take_state());
        deferred.run();
    }

    fn take_state(&mut self) -> State {
        // A box of nothing allocates nothing.
        std::mem::replace(&mut self.state, Box::new(()))
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        let mut deferred = Deferred::default();
        let state = self.take_state();
        self.slot.give_back(state, &mut deferred);
        deferred.run();
    }
}

impl fmt::Debug for SessionGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionGuard")
            .field("id", &self.id_hex())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}
