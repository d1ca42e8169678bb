//! Errors of opening and taking a session.

use thiserror::Error;

/// A session was not opened. The value that it was to hold is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The server is about to stop: `server_draining` (sticky-sessions-spec 6).
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
    /// The id is already in use, so it was not drawn at random.
    #[error("the session id is already in use")]
    IdInUse,
}

/// A session could not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TakeError {
    /// The session is not here: it was never opened, was closed, has expired, or belongs to another owner. The client sees all
    /// of these as `session_lost` (sticky-sessions-spec 6).
    #[error("the session is not here: it has ended, or it is another worker's or another caller's")]
    Lost,
    /// Another call holds the session, and its queue is full.
    #[error("too many calls wait for the session: the limit is {limit}")]
    Busy {
        /// The limit that [`Sessions::new`](super::Sessions::new) was given.
        limit: usize,
    },
}
