//! Errors of opening and taking a session.

use thiserror::Error;

/// Why a session was not opened. Its value is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The server is draining: `server_draining` (sticky-sessions-spec 6).
    #[error("the server is draining and accepts no new sessions")]
    Draining,
    /// The server has reached its limit of open sessions.
    #[error("the server has reached its limit of {limit} open sessions")]
    TooMany {
        /// The limit that [`Sessions::new`](super::Sessions::new) was given.
        limit: usize,
    },
    /// The caller has reached the limit of open sessions for one caller.
    #[error("the caller has reached its limit of {limit} open sessions")]
    QuotaReached {
        /// The limit of the [`Quota`](super::Quota).
        limit: usize,
    },
    /// The id is already in use, so it was not random.
    #[error("the session id is already in use")]
    IdInUse,
}

/// Why a session could not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TakeError {
    /// There is no such session: it was never opened, was closed, has expired, or belongs to another owner. The client receives
    /// `session_lost` for all of these (sticky-sessions-spec 6).
    #[error("there is no such session: it has ended, or belongs to another worker or caller")]
    Lost,
    /// Another call uses the session, and its queue is full.
    #[error("too many calls wait for the session: the limit is {limit}")]
    Busy {
        /// The limit that [`Sessions::new`](super::Sessions::new) was given.
        limit: usize,
    },
}
