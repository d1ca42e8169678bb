//! How a server is run, and how it ended.

use crate::timeouts::Timeouts;
use std::time::Duration;

/// Why a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// SIGTERM or SIGINT came, and there was no time to drain, or a second signal cut that short.
    Signal,
    /// There was no connection for the idle timeout.
    Idle,
    /// It was told to drain, by its [handle](crate::Handle::drain) or by a signal, and every call was answered.
    Drained,
    /// The same, and some call was not over at the deadline.
    DrainTimedOut,
    /// It was told to stop.
    Stopped,
}

/// How a server serves. Start from the [`Default`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How many threads may run work; 0 counts as 1. The thread that calls [`Reactor::run`](crate::Reactor::run) is not one of them.
    ///
    /// Default 1,024, as many as connections, so that work that blocks never keeps other work waiting. A thread is
    /// started only when those that there are have not kept up for a millisecond, and ends after 10 s without work:
    /// a server of quick handlers has one. Where the system refuses a thread, the server goes on with those it has.
    pub threads: usize,
    /// How many connections are served at a time; 0 for any number. The rest wait in the listener's backlog.
    ///
    /// Default 1,024: as many as the descriptors that a process commonly may have. Where clients keep idle
    /// connections, bound their idling too, or have them [give way](Self::give_way), or they keep others out.
    pub max_connections: usize,
    /// Which connections are closed when a new one finds the server full. Default: those that never sent a byte.
    ///
    /// The holder with the most connections loses one first: a user on unix sockets, an address on TCP.
    pub give_way: GiveWay,
    /// After how long without a connection the server ends. The first connection has a minute to come, if that is
    /// longer. Default: never.
    pub idle_timeout: Option<Duration>,
    /// How long connections may wait for what.
    pub timeouts: Timeouts,
    /// Whether SIGTERM and SIGINT end the server. The first signal [drains](crate::Handle::drain) it for
    /// [`drain_timeout`](Self::drain_timeout), a second one ends it at once. [`Reactor::run`](crate::Reactor::run) returns, and a unix socket's file is gone. Default false.
    ///
    /// This holds from binding on. After the server has ended the two signals do nothing, because their former
    /// handling cannot be brought back: the process is expected to end.
    pub end_on_signals: bool,
    /// How long calls and open streams may take to come to their end after the first signal; with zero it ends the server at once.
    /// Default 5 s, which is less than service managers wait before they kill a process.
    pub drain_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: 1024,
            max_connections: 1024,
            give_way: GiveWay::default(),
            idle_timeout: None,
            timeouts: Timeouts::default(),
            end_on_signals: false,
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// Which connections give way to new ones when a server has [as many as it may](crate::Options::max_connections), or
/// the system has no descriptors left. New ones wait in the listener's backlog until one does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GiveWay {
    /// None: a new connection waits until another one closes.
    Never,
    /// Those in [`Phase::Preamble`](crate::Phase::Preamble), then those that have never sent a byte of the protocol, the
    /// oldest of them first; then those that have not ended their [handshake](crate::Phase::Handshake) for a second, and
    /// those that have been sent their last and have not closed for as long.
    #[default]
    Silent,
    /// Those, then those in [`Phase::Idle`](crate::Phase::Idle) for a second or more, then those that have sent nothing
    /// for as long in the middle of a request, the longest first. For protocols whose clients connect again, such as HTTP.
    Idle,
}
