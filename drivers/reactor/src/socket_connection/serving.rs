//! Serves a connection by repeated passes, until it must wait or has ended.

use super::flags::{self, Rest};
use super::pass::{Ending, Pass};
use super::work::Finished;
use super::{Driven, SocketConnection};
use crate::events;
use crate::locks::lock;
use crate::machine::{Acceptor, Job, Machine};
use crate::panics::catch;
use crate::shared::Shared;
use crate::timeouts::Wait;
use crate::worker::ThreadState;
use std::sync::Arc;

impl<M: Machine> SocketConnection<M> {
    /// Breaks the connection off when the server ends, unless a thread serves it: that thread can no longer send anything.
    pub(crate) fn break_off(&self) {
        if let Ok(mut driven) = self.driven.try_lock() {
            driven.end(Ending::BrokenOff);
        }
    }

    /// Serves the connection, which the caller owns; `may_run` means that this thread may run its jobs.
    pub(crate) fn serve<A: Acceptor<Machine = M>>(
        self: Arc<Self>,
        shared: &Arc<Shared<A>>,
        thread_state: &mut ThreadState,
        may_run: bool,
    ) {
        let mut connection = self;
        let mut finished = None;
        while let Some(work) = connection.serve_until_work(shared, thread_state, may_run, finished.take()) {
            // Only a weak reference: if the connection ends during the job, this thread does not keep its machine alive.
            let weak = Arc::downgrade(&connection);
            drop(connection);
            finished = Some(Finished::run(shared, work));
            let Some(back) = weak.upgrade() else { return };
            connection = back;
        }
    }

    /// Serves the connection, after its `finished` job if any. Returns a job to run, during which other threads may serve the
    /// connection.
    fn serve_until_work<A: Acceptor<Machine = M>>(
        self: &Arc<Self>,
        shared: &Arc<Shared<A>>,
        thread_state: &mut ThreadState,
        may_run: bool,
        finished: Option<Finished<<M::Job as Job>::Finished>>,
    ) -> Option<M::Job> {
        let mut driven = lock(&self.driven);
        if driven.is_over {
            driven.is_asked = self.flags.take(flags::GIVE_WAY);
            driven.answer_whether_it_gives_way(shared);
            return None;
        }
        let goes_on = finished.is_some();
        if let Some(finished) = finished
            && !self.end_work(&mut driven, shared, finished)
        {
            return None;
        }
        driven.is_asked |= self.flags.take(flags::GIVE_WAY);
        let work = self.serve_until_blocked(&mut driven, shared, thread_state, may_run, goes_on);
        driven.answer_whether_it_gives_way(shared);
        work
    }

    /// Makes passes until the connection can be released. `goes_on` means that the first pass continues an earlier one.
    fn serve_until_blocked<A: Acceptor<Machine = M>>(
        self: &Arc<Self>,
        driven: &mut Driven<M>,
        shared: &Arc<Shared<A>>,
        thread_state: &mut ThreadState,
        may_run: bool,
        mut goes_on: bool,
    ) -> Option<M::Job> {
        let received = driven.received;
        let mut work = None;
        if !goes_on {
            driven.steps = 0;
        }
        loop {
            if !goes_on {
                self.flags.look();
            }
            let pass = || self.pass(driven, shared, thread_state, may_run, goes_on);
            // After an I/O error the peer cannot be notified. A panic is a defect of the protocol: it ends the connection, not
            // the server.
            let pass = catch(pass).map_or(Pass::Over, |pass| pass.unwrap_or(Pass::BrokenOff));
            goes_on = false;
            let ending = match pass {
                Pass::Work(begun) => {
                    work = Some(begun);
                    // If the peer was gone before the job began, the job is run anyway, as if the peer had left later.
                    let is_gone = self.flags.has(flags::HUNG_UP);
                    if !is_gone && self.flags.release(Rest::AtWork) {
                        return work;
                    }
                    is_gone.then_some(Ending::BrokenOff)
                }
                Pass::Blocked(wait) => {
                    self.note(wait, shared.now());
                    let had_nothing_to_say = self.flags.is_quiet() && driven.received == received;
                    // An occasional byte does not save a connection whose protocol has not begun.
                    let may_close =
                        had_nothing_to_say || matches!(wait, Wait::Preamble | Wait::Handshake | Wait::Close);
                    let is_between =
                        matches!(wait, Wait::Preamble | Wait::Fresh | Wait::Handshake | Wait::Idle);
                    if is_between && shared.is_draining() {
                        Some(Ending::Orderly)
                    } else if driven.is_asked && may_close && shared.gives_way(wait) {
                        events::gave_way(&shared.tallies.gave_way);
                        let is_mid_message = matches!(wait, Wait::Head | Wait::Body);
                        Some(if is_mid_message { Ending::BrokenOff } else { Ending::Orderly })
                    } else if self.flags.release(driven.rest(wait)) {
                        return work;
                    } else if wait == Wait::Waiting {
                        // It was woken already. A machine that keeps waking itself must not delay other connections.
                        shared.requeue(self);
                        return work;
                    } else {
                        None
                    }
                }
                Pass::Yield => {
                    shared.requeue(self);
                    return work;
                }
                Pass::NeedsThread => {
                    shared.queue_work(self);
                    return work;
                }
                Pass::Over => Some(Ending::Orderly),
                Pass::BrokenOff => Some(Ending::BrokenOff),
            };
            if let Some(ending) = ending {
                self.end(driven, shared, ending);
                return work;
            }
        }
    }

    /// Ends the connection, whether or not the caller owns it.
    pub(super) fn end<A: Acceptor<Machine = M>>(
        self: &Arc<Self>,
        driven: &mut Driven<M>,
        shared: &Shared<A>,
        ending: Ending,
    ) {
        driven.end(ending);
        shared.remove(self);
    }
}

impl<M: Machine> Driven<M> {
    /// Marks the machine as ended, after notifying it if required.
    fn end(&mut self, ending: Ending) {
        let knows = ending == Ending::Orderly || self.closing || self.is_over;
        self.is_over = true;
        if !knows {
            // If the machine panics here, the connection has ended anyway.
            catch(|| self.machine.hang_up());
        }
    }

    /// If this connection was asked to give way, allows others to be asked: it is closed by now, or continues.
    pub(super) fn answer_whether_it_gives_way<A: Acceptor<Machine = M>>(&mut self, shared: &Shared<A>) {
        if std::mem::take(&mut self.is_asked) {
            shared.answered_whether_it_gives_way(&mut lock(&shared.state));
        }
    }
}
