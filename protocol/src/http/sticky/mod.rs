//! Sticky sessions: values that stay in this process between a client's calls (sticky-sessions-spec).
//!
//! Lives here: the registry of open sessions, and the hold that one call at a time has on a session. Not
//! here: the token that names a session to its client ([`SessionToken`](super::token::SessionToken)),
//! headers, and any clock: `now` is a parameter, and whoever drives the server calls [`Sessions::expire`]
//! about once a second.
//!
//! This is the one place in the core that waits: [`Sessions::take`] and [`Sessions::close`] block while
//! another call holds the same session (specification, section 5). Call them where blocking is allowed, on a
//! handler's thread. How many calls may wait for one session is bounded, so that one client cannot take all
//! of those threads.

mod held;
mod quota;
mod sessions;
mod slot;
#[cfg(test)]
mod tests;

pub use held::Held;
pub use quota::{DEFAULT_MAX_PER_PRINCIPAL, Quota};
pub use sessions::{DEFAULT_MAX_SESSIONS, DEFAULT_MAX_WAITING, OpenError, SessionId, Sessions, TakeError};
