//! What happened to a connection since it was last looked at, and whether a thread has it. Any thread may note
//! something here at any time, without a lock.

use crate::wakeups::Wakeups;
use mio::Token;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Weak};
use std::task::Wake;

/// A thread has the connection, or it waits in the queue for one.
const OWNED: u16 = 1;
/// Something happened since its owner last looked. While nobody owns a [`DEAF`] connection, this can only be input.
const AGAIN: u16 = 1 << 1;
/// Input alone is no reason to serve the connection: its work is out, or its machine waits.
const DEAF: u16 = 1 << 2;
/// Its work is out.
const AT_WORK: u16 = 1 << 3;
/// The peer has closed its sending side, perhaps behind bytes that are still to be read.
pub(super) const PEER_CLOSED: u16 = 1 << 4;
/// The peer is gone altogether: it reads nothing any more.
pub(super) const HUNG_UP: u16 = 1 << 5;
/// The machine's waker was called.
pub(super) const WOKEN: u16 = 1 << 6;
/// A timeout seems to have passed.
pub(super) const EXPIRED: u16 = 1 << 7;
/// It is to close if it has nothing to say, for another to be accepted.
pub(super) const GIVE_WAY: u16 = 1 << 8;
/// Memory is short, and what the connection holds is wanted.
pub(super) const TAKE_MEMORY: u16 = 1 << 9;

/// What an unowned connection is served for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Anything.
    Open,
    /// Anything but input, because its machine waits.
    Waiting,
    /// Anything but input, because its work is out.
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

/// A connection's flags. They are the [`Wake`] of its machine's waker as well, which therefore keeps nothing alive but
/// them.
#[derive(Debug)]
pub(crate) struct Flags {
    bits: AtomicU16,
    token: Token,
    wakeups: Weak<Wakeups>,
}

impl Flags {
    /// Flags of a connection that the caller owns.
    pub(crate) fn new(token: Token, wakeups: &Arc<Wakeups>) -> Arc<Self> {
        let wakeups = Arc::downgrade(wakeups);
        Arc::new(Self { bits: AtomicU16::new(OWNED), token, wakeups })
    }

    pub(super) fn token(&self) -> Token {
        self.token
    }

    /// What the connection is served for; `None` while it is owned.
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

    /// Clears a flag. True if it was set.
    pub(super) fn take(&self, flag: u16) -> bool {
        self.has(flag) && self.bits.fetch_and(!flag, Ordering::AcqRel) & flag != 0
    }

    /// Sets a flag of a connection that the caller owns.
    pub(super) fn set(&self, flag: u16) {
        self.bits.fetch_or(flag, Ordering::AcqRel);
    }

    /// Notes that something happened. True when the connection is now the caller's to put into the queue.
    pub(super) fn claim(&self, what: u16) -> bool {
        self.bits.fetch_or(OWNED | AGAIN | what, Ordering::AcqRel) & OWNED == 0
    }

    /// As [`claim`](Self::claim), for input. Nobody is to serve a deaf connection for it.
    pub(super) fn claim_for_input(&self, what: u16) -> bool {
        let noted = |bits| bits | AGAIN | what | if bits & DEAF == 0 { OWNED } else { 0 };
        self.update(noted) & (OWNED | DEAF) == 0
    }

    /// Begins to look: what happens from now on calls for another look.
    pub(super) fn look(&self) {
        self.bits.fetch_and(!AGAIN, Ordering::AcqRel);
    }

    /// True when nothing happened since the last look.
    pub(super) fn is_quiet(&self) -> bool {
        !self.has(AGAIN)
    }

    /// Gives the connection up. False when something happened since the last look: the caller still owns it then.
    pub(super) fn release(&self, rest: Rest) -> bool {
        let released =
            |bits: u16| (bits & AGAIN == 0).then(|| bits & !(OWNED | DEAF | AT_WORK) | rest.bits());
        self.bits.fetch_update(Ordering::AcqRel, Ordering::Acquire, released).is_ok()
    }

    /// Ends the work that was out. True when the connection is the caller's again. Otherwise its owner is told to look.
    pub(super) fn return_from_work(&self) -> bool {
        let returned = |bits: u16| {
            let happened = if bits & OWNED == 0 { OWNED } else { AGAIN };
            (bits | happened) & !(DEAF | AT_WORK)
        };
        self.update(returned) & OWNED == 0
    }

    /// Sets the flags to what they become; gives what they were.
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
        // A connection that was closed stays owned, and one of a server that is gone has no poll to wake.
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
