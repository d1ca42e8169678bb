//! Runs a connection's job, and serves the connection while the job runs.
//!
//! While a job runs, the connection has no owner: any thread may serve it, and the thread that runs the job keeps no reference
//! to it. If the connection ends first, its machine and its socket are dropped at once.

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

/// A job that took this long may do so again: before the next one, another thread takes over the loop. For quicker jobs the
/// hand-over would be a noticeable part of their time; if many in a row hold up the loop, the supervisor notices.
const SLOW: Duration = Duration::from_micros(500);

/// The maximum output, in bytes, that is held back for that of the next job.
const HELD_BACK: usize = 16 << 10;

/// A job that has ended.
pub(super) struct Finished<D> {
    /// Its result; `None` if it panicked.
    done: Option<D>,
    is_slow: bool,
}

impl<D> Finished<D> {
    /// Runs a job to its end.
    pub(super) fn run<A: Acceptor, W: Job<Finished = D>>(shared: &Shared<A>, work: W) -> Self {
        let began = Instant::now();
        let done = catch(|| shared.run(work));
        Self { done, is_slow: began.elapsed() > SLOW }
    }
}

impl<M: Machine> SocketConnection<M> {
    /// Prepares to run a job: the socket is watched for room if output has to wait for the peer.
    pub(super) fn begin_work<A: Acceptor<Machine = M>>(
        &self,
        driven: &mut Driven<M>,
        shared: &Arc<Shared<A>>,
        work: M::Job,
    ) -> io::Result<Pass<M::Job>> {
        // The job may take long, so another connection can be asked to give way.
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
            // There is no timeout for this, so the clock need not be read.
            self.wait.store(wait as u8, Ordering::Relaxed);
            self.start_anew();
        }
        Ok(Pass::Work(work))
    }

    /// Whether the output is held back for that of the next job, so that many small answers are sent in one write. This is so
    /// while jobs are quick. If the next one is not, the supervisor causes the output to be sent.
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

    /// Causes output to be sent that was held back before the supervisor's last check, and whose job still runs. Returns true
    /// if the caller now owns the connection and must queue it; `None` if nothing is held back.
    pub(crate) fn send_held_back(&self) -> Option<bool> {
        match self.held_back.load(Ordering::Relaxed) {
            held if held == HeldBack::No as u8 => None,
            held if held == HeldBack::Lately as u8 => {
                let (lately, long) = (HeldBack::Lately as u8, HeldBack::Long as u8);
                // A job that begins at this moment makes it recent again.
                let _ = self.held_back.compare_exchange(lately, long, Ordering::Relaxed, Ordering::Relaxed);
                Some(false)
            }
            _ => {
                self.held_back.store(HeldBack::No as u8, Ordering::Relaxed);
                Some(self.claim())
            }
        }
    }

    /// Passes the job's result to the machine. Returns true if the caller owns the connection again, and must serve it.
    pub(super) fn end_work<A: Acceptor<Machine = M>>(
        self: &Arc<Self>,
        driven: &mut Driven<M>,
        shared: &Arc<Shared<A>>,
        finished: Finished<<M::Job as Job>::Finished>,
    ) -> bool {
        driven.is_at_work = false;
        driven.slow = finished.is_slow;
        driven.steps += 1;
        // A timeout for unread output that seemed to pass during the job no longer counts.
        self.wait.store(Wait::Work as u8, Ordering::Relaxed);
        self.start_anew();
        let Some(done) = finished.done else {
            // Earlier answers may have been held back for that of this job.
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
        // If the machine produced its last output while the job ran, it is not called any more.
        if !driven.closing && catch(complete).is_none() {
            self.end(driven, shared, Ending::Orderly);
            return false;
        }
        self.flags.return_from_work()
    }

    /// Makes a pass while a job runs: sends pending output, and polls after a wake-up.
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
                // There may be more output after this is sent.
                Step::NeedDrain => driven.is_woken = driven.machine.poll_transmit().is_some(),
                Step::Waiting | Step::NeedInput => driven.is_woken = false,
                Step::Job(_) => return Err(io::Error::other("a machine must return one job at a time")),
                Step::Close => return self.close(driven, shared),
                Step::LingeringClose => driven.closing = true,
            }
        }
        Ok(Pass::Yield)
    }
}

impl<M: Machine> Driven<M> {
    /// Returns the events for which the connection is served without an owner, given what it waits for.
    pub(super) fn rest(&self, wait: Wait) -> Rest {
        match wait {
            _ if self.is_at_work => Rest::AtWork,
            Wait::Waiting => Rest::Waiting,
            _ => Rest::Open,
        }
    }
}
