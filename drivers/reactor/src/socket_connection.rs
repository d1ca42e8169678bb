//! One connection: its socket, its machine, and the state that other threads may read and set while no thread serves it.
//!
//! | file | subject |
//! | --- | --- |
//! | `flags` | what happened to it, and who has it |
//! | `serving` | passes, one after the other |
//! | `pass` | one pass |
//! | `work` | its work, and a pass while that is out |
//! | `transfer` | moving its bytes |

mod flags;
mod pass;
mod serving;
mod transfer;
mod work;

pub(crate) use flags::Flags;

use crate::holder::Holder;
use crate::machine::{Machine, Phase};
use crate::panics::catch;
use crate::socket::Socket;
use crate::timeouts::Wait;
use flags::Rest;
use mio::Token;
use mio::event::Event;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

/// One accepted connection.
pub(crate) struct SocketConnection<M: Machine> {
    pub(crate) token: Token,
    pub(crate) socket: Socket,
    /// Whom it is counted for until its machine knows better.
    holder: Holder,
    /// Its machine began in [`Phase::Preamble`].
    has_preamble: bool,
    /// Whom it is counted for once its machine does.
    client: OnceLock<Holder>,
    flags: Arc<Flags>,
    /// What it waits for.
    wait: AtomicU8,
    /// When there was last progress, in the server's milliseconds.
    progress: AtomicU64,
    /// When what it waits for began; 0 when that is for the next wait to say.
    began: AtomicU64,
    /// Whether output waits for that of the work that is out.
    held_back: AtomicU8,
    driven: Mutex<Driven<M>>,
}

/// Whether output is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeldBack {
    No,
    /// The supervisor has not seen it.
    Lately,
    /// The supervisor has seen it, and no work has begun since.
    Long,
}

/// What a connection that no thread has waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) wait: Wait,
    /// When there was last progress, in the server's milliseconds.
    pub(crate) progress: u64,
    /// When that wait began.
    pub(crate) began: u64,
    /// Its work is out: what it waits for next shows when that ends.
    pub(crate) is_at_work: bool,
}

/// A machine, and what its passes remember.
struct Driven<M: Machine> {
    machine: M,
    /// What waits for a thread that may run it.
    work: Option<M::Job>,
    /// Work is out: a thread runs it.
    is_at_work: bool,
    /// The waker was called, and the machine was not polled since. Of interest while work is out.
    is_woken: bool,
    /// The last work was slow.
    slow: bool,
    /// System calls and works of this pass.
    steps: u32,
    /// The socket is watched for room to write, not for input.
    watches_output: bool,
    /// The last read left nothing behind.
    drained: bool,
    /// Bytes that the peer has sent.
    received: u64,
    /// It was asked to give way, and others are not asked before it is decided whether it does.
    is_asked: bool,
    /// The machine knows that the input has ended.
    ended: bool,
    /// A large body is coming in fast: until then its next part is waited for right here.
    linger_until: Option<Instant>,
    /// The machine has said its last. What it said is still to be sent, and read by the peer.
    closing: bool,
    /// The connection is over, and the machine is not called any more.
    is_over: bool,
}

impl<M: Machine> SocketConnection<M> {
    /// A connection that the caller owns, whose machine begins in this phase.
    pub(crate) fn new(
        flags: Arc<Flags>,
        socket: Socket,
        holder: Holder,
        (machine, phase): (M, Phase),
        now: u64,
    ) -> Self {
        let wait = match phase {
            Phase::Preamble => Wait::Preamble,
            _ => Wait::Fresh,
        };
        let driven = Driven {
            machine,
            work: None,
            is_at_work: false,
            is_woken: false,
            slow: false,
            steps: 0,
            watches_output: false,
            drained: false,
            received: 0,
            is_asked: false,
            ended: false,
            linger_until: None,
            closing: false,
            is_over: false,
        };
        Self {
            token: flags.token(),
            socket,
            holder,
            has_preamble: phase == Phase::Preamble,
            client: OnceLock::new(),
            flags,
            wait: AtomicU8::new(wait as u8),
            progress: AtomicU64::new(now),
            began: AtomicU64::new(now),
            held_back: AtomicU8::new(HeldBack::No as u8),
            driven: Mutex::new(driven),
        }
    }

    /// Whom it is counted for.
    pub(crate) fn holder(&self) -> Holder {
        self.client.get().copied().unwrap_or(self.holder)
    }

    /// Gives up a new connection. False when its machine was woken already: the connection is still the caller's then,
    /// to put into the queue.
    pub(crate) fn let_go(&self) -> bool {
        self.flags.release(Rest::Open)
    }

    /// Has the connection looked at. True when it is now the caller's to put into the queue.
    pub(crate) fn claim(&self) -> bool {
        self.flags.claim(0)
    }

    /// As [`claim`](Self::claim), for what the poll says of the socket.
    pub(crate) fn claim_for(&self, event: &Event) -> bool {
        let closed = if event.is_read_closed() { flags::PEER_CLOSED } else { 0 };
        // A peer that has closed its sending side alone still reads.
        if event.is_error() || event.is_write_closed() {
            self.flags.claim(closed | flags::HUNG_UP)
        } else if event.is_writable() {
            self.flags.claim(closed)
        } else {
            self.flags.claim_for_input(closed)
        }
    }

    /// As [`claim`](Self::claim), to have the connection closed if its timeout has passed indeed.
    pub(crate) fn expire(&self) -> bool {
        self.flags.claim(flags::EXPIRED)
    }

    /// As [`claim`](Self::claim), to have the connection closed if the peer has sent nothing in the meantime.
    pub(crate) fn ask_to_give_way(&self) -> bool {
        // Set by its owner alone, so that whoever serves it next sees it.
        let is_owner = self.claim();
        if is_owner {
            self.flags.set(flags::GIVE_WAY);
        }
        is_owner
    }

    /// As [`claim`](Self::claim), to have the connection closed for the memory that it holds.
    pub(crate) fn take_memory_back(&self) -> bool {
        let is_owner = self.claim();
        if is_owner {
            self.flags.set(flags::TAKE_MEMORY);
        }
        is_owner
    }

    /// Bytes that the machine holds for its peer, and bytes that the peer has sent so far; zeros while a thread serves it.
    pub(crate) fn held_and_received(&self) -> (usize, u64) {
        self.driven.try_lock().map_or((0, 0), |driven| (driven.machine.held_bytes(), driven.received))
    }

    /// What the connection waits for; `None` while a thread has it.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        let is_at_work = self.flags.rest()? == Rest::AtWork;
        Some(Waiting { is_at_work, ..self.last_wait() })
    }

    /// What the connection waited for last, as far as its passes noted it.
    fn last_wait(&self) -> Waiting {
        let wait = Wait::from_u8(self.wait.load(Ordering::Relaxed));
        let progress = self.progress.load(Ordering::Relaxed);
        let began = match self.began.load(Ordering::Relaxed) {
            0 => progress,
            began => began,
        };
        Waiting { wait, progress, began, is_at_work: false }
    }

    /// Gives back what an idle connection keeps for its next request.
    pub(crate) fn release_memory(&self) {
        let Ok(mut driven) = self.driven.try_lock() else { return };
        // It may have been served since it was found idle. Nobody can begin to while it is locked here.
        if self.waiting().is_none_or(|waiting| waiting.wait != Wait::Idle) {
            return;
        }
        // A machine that panicked here does so again when it is next used, and is closed then.
        catch(|| driven.machine.release_memory());
        self.wait.store(Wait::Released as u8, Ordering::Relaxed);
    }

    fn note(&self, wait: Wait, now: u64) {
        let now = now.max(1);
        let before = self.wait.load(Ordering::Relaxed);
        self.wait.store(wait as u8, Ordering::Relaxed);
        self.progress.store(now, Ordering::Relaxed);
        if before != wait as u8 || self.began.load(Ordering::Relaxed) == 0 {
            self.began.store(now, Ordering::Relaxed);
        }
    }

    /// Has the next wait counted from its own beginning.
    fn start_anew(&self) {
        self.began.store(0, Ordering::Relaxed);
    }
}
