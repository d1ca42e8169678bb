//! The supervisor, which is the thread that calls `run`: it ensures that a thread polls, enforces the timeouts, and ends the
//! server.

use crate::events;
use crate::locks::lock;
use crate::machine::Acceptor;
use crate::options::Ended;
use crate::panics::catch;
use crate::shared::{Accept, Shared, State};
use crate::shortage::Shortage;
use crate::socket_connection::Waiting;
use crate::timeouts::Wait;
use crate::worker::ThreadState;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// While the server is active, how often the supervisor checks whether a job holds up the poll.
const TICK: Duration = Duration::from_millis(1);
/// The number of ticks without an event after which ticking stops.
const QUIET_TICKS: u32 = 50;
/// Like [`TICK`], when the supervisor polls itself and there was no event for a while.
const QUIET_TICK: Duration = Duration::from_millis(20);
/// How often the connections' timeouts are checked, while any can pass.
const SWEEP: Duration = Duration::from_millis(250);
/// How long an idle connection keeps memory for its next call, in milliseconds.
const KEEP_MEMORY: u64 = 200;
/// The minimum time for the first connection.
const FIRST_CONNECTION: Duration = Duration::from_secs(60);
/// At the end, how long threads that run no job may take to notice.
const JOIN_WITHIN: Duration = Duration::from_secs(1);

/// The supervisor's state between two checks.
struct Watch {
    begun: u64,
    waiting: usize,
    quiet: u32,
    last_sweep: Option<Instant>,
    /// The number of queue entries and jobs begun at the last sweep.
    swept: u64,
    /// When the earliest timeout of the last sweep passes.
    due: Option<Instant>,
    /// The supervisor itself serves as a worker that runs no jobs, because all workers are running one.
    stands_in: bool,
    draining: bool,
    shortage: Shortage,
}

impl<A: Acceptor> Shared<A> {
    /// Runs the server until it ends.
    pub(crate) fn supervise(self: &Arc<Self>) -> Result<Ended, ErrorKind> {
        let mut watch = Watch {
            // Makes the first check count as progress: the first worker has yet to start.
            begun: u64::MAX,
            waiting: 0,
            quiet: 0,
            last_sweep: None,
            swept: 0,
            due: None,
            stands_in: false,
            draining: false,
            shortage: Shortage::default(),
        };
        let mut thread_state = ThreadState::default();
        let mut state = lock(&self.state);
        state.runs = true;
        self.workers.notify_all();
        let ended = loop {
            if let Some(ended) = state.ended {
                break ended;
            }
            state = self.look_after_poll(state, &mut watch, &mut thread_state);
            self.look_after_output(&mut state);
            let now = Instant::now();
            let mut wake = self.look_after_accept(&mut state, now);
            wake = earlier(wake, self.look_after_connections(&mut state, &mut watch, now));
            wake = earlier(wake, self.look_after_memory(&mut state, &mut watch.shortage, now));
            let (back, idle_end) = self.look_after_end(state, &mut watch, now);
            state = back;
            wake = earlier(wake, idle_end);
            if watch.stands_in || state.ended.is_some() {
                continue;
            }
            state = self.rest(state, &watch, wake);
        };
        self.wind_up(state);
        ended
    }

    /// Calls a worker to the poll, or to the queue, if neither has progressed since the last check.
    fn look_after_poll<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State<A::Machine>>,
        watch: &mut Watch,
        thread_state: &mut ThreadState,
    ) -> MutexGuard<'a, State<A::Machine>> {
        let begun = state.begun.wrapping_sub(watch.begun);
        let stuck = begun == 0 && !state.polling;
        // More threads than processors help only if some of them wait in their jobs.
        let room = begun == 0 || state.busy() < self.processors + self.running();
        let behind = room && watch.waiting > 0 && begun < watch.waiting as u64;
        let is_alone = (stuck || behind) && !self.call_worker(&mut state);
        watch.stands_in = is_alone && !state.polling;
        if watch.stands_in {
            // Events wake the poll. Other changes, for example a worker that has become free, are checked at each tick.
            let tick = if watch.quiet < QUIET_TICKS { TICK } else { QUIET_TICK };
            state = self.turn(state, thread_state, Some(tick), false);
        } else if is_alone {
            // The last free worker went to the poll before this thread queued an entry, and there may be no other event.
            self.wakeups.wake_poll();
        }
        let is_polled = state.polling || watch.stands_in;
        let is_quiet = state.begun == watch.begun && is_polled && state.waiting() == 0;
        watch.quiet = if is_quiet { watch.quiet.saturating_add(1) } else { 0 };
        watch.begun = state.begun;
        watch.waiting = state.waiting();
        state
    }

    /// Causes output to be sent that is held back during a job that takes long.
    fn look_after_output(&self, state: &mut State<A::Machine>) {
        if !self.take_held_back() {
            return;
        }
        let (mut late, mut again) = (Vec::new(), false);
        for connection in state.connections.values() {
            match connection.send_held_back() {
                Some(true) => late.push(connection.clone()),
                Some(false) => again = true,
                None => {}
            }
        }
        if again {
            self.note_held_back();
        }
        late.into_iter().for_each(|connection| self.queue_from_outside(state, connection));
    }

    /// Accepts again after a pause, or if a connection may now be able to give way. Returns when to check again.
    fn look_after_accept(&self, state: &mut State<A::Machine>, now: Instant) -> Option<Instant> {
        match state.accept {
            Accept::PausedUntil(time) | Accept::Full { retry: Some(time) } if time <= now => {
                self.accept_again(state);
                None
            }
            Accept::PausedUntil(time) | Accept::Full { retry: Some(time) } => Some(time),
            Accept::Open | Accept::Full { retry: None } => None,
        }
    }

    /// Closes connections that took too long, and releases memory of idle ones. Returns when to check again.
    fn look_after_connections(
        &self,
        state: &mut State<A::Machine>,
        watch: &mut Watch,
        now: Instant,
    ) -> Option<Instant> {
        if let Some(last) = watch.last_sweep {
            // Since then, connections may have got shorter timeouts than those that the last sweep saw.
            let earliest = if watch.swept == state.begun { watch.due? } else { last + SWEEP };
            let next = earliest.max(last + SWEEP);
            if next > now {
                return Some(next);
            }
        }
        let millis = self.now();
        let mut first = None;
        let mut expired = Vec::new();
        for connection in state.connections.values() {
            let Some(Waiting { wait, progress, began, is_at_work }) = connection.waiting() else {
                // Its timeout is known when it waits again.
                first = Some(millis);
                continue;
            };
            if is_at_work {
                // Its timeout is known when the job ends.
                first = Some(millis);
            }
            let mut due = self.options.timeouts.of(wait).due(progress, began);
            if due.is_some_and(|due| due <= millis) {
                if connection.expire() {
                    expired.push(connection.clone());
                }
                due = Some(millis);
            } else if wait == Wait::Idle {
                let release = progress.saturating_add(KEEP_MEMORY);
                if release <= millis {
                    connection.release_memory();
                }
                // If it was in use at that moment, it is checked again.
                due = earlier(due, Some(release));
            }
            first = earlier(first, due);
        }
        expired.into_iter().for_each(|connection| self.queue_from_outside(state, connection));
        let wait = first.map(|due| Duration::from_millis(due.saturating_sub(millis)).max(SWEEP));
        (watch.last_sweep, watch.swept) = (Some(now), state.begun);
        // A time that an `Instant` cannot express is never checked.
        watch.due = wait.and_then(|wait| now.checked_add(wait));
        watch.due
    }

    /// Ends the server when it has been idle or has drained. Returns when to check again.
    fn look_after_end<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<A::Machine>>,
        watch: &mut Watch,
        now: Instant,
    ) -> (MutexGuard<'a, State<A::Machine>>, Option<Instant>) {
        if let Some(deadline) = state.drain_by {
            if !watch.draining {
                watch.draining = true;
                state = self.begin_to_drain(state);
            }
            if state.connections.is_empty() {
                self.end(&mut state, Ok(Ended::Drained));
            } else if deadline <= now {
                self.end(&mut state, Ok(Ended::DrainTimedOut));
            }
            return (state, Some(deadline));
        }
        let Some(timeout) = self.options.idle_timeout else { return (state, None) };
        if !state.connections.is_empty() {
            return (state, None);
        }
        let first = !state.connected_before;
        let grace = if first { timeout.max(FIRST_CONNECTION) } else { timeout };
        let Some(end) = state.empty_since.unwrap_or(now).checked_add(grace) else { return (state, None) };
        if end <= now {
            // A client may have connected at this moment.
            drop(state);
            self.accept();
            state = lock(&self.state);
            if state.connections.is_empty() {
                self.end(&mut state, Ok(Ended::Idle));
            }
        }
        (state, Some(end))
    }

    /// Stops listening, and causes every connection to be checked: those between calls close.
    fn begin_to_drain<'a>(
        &'a self,
        state: MutexGuard<'a, State<A::Machine>>,
    ) -> MutexGuard<'a, State<A::Machine>> {
        let connections = state.connections.len();
        drop(state);
        self.close_listener();
        self.set_draining();
        events::draining(connections);
        let mut state = lock(&self.state);
        let idle: Vec<_> = state.connections.values().filter(|each| each.claim()).cloned().collect();
        idle.into_iter().for_each(|connection| self.queue_from_outside(&mut state, connection));
        state
    }

    fn close_listener(&self) {
        if let Some(mut listener) = lock(&self.listener).take() {
            // Closing also deregisters; the system may refuse what is no longer registered.
            let _ = listener.deregister(&self.registry);
        }
    }

    /// Waits until the next check.
    fn rest<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<A::Machine>>,
        watch: &Watch,
        wake: Option<Instant>,
    ) -> MutexGuard<'a, State<A::Machine>> {
        if watch.quiet < QUIET_TICKS || self.is_held_back() {
            return self.supervisor.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.supervisor_rests = true;
        self.rests.store(true, Ordering::SeqCst);
        if self.is_held_back() {
            state.supervisor_rests = false;
            self.rests.store(false, Ordering::SeqCst);
            return state;
        }
        state = match wake {
            Some(wake) => {
                let time = wake.saturating_duration_since(Instant::now()).max(TICK);
                self.supervisor.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.supervisor.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
        state.supervisor_rests = false;
        self.rests.store(false, Ordering::SeqCst);
        state
    }

    /// Closes everything. Threads that still run jobs are not waited for.
    fn wind_up<'a>(&'a self, mut state: MutexGuard<'a, State<A::Machine>>) {
        let connections = std::mem::take(&mut state.connections);
        connections.values().for_each(|connection| connection.socket.shutdown(Shutdown::Both));
        let deadline = Instant::now() + JOIN_WITHIN;
        while state.threads > self.running() && Instant::now() < deadline {
            state = self.supervisor.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.clear();
        drop(state);
        for connection in connections.into_values() {
            connection.break_off();
            catch(|| drop(connection));
        }
        self.close_listener();
    }
}

fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
