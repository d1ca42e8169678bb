//! The events of a connection since it was last checked, and whether a thread owns it. Any thread may set flags at any time,
//! without a lock.

use crate::wakeups::Wakeups;
use mio::Token;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Weak};
use std::task::Wake;

/// A thread owns the connection, or it waits in the queue for one.
const OWNED: u16 = 1;
/// An event occurred since the owner last checked. If a [`DEAF`] connection has no owner, this can only be input.
const AGAIN: u16 = 1 << 1;
/// Input alone is no reason to serve the connection: its job is running, or its machine waits.
const DEAF: u16 = 1 << 2;
/// Its job is running.
const AT_WORK: u16 = 1 << 3;
/// The peer has closed its sending side, possibly after bytes that are still unread.
pub(super) const PEER_CLOSED: u16 = 1 << 4;
/// The peer is gone: it no longer reads either.
pub(super) const HUNG_UP: u16 = 1 << 5;
/// The machine's waker was called.
pub(super) const WOKEN: u16 = 1 << 6;
/// A timeout seems to have passed.
pub(super) const EXPIRED: u16 = 1 << 7;
/// Close the connection if it has no input, so that another can be accepted.
pub(super) const GIVE_WAY: u16 = 1 << 8;
/// Memory is short: close the connection for the memory that it holds.
pub(super) const TAKE_MEMORY: u16 = 1 << 9;

/// The events for which an unowned connection is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Any event.
    Open,
    /// Any event except input, because its machine waits.
    Waiting,
    /// Any event except input, because its job is running.
    AtWork,
}

impl Rest {
    fn bits(self) -> u16 {
        match self {
            Self::Open => 0,
            Self::Waiting => DEAF,
            Self::AtWork => DEAF | AT_WORK,
        }
    }
}

/// A connection's flags. They are also the [`Wake`] of its machine's waker, which therefore keeps only the flags alive.
#[derive(Debug)]
pub(crate) struct Flags {
    bits: AtomicU16,
    token: Token,
    wakeups: Weak<Wakeups>,
}

impl Flags {
    /// Creates the flags of a connection that the caller owns.
    pub(crate) fn new(token: Token, wakeups: &Arc<Wakeups>) -> Arc<Self> {
        let wakeups = Arc::downgrade(wakeups);
        Arc::new(Self { bits: AtomicU16::new(OWNED), token, wakeups })
    }

    pub(super) fn token(&self) -> Token {
        self.token
    }

    /// Returns the events for which the connection is served; `None` while it is owned.
    pub(super) fn rest(&self) -> Option<Rest> {
        let bits = self.bits.load(Ordering::Acquire);
        match (bits & OWNED != 0, bits & AT_WORK != 0, bits & DEAF != 0) {
            (true, ..) => None,
            (false, true, _) => Some(Rest::AtWork),
            (false, false, true) => Some(Rest::Waiting),
            (false, false, false) => Some(Rest::Open),
        }
    }

    pub(super) fn has(&self, flag: u16) -> bool {
        self.bits.load(Ordering::Acquire) & flag != 0
    }

    /// Clears a flag. Returns true if it was set.
    pub(super) fn take(&self, flag: u16) -> bool {
        self.has(flag) && self.bits.fetch_and(!flag, Ordering::AcqRel) & flag != 0
    }

    /// Sets a flag of a connection that the caller owns.
    pub(super) fn set(&self, flag: u16) {
        self.bits.fetch_or(flag, Ordering::AcqRel);
    }

    /// Records an event. Returns true if the caller now owns the connection, and must queue it.
    pub(super) fn claim(&self, what: u16) -> bool {
        self.bits.fetch_or(OWNED | AGAIN | what, Ordering::AcqRel) & OWNED == 0
    }

    /// Like [`claim`](Self::claim), for input, for which a deaf connection is not served.
    pub(super) fn claim_for_input(&self, what: u16) -> bool {
        let noted = |bits| bits | AGAIN | what | if bits & DEAF == 0 { OWNED } else { 0 };
        self.update(noted) & (OWNED | DEAF) == 0
    }

    /// Begins a check: later events require another check.
    pub(super) fn look(&self) {
        self.bits.fetch_and(!AGAIN, Ordering::AcqRel);
    }

    /// Whether no event has occurred since the last check.
    pub(super) fn is_quiet(&self) -> bool {
        !self.has(AGAIN)
    }

    /// Releases the connection. Returns false if an event occurred since the last check: the caller still owns it then.
    pub(super) fn release(&self, rest: Rest) -> bool {
        let released =
            |bits: u16| (bits & AGAIN == 0).then(|| bits & !(OWNED | DEAF | AT_WORK) | rest.bits());
        self.bits.fetch_update(Ordering::AcqRel, Ordering::Acquire, released).is_ok()
    }

    /// Ends the running job. Returns true if the caller owns the connection again. Otherwise its owner must check again.
    pub(super) fn return_from_work(&self) -> bool {
        let returned = |bits: u16| {
            let happened = if bits & OWNED == 0 { OWNED } else { AGAIN };
            (bits | happened) & !(DEAF | AT_WORK)
        };
        self.update(returned) & OWNED == 0
    }

    /// Replaces the flags by the result of `becomes`. Returns the old flags.
    fn update(&self, becomes: impl Fn(u16) -> u16) -> u16 {
        let updated = self.bits.fetch_update(Ordering::AcqRel, Ordering::Acquire, |bits| Some(becomes(bits)));
        updated.unwrap_or_else(|bits| bits)
    }
}

impl Wake for Flags {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A closed connection stays owned, and after its server is dropped there is no poll to wake.
        if self.claim(WOKEN)
            && let Some(wakeups) = self.wakeups.upgrade()
        {
            wakeups.push(self.token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> Flags {
        Flags { bits: AtomicU16::new(OWNED), token: Token(7), wakeups: Weak::new() }
    }

    #[test]
    fn what_happens_after_a_look_keeps_the_connection_owned() {
        let flags = flags();
        assert!(!flags.claim(0), "it has an owner");
        assert!(!flags.release(Rest::Open));
        flags.look();
        assert!(flags.release(Rest::Open));
        assert!(flags.claim(0) && !flags.claim(0));
    }

    #[test]
    fn a_deaf_connection_is_not_served_for_input_but_for_all_else() {
        let flags = flags();
        assert!(flags.release(Rest::Waiting));
        assert!(!flags.claim_for_input(PEER_CLOSED));
        assert!(flags.has(PEER_CLOSED) && flags.rest() == Some(Rest::Waiting) && !flags.is_quiet());
        assert!(flags.claim(WOKEN));
        flags.look();
        assert!(flags.release(Rest::Open));
        assert!(flags.claim_for_input(0));
    }

    #[test]
    fn work_returns_to_its_connection_unless_another_thread_has_that() {
        let flags = flags();
        assert!(flags.release(Rest::AtWork));
        assert_eq!(flags.rest(), Some(Rest::AtWork));
        assert!(flags.return_from_work() && flags.rest().is_none() && flags.is_quiet());
        assert!(flags.release(Rest::AtWork));
        assert!(!flags.claim_for_input(0));
        assert!(flags.return_from_work() && !flags.is_quiet(), "input is still to be read");
        flags.look();
        assert!(flags.release(Rest::AtWork) && flags.claim(HUNG_UP));
        flags.look();
        assert!(!flags.return_from_work() && !flags.is_quiet(), "the other one is to look again");
    }
}
