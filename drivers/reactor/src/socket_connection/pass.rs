//! A pass over a connection: everything that can be done for it without waiting for its peer, or a fair part of that.

use super::{Driven, SocketConnection, Waiting, flags};
use crate::events;
use crate::machine::{Acceptor, Expiry, Machine, Phase, Step};
use crate::shared::Shared;
use crate::timeouts::Wait;
use crate::worker::ThreadState;
use std::io;
use std::sync::Arc;

/// System calls and works of one pass; then others have their turn.
pub(super) const PASS_STEPS: u32 = 32;

/// How a pass ended.
pub(super) enum Pass<W> {
    /// Nothing more can be done before the peer acts, the machine is woken, or its work ends.
    Blocked(Wait),
    /// There is more to do, but others come first.
    Yield,
    /// There is work, and this thread may not run it.
    NeedsThread,
    /// There is work for this thread.
    Work(W),
    /// The connection is over.
    Over,
    /// The connection is over, and its machine does not know.
    BrokenOff,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The machine has ended it, has failed, or had nothing under way.
    Orderly,
    /// In the middle of something: the machine is told.
    BrokenOff,
}

impl<M: Machine> SocketConnection<M> {
    /// `goes_on` says that the pass goes on after work.
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
        // A machine whose peer does not read is not polled, whoever wakes it.
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
                    // Output that was held back does not wait for a thread.
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
        // Nor for others.
        self.flush(driven)?;
        Ok(Pass::Yield)
    }

    /// Sends what is left, and is over when all of it is sent.
    pub(super) fn close<A: Acceptor<Machine = M>>(
        &self,
        driven: &mut Driven<M>,
        shared: &Shared<A>,
    ) -> io::Result<Pass<M::Job>> {
        if self.flush(driven)? { Ok(Pass::Over) } else { self.blocked(driven, shared, Wait::Output) }
    }

    /// Looks at what happened since the last pass. Gives its end where that ends the connection.
    fn begin_pass<A: Acceptor<Machine = M>>(
        &self,
        driven: &mut Driven<M>,
        shared: &Shared<A>,
    ) -> Option<Pass<M::Job>> {
        let Waiting { wait, progress, began, .. } = self.last_wait();
        if self.flags.take(flags::EXPIRED) {
            // Whoever saw it pass may have looked just before there was progress.
            let due = shared.options.timeouts.of(wait).due(progress, began);
            if due.is_some_and(|due| due <= shared.now()) {
                events::timed_out(&shared.tallies.timed_out);
                if let Some(end) = Self::give_up(driven, wait, Expiry::Timeout) {
                    return Some(end);
                }
            }
        }
        // What a connection holds for its work is not held up by its peer.
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

    /// Lets the machine say its last. Gives the end of the connection if there is nothing to say, or no more.
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
