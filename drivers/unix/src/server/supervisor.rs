//! The thread that calls `run`: it sees to it that the poll is looked after, that nobody waits for ever, and ends
//! the server.

use super::Ended;
use super::connection::Phase;
use super::shared::{Accept, Shared, State, lock};
use super::worker::Tools;
use mio::unix::SourceFd;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// While something happens, how often it is looked at whether a handler holds up the poll.
const TICK: Duration = Duration::from_millis(1);
/// Ticks without an event after which there is no more ticking.
const QUIET_TICKS: u32 = 50;
/// How often the connections' timeouts are looked at, while any can pass.
const SWEEP: Duration = Duration::from_millis(250);
/// How long an idle connection keeps memory for its next call, in milliseconds.
const KEEP_MEMORY: u64 = 200;
/// How long a peer that broke the protocol may take to read the answer and close.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// The least time for the first connection to come.
const FIRST_CONNECTION: Duration = Duration::from_secs(60);
/// At the end, how long threads that run no handler may take to notice.
const JOIN_WITHIN: Duration = Duration::from_secs(1);

/// What the supervisor remembers between two looks.
struct Watch {
    begun: u64,
    waiting: usize,
    quiet: u32,
    last_sweep: Option<Instant>,
    /// Jobs that were begun when the last sweep was made.
    swept: u64,
    /// At the last sweep some connection waited for what may time out.
    unsettled: bool,
    /// The supervisor itself does what workers do but run handlers, because all of them are in one.
    stands_in: bool,
    draining: bool,
}

impl Shared {
    /// Runs the server until it ends.
    pub(super) fn supervise(self: &Arc<Self>) -> Result<Ended, ErrorKind> {
        let mut watch = Watch {
            // Before the first look counts as progress: the first worker has yet to start.
            begun: u64::MAX,
            waiting: 0,
            quiet: 0,
            last_sweep: None,
            swept: 0,
            unsettled: false,
            stands_in: false,
            draining: false,
        };
        let mut tools = Tools::default();
        let mut state = lock(&self.state);
        self.call_worker(&mut state);
        let ended = loop {
            if let Some(ended) = state.ended {
                break ended;
            }
            state = self.look_after_poll(state, &mut watch, &mut tools);
            let now = Instant::now();
            let mut wake = self.look_after_accept(&mut state, now);
            wake = earlier(wake, self.look_after_connections(&mut state, &mut watch, now));
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

    /// Sends a worker to the poll, or to the queue, when nobody got on with it since the last look.
    fn look_after_poll<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        watch: &mut Watch,
        tools: &mut Tools,
    ) -> MutexGuard<'a, State> {
        let begun = state.begun.wrapping_sub(watch.begun);
        let stuck = begun == 0 && !state.polling;
        // More threads than processors help only where some of them wait in their handlers.
        let room = begun == 0 || state.busy() < self.processors + self.in_handlers();
        let behind = room && watch.waiting > 0 && begun < watch.waiting as u64;
        watch.stands_in = (stuck || behind) && !self.call_worker(&mut state) && !state.polling;
        if watch.stands_in {
            state = self.turn(state, tools, Some(TICK), false);
        }
        let is_quiet = state.begun == watch.begun && state.polling && state.waiting() == 0;
        watch.quiet = if is_quiet { watch.quiet.saturating_add(1) } else { 0 };
        watch.begun = state.begun;
        watch.waiting = state.waiting();
        state
    }

    /// Accepts again after a pause. Says when to look again.
    fn look_after_accept(&self, state: &mut State, now: Instant) -> Option<Instant> {
        match state.accept {
            Accept::PausedUntil(time) if time <= now => {
                self.accept_again(state);
                None
            }
            Accept::PausedUntil(time) => Some(time),
            Accept::Open | Accept::Full => None,
        }
    }

    /// Closes connections that took too long, and takes memory back from idle ones. Says when to look again.
    fn look_after_connections(&self, state: &mut State, watch: &mut Watch, now: Instant) -> Option<Instant> {
        let due = watch.last_sweep.map_or(now, |last| last + SWEEP);
        if due > now {
            return (watch.unsettled || watch.swept != state.begun).then_some(due);
        }
        let millis = self.now();
        let timeouts = &self.options.timeouts;
        let mut unsettled = false;
        let mut expired = Vec::new();
        for connection in state.connections.values() {
            let Some((phase, progress, began)) = connection.waiting() else {
                unsettled = true;
                continue;
            };
            let over = |limit: Option<Duration>, since: u64| {
                limit.is_some_and(|limit| u128::from(millis.saturating_sub(since)) >= limit.as_millis())
            };
            let is_over = match phase {
                Phase::Idle => {
                    unsettled = true;
                    if millis.saturating_sub(progress) >= KEEP_MEMORY {
                        connection.release_memory();
                    }
                    false
                }
                Phase::Released => false,
                Phase::Stream => over(timeouts.stream, progress),
                Phase::Request => {
                    over(timeouts.message, progress) || (began > 0 && over(timeouts.request, began))
                }
                Phase::Output => over(timeouts.write, progress),
                Phase::Close => over(Some(CLOSE_WITHIN), progress),
            };
            unsettled |= !matches!(phase, Phase::Idle | Phase::Released | Phase::Stream)
                || (phase == Phase::Stream && timeouts.stream.is_some());
            if is_over && connection.expire() {
                expired.push(connection.clone());
            }
        }
        expired.into_iter().for_each(|connection| self.queue_from_outside(state, connection));
        (watch.last_sweep, watch.swept, watch.unsettled) = (Some(now), state.begun, unsettled);
        unsettled.then(|| now + SWEEP)
    }

    /// Ends the server when it has been idle or has drained. Says when to look again.
    fn look_after_end<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        watch: &mut Watch,
        now: Instant,
    ) -> (MutexGuard<'a, State>, Option<Instant>) {
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
        let end = state.empty_since.unwrap_or(now) + grace;
        if end <= now {
            // Somebody may have connected this moment.
            drop(state);
            self.accept();
            state = lock(&self.state);
            if state.connections.is_empty() {
                self.end(&mut state, Ok(Ended::Idle));
            }
        }
        (state, Some(end))
    }

    /// Listens no more, and has every connection looked at: those between calls close.
    fn begin_to_drain<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        drop(state);
        self.close_listener();
        self.set_draining();
        let mut state = lock(&self.state);
        let idle: Vec<_> = state.connections.values().filter(|each| each.claim(false)).cloned().collect();
        idle.into_iter().for_each(|connection| self.queue_from_outside(&mut state, connection));
        state
    }

    fn close_listener(&self) {
        if let Some(listener) = lock(&self.listener).take() {
            // Closing does the same; the system may refuse what is no longer registered.
            let _ = self.registry.deregister(&mut SourceFd(&listener.as_raw_fd()));
        }
    }

    /// Waits for the next look.
    fn rest<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        watch: &Watch,
        wake: Option<Instant>,
    ) -> MutexGuard<'a, State> {
        if watch.quiet < QUIET_TICKS {
            return self.supervisor.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.supervisor_rests = true;
        state = match wake {
            Some(wake) => {
                let time = wake.saturating_duration_since(Instant::now()).max(TICK);
                self.supervisor.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.supervisor.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
        state.supervisor_rests = false;
        state
    }

    /// Closes everything. Handlers that still run are left to their threads.
    fn wind_up<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        let connections = std::mem::take(&mut state.connections);
        connections.values().for_each(|connection| connection.socket.shutdown(Shutdown::Both));
        let deadline = Instant::now() + JOIN_WITHIN;
        while state.threads > self.in_handlers() && Instant::now() < deadline {
            state = self.supervisor.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.clear();
        drop(state);
        self.close_listener();
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
