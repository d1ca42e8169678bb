//! The options of a server, and how it ended.

use crate::timeouts::Timeouts;
use std::time::Duration;

/// Why a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// SIGTERM or SIGINT was received and there was no drain time, or a second signal ended the drain.
    Signal,
    /// There was no connection for the idle timeout.
    Idle,
    /// The server was drained, by its [handle](crate::Handle::drain) or by a signal, and every call was answered.
    Drained,
    /// The server was drained, but some call had not ended at the deadline.
    DrainTimedOut,
    /// The server was stopped by its [handle](crate::Handle::stop).
    Stopped,
}

/// The options of a server. Start from the [`Default`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The maximum number of threads that run jobs; 0 counts as 1. The thread that calls [`Reactor::run`](crate::Reactor::run)
    /// is not included.
    ///
    /// Default 1,024, the same as for connections, so that a blocking job never delays another. A thread is started only if the
    /// existing ones have not kept up for a millisecond, and ends after 10 s without work: a server of quick handlers has one.
    /// If the system refuses a thread, the server continues with the existing ones.
    pub threads: usize,
    /// The maximum number of connections served at a time; 0 for no limit. Further ones wait in the listener's backlog.
    ///
    /// Default 1,024, the usual limit of descriptors per process. If clients keep idle connections, also limit their idle time
    /// or let them [give way](Self::give_way); otherwise they block new clients.
    pub max_connections: usize,
    /// Which connections are closed if a new one finds the server full. Default: those that never sent a byte.
    ///
    /// The holder with the most connections loses one first: a user on unix sockets, an address on TCP.
    pub give_way: GiveWay,
    /// How long the server runs without a connection before it ends. The first connection may take a minute, if that is longer.
    /// Default: unlimited.
    pub idle_timeout: Option<Duration>,
    /// The timeouts of connections.
    pub timeouts: Timeouts,
    /// Whether SIGTERM and SIGINT end the server. The first signal [drains](crate::Handle::drain) it for
    /// [`drain_timeout`](Self::drain_timeout), a second one ends it at once. Then [`Reactor::run`](crate::Reactor::run)
    /// returns, and a unix socket's file is removed. Default false.
    ///
    /// This takes effect when the server is bound. After the server has ended the two signals do nothing, because their former
    /// handling cannot be restored: the process is expected to exit.
    pub end_on_signals: bool,
    /// How long calls and open streams may take to end after the first signal; zero ends the server at once. Default 5 s, which
    /// is less than service managers wait before they kill a process.
    pub drain_timeout: Duration,
    /// What is served, for the event `listening`, if a process has servers of several kinds. Default: none.
    pub serves: Option<&'static str>,
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
            serves: None,
        }
    }
}

/// Which connections give way to new ones when a server has reached [its maximum](crate::Options::max_connections), or the
/// system has no descriptors left. New ones wait in the listener's backlog until one does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GiveWay {
    /// None: a new connection waits until another one closes.
    Never,
    /// Connections in [`Phase::Preamble`](crate::Phase::Preamble), then those that have never sent a byte of the protocol, the
    /// oldest of them first; then those that have not completed their [handshake](crate::Phase::Handshake) for a second, and
    /// those that were sent their last output and have not closed for as long.
    #[default]
    Silent,
    /// As [`Silent`](Self::Silent), then those in [`Phase::Idle`](crate::Phase::Idle) for a second or more, then those that
    /// have sent nothing for as long in the middle of a request, the longest first. For protocols whose clients reconnect, for
    /// example HTTP.
    Idle,
}
