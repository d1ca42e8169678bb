//! One connection: its socket, its machine, and the state that other threads access while no thread serves it.
//!
//! | file | subject |
//! | --- | --- |
//! | `flags` | the events of a connection, and its owner |
//! | `serving` | serving by repeated passes |
//! | `pass` | one pass |
//! | `work` | its job, and a pass while the job runs |
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
    /// The holder before its machine knows the client.
    holder: Holder,
    /// Its machine began in [`Phase::Preamble`].
    has_preamble: bool,
    /// The holder once its machine knows the client.
    client: OnceLock<Holder>,
    flags: Arc<Flags>,
    /// What it waits for.
    wait: AtomicU8,
    /// When there was last progress, in the server's milliseconds.
    progress: AtomicU64,
    /// When the current wait began; 0 if the next wait sets it.
    began: AtomicU64,
    /// Whether output is held back until the running job ends.
    held_back: AtomicU8,
    driven: Mutex<Driven<M>>,
}

/// Whether output is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeldBack {
    No,
    /// The supervisor has not noticed it yet.
    Lately,
    /// The supervisor has noticed it, and no job has begun since.
    Long,
}

/// What a connection without an owner waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) wait: Wait,
    /// When there was last progress, in the server's milliseconds.
    pub(crate) progress: u64,
    /// When that wait began.
    pub(crate) began: u64,
    /// Its job is running: the next wait is known when the job ends.
    pub(crate) is_at_work: bool,
}

/// A machine, and the state of its passes.
struct Driven<M: Machine> {
    machine: M,
    /// A job that waits for a thread that may run it.
    work: Option<M::Job>,
    /// A thread runs its job.
    is_at_work: bool,
    /// The waker was called, and the machine was not polled since. Relevant while a job runs.
    is_woken: bool,
    /// The last job was slow.
    slow: bool,
    /// System calls and jobs of this pass.
    steps: u32,
    /// The socket is watched for room to write, not for input.
    watches_output: bool,
    /// The last read emptied the socket.
    drained: bool,
    /// Bytes that the peer has sent.
    received: u64,
    /// The connection was asked to give way; no other is asked until the result is known.
    is_asked: bool,
    /// The machine was notified of the end of the input.
    ended: bool,
    /// A large body is being received fast: until this time, the thread waits for its next part.
    linger_until: Option<Instant>,
    /// The machine has produced its last output, which is still to be sent and read by the peer.
    closing: bool,
    /// The connection has ended, and the machine is not called any more.
    is_over: bool,
}

impl<M: Machine> SocketConnection<M> {
    /// Creates a connection that the caller owns, whose machine begins in this phase.
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

    /// Returns the user or host to which the connection is attributed.
    pub(crate) fn holder(&self) -> Holder {
        self.client.get().copied().unwrap_or(self.holder)
    }

    /// Releases a new connection. Returns false if its machine was woken already: the caller still owns it then, and must queue
    /// it.
    pub(crate) fn let_go(&self) -> bool {
        self.flags.release(Rest::Open)
    }

    /// Requests that the connection be served. Returns true if the caller now owns it, and must queue it.
    pub(crate) fn claim(&self) -> bool {
        self.flags.claim(0)
    }

    /// Like [`claim`](Self::claim), for an event of the socket.
    pub(crate) fn claim_for(&self, event: &Event) -> bool {
        let closed = if event.is_read_closed() { flags::PEER_CLOSED } else { 0 };
        // A peer that has closed only its sending side still reads.
        if event.is_error() || event.is_write_closed() {
            self.flags.claim(closed | flags::HUNG_UP)
        } else if event.is_writable() {
            self.flags.claim(closed)
        } else {
            self.flags.claim_for_input(closed)
        }
    }

    /// Like [`claim`](Self::claim), to close the connection if its timeout has really passed.
    pub(crate) fn expire(&self) -> bool {
        self.flags.claim(flags::EXPIRED)
    }

    /// Like [`claim`](Self::claim), to close the connection if the peer has sent nothing in the meantime.
    pub(crate) fn ask_to_give_way(&self) -> bool {
        // Only the owner sets it, so the next thread that serves the connection sees it.
        let is_owner = self.claim();
        if is_owner {
            self.flags.set(flags::GIVE_WAY);
        }
        is_owner
    }

    /// Like [`claim`](Self::claim), to close the connection for the memory that it holds.
    pub(crate) fn take_memory_back(&self) -> bool {
        let is_owner = self.claim();
        if is_owner {
            self.flags.set(flags::TAKE_MEMORY);
        }
        is_owner
    }

    /// Returns the bytes that the machine holds for its peer, and those that the peer has sent so far; zeros while a thread
    /// serves it.
    pub(crate) fn held_and_received(&self) -> (usize, u64) {
        self.driven.try_lock().map_or((0, 0), |driven| (driven.machine.held_bytes(), driven.received))
    }

    /// Returns what the connection waits for; `None` while a thread owns it.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        let is_at_work = self.flags.rest()? == Rest::AtWork;
        Some(Waiting { is_at_work, ..self.last_wait() })
    }

    /// Returns what the connection waited for last, as recorded by its passes.
    fn last_wait(&self) -> Waiting {
        let wait = Wait::from_u8(self.wait.load(Ordering::Relaxed));
        let progress = self.progress.load(Ordering::Relaxed);
        let began = match self.began.load(Ordering::Relaxed) {
            0 => progress,
            began => began,
        };
        Waiting { wait, progress, began, is_at_work: false }
    }

    /// Releases the memory that an idle connection keeps for its next request.
    pub(crate) fn release_memory(&self) {
        let Ok(mut driven) = self.driven.try_lock() else { return };
        // It may have been served since it was found idle. No thread can begin to while it is locked here.
        if self.waiting().is_none_or(|waiting| waiting.wait != Wait::Idle) {
            return;
        }
        // A machine that panicked here does so again when it is next used, and is then closed.
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

    /// Makes the next wait count from its own beginning.
    fn start_anew(&self) {
        self.began.store(0, Ordering::Relaxed);
    }
}
