//! A guard that gives one call exclusive access to a session.

use super::deferred::{Deferred, State};
use super::registry::Registry;
use super::slot::{SessionId, Slot};
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Exclusive access of one call to a session. Other calls of the same session wait until this is dropped, which also happens if
/// a handler panics. Calls of other sessions do not wait.
///
/// Dropping it passes the value to the call that has waited longest, if any; [`close`](Self::close) ends the session instead.
/// Both wake waiting calls on the current thread, so do not hold a lock that their wakers acquire. The value is never moved:
/// each call sees it at the same address.
pub struct SessionGuard {
    registry: Arc<Registry>,
    slot: Arc<Slot>,
    state: State,
}

impl SessionGuard {
    pub(super) fn new(registry: Arc<Registry>, slot: Arc<Slot>, state: State) -> Self {
        Self { registry, slot, state }
    }

    /// Returns the session's id. It is not a secret: access needs the token.
    pub fn id(&self) -> SessionId {
        self.slot.id
    }

    /// Returns the id as 24 lowercase hex digits, for logs.
    pub fn id_hex(&self) -> String {
        self.slot.id_hex()
    }

    /// Returns when the session expires, since the Unix epoch. Use does not prolong it.
    pub fn expires_at(&self) -> Duration {
        self.slot.expires_at
    }

    /// Returns the value that the session was opened with.
    pub fn state(&self) -> &(dyn Any + Send) {
        &*self.state
    }

    /// Returns the value that the session was opened with, mutably.
    pub fn state_mut(&mut self) -> &mut (dyn Any + Send) {
        &mut *self.state
    }

    /// Returns the value, if it is a `T`.
    pub fn downcast_ref<T: Any>(&self) -> Option<&T> {
        self.state().downcast_ref()
    }

    /// Returns the value mutably, if it is a `T`.
    pub fn downcast_mut<T: Any>(&mut self) -> Option<&mut T> {
        self.state_mut().downcast_mut()
    }

    /// Ends the session and drops its value. Waiting calls are woken and fail with [`TakeError::Lost`](super::TakeError::Lost).
    pub fn close(mut self) {
        let mut deferred = Deferred::default();
        // Release the session's id and quota before a waiting call is woken.
        self.registry.remove(&self.slot);
        self.slot.end(&mut deferred);
        deferred.drop_value(self.take_state());
        deferred.run();
    }

    fn take_state(&mut self) -> State {
        // A box of a zero-sized value does not allocate.
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
