//! Sticky sessions: values that stay in this process between a client's calls (sticky-sessions-spec).
//!
//! This module has the registry of open sessions, the guard that gives one call at a time access to a session, and the queue of
//! waiting calls. It does not have the token that names a session to its client ([`SessionToken`](super::token::SessionToken)),
//! headers, or a clock: `now` is a parameter, and the driver calls [`Sessions::expire`] about once a second.
//!
//! Nothing blocks. While a call uses a session, [`Sessions::take`] returns a [`Ticket`], a place in the session's queue. Its
//! [`Waker`](std::task::Waker) is woken when the ticket should be polled again. The calls of one session run in the order in
//! which they took it (specification, section 5). The number of waiting calls per session is bounded.
//!
//! Wakers and destructors of session values are foreign code. They run without a lock, so they may call into the registry
//! again, and their panics are caught.
// Where things are:
//
// | file | subject |
// | --- | --- |
// | `sessions` | the sessions of a server |
// | `registry`, `slot` | the table of open sessions, and the slot of one |
// | `session_guard` | the exclusive access of one call to a session |
// | `ticket` | a place in the queue for a session |
// | `quota` | how many sessions a caller may have |
// | `deferred` | destructors and wakers that must not run under a lock |
// | `error` | errors of opening and taking a session |

mod deferred;
mod error;
mod quota;
mod registry;
mod session_guard;
mod sessions;
mod slot;
#[cfg(test)]
mod tests;
mod ticket;

pub use error::{OpenError, TakeError};
pub use quota::{DEFAULT_MAX_PER_PRINCIPAL, Quota};
pub use session_guard::SessionGuard;
pub use sessions::{DEFAULT_MAX_SESSIONS, DEFAULT_MAX_WAITING, Sessions};
pub use slot::SessionId;
pub use ticket::{Taken, Ticket};
