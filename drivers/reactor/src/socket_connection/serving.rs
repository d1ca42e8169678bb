//! Serves a connection: one pass after another, until there is nothing to do or the connection has ended.

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
    /// Ends what is under way with the server, unless a thread serves the connection: that one cannot send any more.
    pub(crate) fn break_off(&self) {
        if let Ok(mut driven) = self.driven.try_lock() {
            driven.end(Ending::BrokenOff);
        }
    }

    /// Serves what there is. The caller owns the connection; `may_run` says whether it may run work.
    pub(crate) fn serve<A: Acceptor<Machine = M>>(
        self: Arc<Self>,
        shared: &Arc<Shared<A>>,
        thread_state: &mut ThreadState,
        may_run: bool,
    ) {
        let mut connection = self;
        let mut finished = None;
        while let Some(work) = connection.serve_until_work(shared, thread_state, may_run, finished.take()) {
            // Without a hold on the connection: if it ends meanwhile, this thread does not keep its machine.
            let weak = Arc::downgrade(&connection);
            drop(connection);
            finished = Some(Finished::run(shared, work));
            let Some(back) = weak.upgrade() else { return };
            connection = back;
        }
    }

    /// Serves what there is, after the work that has `finished` if any. Gives work to be run, during which others may
    /// serve the connection.
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

    /// Passes over the connection until it can be let go. `goes_on` says that the first pass goes on with one that was
    /// begun before.
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
            // After an I/O error nobody is left to tell. A panic is a defect of the protocol: it costs the connection
            // and not the server.
            let pass = catch(pass).map_or(Pass::Over, |pass| pass.unwrap_or(Pass::BrokenOff));
            goes_on = false;
            let ending = match pass {
                Pass::Work(begun) => {
                    work = Some(begun);
                    // If the peer was gone before the work began, it is run all the same, as if the peer had left later.
                    let is_gone = self.flags.has(flags::HUNG_UP);
                    if !is_gone && self.flags.release(Rest::AtWork) {
                        return work;
                    }
                    is_gone.then_some(Ending::BrokenOff)
                }
                Pass::Blocked(wait) => {
                    self.note(wait, shared.now());
                    let had_nothing_to_say = self.flags.is_quiet() && driven.received == received;
                    // A byte now and then does not save a connection that says nothing of its protocol.
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
                        // It was woken already. A machine that wakes itself over and over is not to hold up others.
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

    /// Ends the connection, whoever owns it.
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
    /// Has the machine called no more, after it was told if it is to be.
    fn end(&mut self, ending: Ending) {
        let knows = ending == Ending::Orderly || self.closing || self.is_over;
        self.is_over = true;
        if !knows {
            // A machine that panics here is over as well.
            catch(|| self.machine.hang_up());
        }
    }

    /// Lets others be asked, if this one was: it is closed by now, or goes on.
    pub(super) fn answer_whether_it_gives_way<A: Acceptor<Machine = M>>(&mut self, shared: &Shared<A>) {
        if std::mem::take(&mut self.is_asked) {
            shared.answered_whether_it_gives_way(&mut lock(&shared.state));
        }
    }
}
