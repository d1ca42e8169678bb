//! A pass over a connection: everything that can be done without waiting for the peer, up to a limit.

use super::{Driven, SocketConnection, Waiting, flags};
use crate::events;
use crate::machine::{Acceptor, Expiry, Machine, Phase, Step};
use crate::shared::Shared;
use crate::timeouts::Wait;
use crate::worker::ThreadState;
use std::io;
use std::sync::Arc;

/// The limit of system calls and jobs in one pass; then other connections are served.
pub(super) const PASS_STEPS: u32 = 32;

/// How a pass ended.
pub(super) enum Pass<W> {
    /// Nothing more can be done before the peer acts, the machine is woken, or its job ends.
    Blocked(Wait),
    /// There is more to do, but other connections come first.
    Yield,
    /// There is a job, and this thread may not run it.
    NeedsThread,
    /// There is a job for this thread.
    Work(W),
    /// The connection has ended.
    Over,
    /// The connection has broken off, and its machine was not notified.
    BrokenOff,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The machine has ended it, has failed, or had no call in progress.
    Orderly,
    /// In the middle of something: the machine is notified.
    BrokenOff,
}

impl<M: Machine> SocketConnection<M> {
    /// Makes a pass. `goes_on` means that it continues an earlier pass after a job.
    pub(super) fn pass<A: Acceptor<Machine = M>>(
        &self,
        driven: &mut Driven<M>,
        shared: &Arc<Shared<A>>,
        thread_state: &mut ThreadState,
        may_run: bool,
        goes_on: bool,
    ) -> io::Result<Pass<M::Job>> {
        if !goes_on && let Some(end) = self.begin_pass(driven, shared) {
            return Ok(end);
        }
        if driven.is_at_work && !driven.closing {
            return self.pass_beside_work(driven, shared);
        }
        // A machine whose peer does not read is not polled, even after a wake-up.
        if !goes_on && driven.watches_output && driven.work.is_none() && !self.flush(driven)? {
            return self.blocked(driven, shared, Wait::Output);
        }
        while driven.steps < PASS_STEPS {
            if driven.closing {
                return self.finish(driven, shared, thread_state);
            }
            let next = match driven.work.take() {
                Some(work) => Step::Job(work),
                None => driven.machine.poll(),
            };
            match next {
                Step::Job(work) if !may_run => {
                    driven.work = Some(work);
                    // Output that was held back must not wait for a thread.
                    self.flush(driven)?;
                    return Ok(Pass::NeedsThread);
                }
                Step::Job(work) => return self.begin_work(driven, shared, work),
                Step::NeedInput => {
                    if !self.flush(driven)? {
                        return self.blocked(driven, shared, Wait::Output);
                    }
                    if driven.ended {
                        let is_idle = matches!(driven.machine.phase(), Phase::Fresh | Phase::Idle);
                        return Ok(if is_idle { Pass::Over } else { Pass::BrokenOff });
                    }
                    if driven.drained {
                        let wait = match driven.machine.phase() {
                            Phase::Idle if driven.received == 0 => Wait::Fresh,
                            phase => phase.into(),
                        };
                        return self.blocked(driven, shared, wait);
                    }
                    driven.steps += u32::from(self.read(driven, thread_state)?);
                }
                Step::Waiting => {
                    if !self.flush(driven)? {
                        return self.blocked(driven, shared, Wait::Output);
                    }
                    if self.flags.has(flags::HUNG_UP) {
                        return Ok(Pass::BrokenOff);
                    }
                    return self.blocked(driven, shared, Wait::Waiting);
                }
                Step::NeedDrain => {
                    if !self.flush(driven)? {
                        return self.blocked(driven, shared, Wait::Output);
                    }
                    driven.steps += 1;
                }
                Step::Close => return self.close(driven, shared),
                Step::LingeringClose => driven.closing = true,
            }
        }
        // Output must not wait for other connections either.
        self.flush(driven)?;
        Ok(Pass::Yield)
    }

    /// Sends the pending output, and ends the connection once all is sent.
    pub(super) fn close<A: Acceptor<Machine = M>>(
        &self,
        driven: &mut Driven<M>,
        shared: &Shared<A>,
    ) -> io::Result<Pass<M::Job>> {
        if self.flush(driven)? { Ok(Pass::Over) } else { self.blocked(driven, shared, Wait::Output) }
    }

    /// Handles the events since the last pass. Returns the pass's result if they end the connection.
    fn begin_pass<A: Acceptor<Machine = M>>(
        &self,
        driven: &mut Driven<M>,
        shared: &Shared<A>,
    ) -> Option<Pass<M::Job>> {
        let Waiting { wait, progress, began, .. } = self.last_wait();
        if self.flags.take(flags::EXPIRED) {
            // There may have been progress since the timeout seemed to pass.
            let due = shared.options.timeouts.of(wait).due(progress, began);
            if due.is_some_and(|due| due <= shared.now()) {
                events::timed_out(&shared.tallies.timed_out, self.token.0, wait);
                if let Some(end) = Self::give_up(driven, wait, Expiry::Timeout) {
                    return Some(end);
                }
            }
        }
        // A connection's memory for its running job is not held up by its peer.
        if self.flags.take(flags::TAKE_MEMORY) && wait != Wait::Work {
            events::closed_for_memory(&shared.tallies.for_memory);
            if let Some(end) = Self::give_up(driven, wait, Expiry::Memory) {
                return Some(end);
            }
        }
        if !driven.is_at_work {
            driven.steps = 0;
        }
        driven.drained = false;
        driven.linger_until = None;
        driven.is_woken |= self.flags.take(flags::WOKEN);
        if shared.is_draining() {
            driven.machine.drain();
        }
        None
    }

    /// Lets the machine produce a last output. Returns the end of the connection if there is none.
    fn give_up(driven: &mut Driven<M>, wait: Wait, reason: Expiry) -> Option<Pass<M::Job>> {
        if driven.closing {
            return Some(Pass::Over);
        }
        let Some(phase) = wait.phase() else { return Some(Pass::BrokenOff) };
        driven.machine.expire(phase, reason);
        driven.closing = driven.machine.poll_transmit().is_some();
        (!driven.closing).then_some(Pass::Over)
    }
}
