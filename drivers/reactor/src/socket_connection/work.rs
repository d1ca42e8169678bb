//! Runs a connection's job, and serves the connection while the job runs.
//!
//! While work is out, nobody has the connection: whoever has a reason to serve it may do so, and the thread that runs
//! the work holds on to nothing of it. If the connection ends first, its machine and its socket are gone at once.

use super::flags::{self, Rest};
use super::pass::{Ending, PASS_STEPS, Pass};
use super::{Driven, HeldBack, SocketConnection};
use crate::machine::{Acceptor, Job, Machine, Step};
use crate::panics::catch;
use crate::shared::Shared;
use crate::timeouts::Wait;
use bytes::Buf;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A work that took this long may do so again: another thread takes over the loop before it is next run. For quicker ones the
/// change of threads would take a noticeable part of their time; the supervisor notices if many in a row hold up the loop.
const SLOW: Duration = Duration::from_micros(500);

/// The most output that is held back for the next work's.
const HELD_BACK: usize = 16 << 10;

/// Work that was run.
pub(super) struct Finished<D> {
    /// What it gave; `None` if it panicked.
    done: Option<D>,
    is_slow: bool,
}

impl<D> Finished<D> {
    /// Runs work, for as long as it takes.
    pub(super) fn run<A: Acceptor, W: Job<Finished = D>>(shared: &Shared<A>, work: W) -> Self {
        let began = Instant::now();
        let done = catch(|| shared.run(work));
        Self { done, is_slow: began.elapsed() > SLOW }
    }
}

impl<M: Machine> SocketConnection<M> {
    /// Prepares for running work: the socket is watched for room if output has to wait for its peer.
    pub(super) fn begin_work<A: Acceptor<Machine = M>>(
        &self,
        driven: &mut Driven<M>,
        shared: &Arc<Shared<A>>,
        work: M::Job,
    ) -> io::Result<Pass<M::Job>> {
        // This may take long, and others can be asked to give way.
        driven.answer_whether_it_gives_way(shared);
        let is_sent = self.holds_back(driven, shared) || self.flush(driven)?;
        let wait = if is_sent { Wait::Work } else { Wait::Output };
        self.watch(driven, shared, wait)?;
        if driven.slow {
            shared.ensure_poller();
        }
        driven.is_at_work = true;
        driven.is_woken = false;
        if wait == Wait::Output {
            self.note(wait, shared.now());
        } else {
            // There is no bound to this, and the clock need not be read.
            self.wait.store(wait as u8, Ordering::Relaxed);
            self.start_anew();
        }
        Ok(Pass::Work(work))
    }

    /// Whether the output waits for that of the next work, so that many small answers go out in one write. It does while
    /// works are quick. The supervisor has it sent when the next one is not.
    fn holds_back<A: Acceptor<Machine = M>>(&self, driven: &mut Driven<M>, shared: &Shared<A>) -> bool {
        if driven.slow {
            return false;
        }
        let bytes = driven.machine.poll_transmit().map_or(0, |output| output.remaining());
        let holds_back = (1..=HELD_BACK).contains(&bytes);
        if holds_back {
            self.held_back.store(HeldBack::Lately as u8, Ordering::Relaxed);
            shared.note_held_back();
        }
        holds_back
    }

    /// Has output sent that was held back before the supervisor last looked, and whose work is still out. True when the
    /// connection is now the caller's to put into the queue; `None` when nothing is held back.
    pub(crate) fn send_held_back(&self) -> Option<bool> {
        match self.held_back.load(Ordering::Relaxed) {
            held if held == HeldBack::No as u8 => None,
            held if held == HeldBack::Lately as u8 => {
                let (lately, long) = (HeldBack::Lately as u8, HeldBack::Long as u8);
                // A work that begins this moment makes it late again.
                let _ = self.held_back.compare_exchange(lately, long, Ordering::Relaxed, Ordering::Relaxed);
                Some(false)
            }
            _ => {
                self.held_back.store(HeldBack::No as u8, Ordering::Relaxed);
                Some(self.claim())
            }
        }
    }

    /// Gives the machine what its work gave. True when the connection is the caller's again, to be served further.
    pub(super) fn end_work<A: Acceptor<Machine = M>>(
        self: &Arc<Self>,
        driven: &mut Driven<M>,
        shared: &Arc<Shared<A>>,
        finished: Finished<<M::Job as Job>::Finished>,
    ) -> bool {
        driven.is_at_work = false;
        driven.slow = finished.is_slow;
        driven.steps += 1;
        // A timeout that seemed to pass for unread output meanwhile counts no more.
        self.wait.store(Wait::Work as u8, Ordering::Relaxed);
        self.start_anew();
        let Some(done) = finished.done else {
            // Earlier answers may have been held back for that of this work.
            let _ = self.flush(driven);
            self.end(driven, shared, Ending::BrokenOff);
            return false;
        };
        let complete = || {
            if shared.is_draining() {
                driven.machine.drain();
            }
            driven.machine.complete(done);
        };
        // A machine that has said its last, while the work was out, is not called any more.
        if !driven.closing && catch(complete).is_none() {
            self.end(driven, shared, Ending::Orderly);
            return false;
        }
        self.flags.return_from_work()
    }

    /// A pass while work is out: sends what there is, and polls after a wake-up.
    pub(super) fn pass_beside_work<A: Acceptor<Machine = M>>(
        &self,
        driven: &mut Driven<M>,
        shared: &Shared<A>,
    ) -> io::Result<Pass<M::Job>> {
        if self.flags.has(flags::HUNG_UP) {
            return Ok(Pass::BrokenOff);
        }
        while driven.steps < PASS_STEPS && !driven.closing {
            if !self.flush(driven)? {
                return self.blocked(driven, shared, Wait::Output);
            }
            if !driven.is_woken {
                return self.blocked(driven, shared, Wait::Work);
            }
            driven.steps += 1;
            match driven.machine.poll() {
                // There may be more output when this is sent.
                Step::NeedDrain => driven.is_woken = driven.machine.poll_transmit().is_some(),
                Step::Waiting | Step::NeedInput => driven.is_woken = false,
                Step::Job(_) => return Err(io::Error::other("a machine has one work out at a time")),
                Step::Close => return self.close(driven, shared),
                Step::LingeringClose => driven.closing = true,
            }
        }
        Ok(Pass::Yield)
    }
}

impl<M: Machine> Driven<M> {
    /// What the connection is served for while nobody has it, given what it waits for.
    pub(super) fn rest(&self, wait: Wait) -> Rest {
        match wait {
            _ if self.is_at_work => Rest::AtWork,
            Wait::Waiting => Rest::Waiting,
            _ => Rest::Open,
        }
    }
}
