//! What a handler may do with a sticky session. WIRE_PROTOCOL 17.
//!
//! Which sessions there are and whose they are is the transport's matter: HTTP has them, the others have none.

use crate::wire::error::RpcError;
use std::any::Any;
use std::fmt;
use std::time::Duration;

/// A call's access to the session that it resumes, opens or closes.
pub(crate) trait SessionAccess: Send + fmt::Debug {
    /// The state of the session that is bound to the call.
    fn state(&mut self) -> Option<&mut (dyn Any + Send)>;
    /// That session's id: 24 hex digits.
    fn id(&self) -> Option<String>;
    /// Sets the current time, from which a session that is opened lives.
    #[cfg(feature = "http")]
    fn tell_time(&mut self, now: Duration);
    /// Opens a session and binds it to the call.
    fn open(&mut self, state: Box<dyn Any + Send>, lifetime: Option<Duration>) -> Result<(), RpcError>;
    /// Ends the bound session, its state dropped. False when none is bound.
    fn close(&mut self) -> bool;
    /// Hands the access back to who made it, to see what became of it.
    #[cfg(feature = "http")]
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}
