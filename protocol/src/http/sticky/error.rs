//! Why a session is not opened, or not taken.

use thiserror::Error;

/// A session was not opened. The value that it was to hold is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The server is about to stop: `server_draining` (sticky-sessions-spec 6).
    #[error("expected a server that accepts new sessions, got one that is draining")]
    Draining,
    /// As many sessions are open as may be.
    #[error("expected fewer than {limit} open sessions, got {limit}")]
    TooMany {
        /// The limit that [`Sessions::new`](super::Sessions::new) was given.
        limit: usize,
    },
    /// The caller has as many sessions open as one caller may have.
    #[error("expected fewer than {limit} open sessions of one caller, got {limit}")]
    QuotaReached {
        /// The limit of the [`Quota`](super::Quota).
        limit: usize,
    },
    /// The id is not as random as it should be.
    #[error("expected a session id that is not in use, got one that is")]
    IdInUse,
}

/// No hold of a session was got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TakeError {
    /// It is not here: never opened, closed, expired, or another owner's. To the client all of these are one:
    /// `session_lost` (sticky-sessions-spec 6).
    #[error("the session is not here: it has ended, or it is another worker's or another caller's")]
    Lost,
    /// A call holds it, and as many wait for it as may.
    #[error("expected fewer than {limit} calls that wait for the session, got {limit}")]
    Busy {
        /// The limit that [`Sessions::new`](super::Sessions::new) was given.
        limit: usize,
    },
}
