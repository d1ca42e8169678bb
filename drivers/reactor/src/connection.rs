//! One connection: its socket, its machine, and a pass over both that never waits for the peer.

mod transfer;

use crate::listener::Socket;
use crate::machine::{Acceptor, Expiry, Machine, Next, Phase};
use crate::shared::{Shared, lock};
use crate::timeouts::Wait;
use crate::worker::Tools;
use crate::yielding::Holder;
use mio::Token;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// System calls and works of one pass; then others have their turn.
const PASS_STEPS: u32 = 32;
/// A work that took this long may do so again: another thread takes over the loop before it is next run.
const SLOW: Duration = Duration::from_micros(200);

/// Bits of [`Connection::flags`].
mod flag {
    /// A thread has the connection, or it waits in the queue for one.
    pub(super) const OWNED: u8 = 1;
    /// Something happened since its owner last looked.
    pub(super) const AGAIN: u8 = 2;
    /// The peer has closed its sending side, perhaps behind bytes that are still to be read.
    pub(super) const PEER_CLOSED: u8 = 4;
    /// A timeout seems to have passed.
    pub(super) const EXPIRED: u8 = 8;
    /// It is to close if it has nothing to say, for another to be accepted.
    pub(super) const GIVE_WAY: u8 = 16;
    /// Memory is short, and what the connection holds is wanted.
    pub(super) const TAKE_MEMORY: u8 = 32;
}

/// One accepted connection.
pub(crate) struct Connection<M: Machine> {
    pub(crate) token: Token,
    pub(crate) socket: Socket,
    /// Whom it is counted for.
    pub(crate) holder: Holder,
    flags: AtomicU8,
    /// What it waits for.
    wait: AtomicU8,
    /// When there was last progress, in the server's milliseconds.
    progress: AtomicU64,
    /// When what it waits for began; 0 when that is for the next wait to say.
    began: AtomicU64,
    driven: Mutex<Driven<M>>,
}

/// A machine, and what its passes remember.
struct Driven<M: Machine> {
    machine: M,
    /// What waits for a thread that may run it.
    work: Option<M::Work>,
    /// The last work was slow.
    slow: bool,
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
}

/// How a pass ended.
enum Pass {
    /// Nothing more can be done before the peer acts.
    Blocked(Wait),
    /// There is more to do, but others come first.
    Yield,
    /// There is work, and this thread may not run it.
    NeedsThread,
    /// The connection is over.
    Over,
}

impl<M: Machine> Driven<M> {
    /// Lets others be asked, if this one was: it is closed by now, or goes on.
    fn answer_whether_it_gives_way<A: Acceptor<Machine = M>>(&mut self, shared: &Shared<A>) {
        if std::mem::take(&mut self.is_asked) {
            shared.answered_whether_it_gives_way(&mut lock(&shared.state));
        }
    }
}

impl<M: Machine> Connection<M> {
    pub(crate) fn new(token: Token, socket: Socket, holder: Holder, machine: M, now: u64) -> Self {
        let driven = Driven {
            machine,
            work: None,
            slow: false,
            watches_output: false,
            drained: false,
            received: 0,
            is_asked: false,
            ended: false,
            linger_until: None,
            closing: false,
        };
        Self {
            token,
            socket,
            holder,
            flags: AtomicU8::new(0),
            wait: AtomicU8::new(Wait::Fresh as u8),
            progress: AtomicU64::new(now),
            began: AtomicU64::new(now),
            driven: Mutex::new(driven),
        }
    }

    /// Notes that something happened. True when the connection is now the caller's to put into the queue.
    pub(crate) fn claim(&self, peer_closed: bool) -> bool {
        let hint = if peer_closed { flag::PEER_CLOSED } else { 0 };
        self.flags.fetch_or(flag::OWNED | flag::AGAIN | hint, Ordering::AcqRel) & flag::OWNED == 0
    }

    /// As [`claim`](Self::claim), to have the connection closed if its timeout has passed indeed.
    pub(crate) fn expire(&self) -> bool {
        self.flags.fetch_or(flag::EXPIRED, Ordering::AcqRel);
        self.claim(false)
    }

    /// As [`claim`](Self::claim), to have the connection closed if the peer has sent nothing in the meantime.
    pub(crate) fn ask_to_give_way(&self) -> bool {
        // Set by its owner alone, so that whoever serves it next sees it.
        let is_owner = self.claim(false);
        if is_owner {
            self.flags.fetch_or(flag::GIVE_WAY, Ordering::AcqRel);
        }
        is_owner
    }

    /// As [`claim`](Self::claim), to have the connection closed for the memory that it holds.
    pub(crate) fn take_memory_back(&self) -> bool {
        let is_owner = self.claim(false);
        if is_owner {
            self.flags.fetch_or(flag::TAKE_MEMORY, Ordering::AcqRel);
        }
        is_owner
    }

    /// Bytes that the machine holds for its peer, and bytes that the peer has sent so far; zeros while a thread has it.
    pub(crate) fn held_and_received(&self) -> (usize, u64) {
        self.driven.try_lock().map_or((0, 0), |driven| (driven.machine.held_bytes(), driven.received))
    }

    /// What the connection waits for, since when there was no progress, and when that wait began; `None` while a
    /// thread has it.
    pub(crate) fn waiting(&self) -> Option<(Wait, u64, u64)> {
        let is_owned = self.flags.load(Ordering::Acquire) & flag::OWNED != 0;
        (!is_owned).then(|| self.last_wait())
    }

    fn last_wait(&self) -> (Wait, u64, u64) {
        let wait = Wait::from_u8(self.wait.load(Ordering::Relaxed));
        let progress = self.progress.load(Ordering::Relaxed);
        match self.began.load(Ordering::Relaxed) {
            0 => (wait, progress, progress),
            began => (wait, progress, began),
        }
    }

    /// Gives back what an idle connection keeps for its next request.
    pub(crate) fn release_memory(&self) {
        let Ok(mut driven) = self.driven.try_lock() else { return };
        // It may have been served since it was found idle. Nobody can begin to while it is locked here.
        if !matches!(self.waiting(), Some((Wait::Idle, ..))) {
            return;
        }
        let release = || driven.machine.release_memory();
        // A machine that panicked here does so again when it is next used, and is closed then.
        let _ = catch_unwind(AssertUnwindSafe(release));
        self.wait.store(Wait::Released as u8, Ordering::Relaxed);
    }

    /// Serves what there is. The caller owns the connection; `may_run` says whether it may run work.
    pub(crate) fn serve<A: Acceptor<Machine = M>>(
        self: &Arc<Self>,
        shared: &Arc<Shared<A>>,
        tools: &mut Tools,
        may_run: bool,
    ) {
        let mut driven = lock(&self.driven);
        if self.flags.load(Ordering::Acquire) & flag::GIVE_WAY != 0 {
            self.flags.fetch_and(!flag::GIVE_WAY, Ordering::AcqRel);
            driven.is_asked = true;
        }
        self.serve_until_blocked(&mut driven, shared, tools, may_run);
        driven.answer_whether_it_gives_way(shared);
    }

    fn serve_until_blocked<A: Acceptor<Machine = M>>(
        self: &Arc<Self>,
        driven: &mut Driven<M>,
        shared: &Arc<Shared<A>>,
        tools: &mut Tools,
        may_run: bool,
    ) {
        let received = driven.received;
        loop {
            self.flags.fetch_and(!flag::AGAIN, Ordering::AcqRel);
            let pass = || self.pass(driven, shared, tools, may_run);
            // An I/O error means that nobody is left to tell. A panic is a defect of the protocol: it costs the
            // connection and not the server.
            let pass =
                catch_unwind(AssertUnwindSafe(pass)).map_or(Pass::Over, |pass| pass.unwrap_or(Pass::Over));
            match pass {
                Pass::Blocked(wait) => {
                    if matches!(wait, Wait::Fresh | Wait::Idle) && shared.is_draining() {
                        return shared.remove(self);
                    }
                    self.note(wait, shared.now());
                    let owned = self.flags.load(Ordering::Acquire);
                    let free = owned & !flag::OWNED;
                    let is_quiet = owned & flag::AGAIN == 0;
                    let had_nothing_to_say = is_quiet && driven.received == received;
                    if driven.is_asked && had_nothing_to_say && shared.gives_way(wait) {
                        return shared.remove(self);
                    }
                    if is_quiet
                        && self
                            .flags
                            .compare_exchange(owned, free, Ordering::AcqRel, Ordering::Acquire)
                            .is_ok()
                    {
                        return;
                    }
                }
                Pass::Yield => return shared.requeue(self),
                Pass::NeedsThread => return shared.queue_work(self),
                Pass::Over => return shared.remove(self),
            }
        }
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

    fn pass<A: Acceptor<Machine = M>>(
        &self,
        driven: &mut Driven<M>,
        shared: &Arc<Shared<A>>,
        tools: &mut Tools,
        may_run: bool,
    ) -> io::Result<Pass> {
        if self.flags.load(Ordering::Acquire) & flag::EXPIRED != 0 && self.is_expired(driven, shared) {
            return Ok(Pass::Over);
        }
        if self.flags.load(Ordering::Acquire) & flag::TAKE_MEMORY != 0 {
            self.flags.fetch_and(!flag::TAKE_MEMORY, Ordering::AcqRel);
            if Self::give_up(driven, self.last_wait().0, Expiry::Memory) {
                return Ok(Pass::Over);
            }
        }
        driven.drained = false;
        driven.linger_until = None;
        if shared.is_draining() {
            driven.machine.drain();
        }
        let mut steps = 0;
        while steps < PASS_STEPS {
            if driven.closing {
                return self.finish(driven, shared, tools, &mut steps);
            }
            let next = match driven.work.take() {
                Some(work) => Next::Work(work),
                None => driven.machine.poll(),
            };
            match next {
                Next::Work(work) if !may_run => {
                    driven.work = Some(work);
                    return Ok(Pass::NeedsThread);
                }
                Next::Work(work) => {
                    // This may take long, and others can be asked to give way.
                    driven.answer_whether_it_gives_way(shared);
                    // Earlier answers do not wait for a work that may take long.
                    self.flush(driven, &mut steps)?;
                    if driven.slow {
                        shared.ensure_poller();
                    }
                    let began = Instant::now();
                    let done = shared.run(work);
                    driven.slow = began.elapsed() > SLOW;
                    self.start_anew();
                    if shared.is_draining() {
                        driven.machine.drain();
                    }
                    driven.machine.complete(done);
                    steps += 1;
                }
                Next::NeedInput => {
                    if !self.flush(driven, &mut steps)? {
                        return self.blocked(driven, shared, Wait::Output);
                    }
                    if driven.ended {
                        return Ok(Pass::Over);
                    }
                    if driven.drained {
                        let wait = match driven.machine.phase() {
                            Phase::Idle if driven.received == 0 => Wait::Fresh,
                            phase => phase.into(),
                        };
                        return self.blocked(driven, shared, wait);
                    }
                    steps += u32::from(self.read(driven, tools)?);
                }
                Next::NeedDrain => {
                    if !self.flush(driven, &mut steps)? {
                        return self.blocked(driven, shared, Wait::Output);
                    }
                    steps += 1;
                }
                Next::Close => {
                    return if self.flush(driven, &mut steps)? {
                        Ok(Pass::Over)
                    } else {
                        self.blocked(driven, shared, Wait::Output)
                    };
                }
                Next::LingeringClose => driven.closing = true,
            }
        }
        Ok(Pass::Yield)
    }

    /// True when a timeout has passed and nothing is left to say. A machine that has a last word says it first.
    fn is_expired<A: Acceptor<Machine = M>>(&self, driven: &mut Driven<M>, shared: &Shared<A>) -> bool {
        self.flags.fetch_and(!flag::EXPIRED, Ordering::AcqRel);
        let (wait, progress, began) = self.last_wait();
        // Whoever saw it pass may have looked just before there was progress.
        let due = shared.options.timeouts.of(wait).due(progress, began);
        if due.is_none_or(|due| shared.now() < due) {
            return false;
        }
        Self::give_up(driven, wait, Expiry::Timeout)
    }

    /// Lets the machine say its last. True when it has nothing to say, or is past that.
    fn give_up(driven: &mut Driven<M>, wait: Wait, reason: Expiry) -> bool {
        let Some(phase) = wait.phase().filter(|_| !driven.closing) else { return true };
        driven.machine.expire(phase, reason);
        driven.closing = driven.machine.poll_transmit().is_some();
        !driven.closing
    }
}
