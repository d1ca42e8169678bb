//! The timeouts of a connection, by what it waits for.

use crate::machine::Phase;
use std::time::Duration;

/// The timeouts for one kind of wait. Either may be missing. Expiry is noticed up to 250 ms late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeout {
    /// How long no byte may be received (or, for output, sent).
    pub no_progress: Option<Duration>,
    /// How long the wait may take from its beginning to its end, even with progress. The time starts again whenever the phase
    /// changes, a job was run, or, except in [`Phase::Handshake`], all pending output was sent.
    pub whole: Option<Duration>,
}

impl Timeout {
    /// No timeouts.
    pub const NEVER: Self = Self { no_progress: None, whole: None };

    /// Sets both timeouts.
    pub const fn new(no_progress: Duration, whole: Duration) -> Self {
        Self { no_progress: Some(no_progress), whole: Some(whole) }
    }

    /// Returns the stricter of the two for each timeout.
    fn and(self, other: Self) -> Self {
        let earlier = |one: Option<Duration>, other| one.into_iter().chain(other).min();
        Self {
            no_progress: earlier(self.no_progress, other.no_progress),
            whole: earlier(self.whole, other.whole),
        }
    }

    /// Returns when the earlier of the two expires, in the milliseconds of `progress` and `began`.
    pub(crate) fn due(&self, progress: u64, began: u64) -> Option<u64> {
        let end = |limit: Option<Duration>, since: u64| Some(since.saturating_add(millis(limit?)));
        match (end(self.no_progress, progress), end(self.whole, began)) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }
}

/// The timeouts for each kind of wait. When one expires, the connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// In [`Phase::Preamble`], from when the connection was accepted. Default: 1 s in total.
    pub preamble: Timeout,
    /// Until the peer has sent its first byte, and in [`Phase::Fresh`], in which [`idle`](Self::idle) also applies. Default: 30
    /// s in total.
    pub fresh: Timeout,
    /// In [`Phase::Handshake`]. Default: 10 s in total, several times what a TLS handshake takes on a slow line.
    pub handshake: Timeout,
    /// In [`Phase::Idle`]. Default: never.
    pub idle: Timeout,
    /// In [`Phase::Head`]. Default: 30 s in total.
    pub head: Timeout,
    /// In [`Phase::Body`]. Default: 30 s without progress, and 15 min in total, which suffices for a large body on a slow line
    /// and stops a peer that sends a byte now and then.
    pub body: Timeout,
    /// In [`Phase::Stream`]. Default: never, since a client may take any time between two messages.
    pub stream: Timeout,
    /// In [`Phase::Waiting`]. Default: 5 min in total. Such a wait is for another call, and few callers still wait for an
    /// answer by then; without a timeout, a lost wake-up would keep the connection for ever. Wake-ups after which the machine
    /// continues to wait do not restart the time.
    pub waiting: Timeout,
    /// Until the peer has read the pending output, also while a job runs. Default: 60 s without progress.
    pub output: Timeout,
    /// After [`Step::LingeringClose`](crate::Step::LingeringClose), until the peer closes. Default: 2 s without progress, 30 s
    /// in total.
    pub close: Timeout,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            preamble: Timeout { no_progress: None, whole: Some(seconds(1)) },
            fresh: Timeout { no_progress: None, whole: Some(seconds(30)) },
            handshake: Timeout { no_progress: None, whole: Some(seconds(10)) },
            idle: Timeout::NEVER,
            head: Timeout { no_progress: None, whole: Some(seconds(30)) },
            body: Timeout::new(seconds(30), seconds(15 * 60)),
            stream: Timeout::NEVER,
            waiting: Timeout { no_progress: None, whole: Some(seconds(5 * 60)) },
            output: Timeout { no_progress: Some(seconds(60)), whole: None },
            close: Timeout::new(seconds(2), seconds(30)),
        }
    }
}

impl Timeouts {
    pub(crate) fn of(&self, wait: Wait) -> Timeout {
        match wait {
            Wait::Preamble => self.preamble,
            Wait::Fresh => self.fresh.and(self.idle),
            Wait::Handshake => self.handshake,
            Wait::Idle | Wait::Released => self.idle,
            Wait::Head => self.head,
            Wait::Body => self.body,
            Wait::Stream => self.stream,
            Wait::Waiting => self.waiting,
            Wait::Work => Timeout::NEVER,
            Wait::Output => self.output,
            Wait::Close => self.close,
        }
    }
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Wait {
    /// The rest of the preamble.
    Preamble,
    /// The first byte.
    Fresh,
    Handshake,
    /// The next request, with memory kept for it.
    Idle,
    /// The next request, with its memory released.
    Released,
    Head,
    Body,
    Stream,
    /// A wake-up.
    Waiting,
    /// The end of its job, with no output pending.
    Work,
    /// The peer to read the pending output.
    Output,
    /// The peer to close, after the last output.
    Close,
}

impl Wait {
    const ALL: [Self; 12] = [
        Self::Preamble,
        Self::Fresh,
        Self::Handshake,
        Self::Idle,
        Self::Released,
        Self::Head,
        Self::Body,
        Self::Stream,
        Self::Waiting,
        Self::Work,
        Self::Output,
        Self::Close,
    ];

    pub(crate) fn from_u8(value: u8) -> Self {
        Self::ALL.into_iter().find(|wait| *wait as u8 == value).unwrap_or(Self::Idle)
    }

    /// Returns the name of its field of [`Timeouts`].
    pub(crate) fn timeout(self) -> &'static str {
        match self {
            Self::Preamble => "preamble",
            Self::Fresh => "fresh",
            Self::Handshake => "handshake",
            Self::Idle | Self::Released => "idle",
            Self::Head => "head",
            Self::Body => "body",
            Self::Stream => "stream",
            Self::Waiting => "waiting",
            Self::Work => "none",
            Self::Output => "output",
            Self::Close => "close",
        }
    }

    /// Returns the machine's phase, if it is the machine that waits.
    pub(crate) fn phase(self) -> Option<Phase> {
        match self {
            Self::Preamble => Some(Phase::Preamble),
            Self::Fresh | Self::Idle | Self::Released => Some(Phase::Idle),
            Self::Handshake => Some(Phase::Handshake),
            Self::Head => Some(Phase::Head),
            Self::Body => Some(Phase::Body),
            Self::Stream => Some(Phase::Stream),
            Self::Waiting => Some(Phase::Waiting),
            Self::Work | Self::Output | Self::Close => None,
        }
    }
}

impl From<Phase> for Wait {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Preamble => Self::Preamble,
            Phase::Idle => Self::Idle,
            Phase::Handshake => Self::Handshake,
            Phase::Fresh => Self::Fresh,
            Phase::Head => Self::Head,
            Phase::Body => Self::Body,
            Phase::Stream => Self::Stream,
            Phase::Waiting => Self::Waiting,
        }
    }
}

/// Returns a duration in whole milliseconds.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_bound_is_due() {
        let both = Timeout::new(Duration::from_millis(30), Duration::from_millis(100));
        assert_eq!(both.due(1000, 1000), Some(1030));
        assert_eq!(both.due(1090, 1000), Some(1100));
        assert_eq!(Timeout::NEVER.due(1000, 1000), None);
        let forever = Timeout { no_progress: Some(Duration::MAX), whole: None };
        assert_eq!(forever.due(1000, 1000), Some(u64::MAX));
    }

    #[test]
    fn waits_keep_their_numbers() {
        for wait in Wait::ALL {
            assert_eq!(Wait::from_u8(wait as u8), wait);
        }
    }

    #[test]
    fn a_connection_that_never_said_anything_has_no_longer_than_an_idle_one() {
        let seconds = Duration::from_secs;
        let mut timeouts = Timeouts::default();
        assert_eq!(timeouts.of(Wait::Fresh).due(0, 0), Some(30_000));
        timeouts.idle.no_progress = Some(seconds(2));
        assert_eq!(timeouts.of(Wait::Fresh).due(0, 0), Some(2000));
        timeouts.idle.no_progress = Some(seconds(75));
        assert_eq!(timeouts.of(Wait::Fresh).due(0, 0), Some(30_000));
        timeouts.fresh = Timeout::NEVER;
        assert_eq!(timeouts.of(Wait::Fresh).due(0, 0), Some(75_000));
    }
}
