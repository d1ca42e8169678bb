//! Sticky sessions: values that stay in this process between a client's calls (sticky-sessions-spec).
//!
//! Lives here: the registry of open sessions, the hold that one call at a time has on a session, and the queue of the
//! calls that wait for it. Not here: the token that names a session to its client
//! ([`SessionToken`](super::token::SessionToken)), headers, and any clock: `now` is a parameter, and whoever drives the
//! server calls [`Sessions::expire`] about once a second.
//!
//! Nothing in here blocks. While a call holds a session, [`Sessions::take`] returns a [`Ticket`], a place in the
//! session's queue, and wakes the [`Waker`](std::task::Waker) that it was given when the ticket is to be polled again.
//! The calls of one session follow one another in the order in which they took it (specification, section 5). How many
//! may wait for one session is bounded.
//!
//! Wakers and destructors of session values are foreign code. They run while no lock is held, so they may call into the
//! registry again, and their panics end here.
// Where things are:
//
// | file | subject |
// | --- | --- |
// | `sessions` | the sessions of a server |
// | `registry`, `slot` | the table of open sessions, and the place of one |
// | `session_guard` | a session in the hands of one call |
// | `ticket` | a place in the queue for a session |
// | `quota` | how many sessions a caller may have |
// | `deferred` | destructors and wakers that must not run under a lock |
// | `error` | why a session is not opened or taken |

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
