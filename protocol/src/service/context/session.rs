//! A handler's access to a sticky session. WIRE_PROTOCOL 17.
//!
//! The transport stores sessions and checks their owners. Only HTTP has sessions.

use crate::wire::error::RpcError;
use std::any::Any;
use std::fmt;
use std::time::Duration;

/// A call's access to the session that it resumes, opens or closes.
pub(crate) trait SessionAccess: Send + fmt::Debug {
    /// Returns the state of the call's session.
    fn state(&mut self) -> Option<&mut (dyn Any + Send)>;
    /// Returns that session's id: 24 hex digits.
    fn id(&self) -> Option<String>;
    /// Sets the current time, from which the lifetime of a new session counts.
    #[cfg(feature = "http")]
    fn tell_time(&mut self, now: Duration);
    /// Opens a session and binds it to the call.
    fn open(&mut self, state: Box<dyn Any + Send>, lifetime: Option<Duration>) -> Result<(), RpcError>;
    /// Ends the call's session and drops its state. Returns false if there is none.
    fn close(&mut self) -> bool;
    /// Converts this into the transport's own type, which then reads the outcome.
    #[cfg(feature = "http")]
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}
