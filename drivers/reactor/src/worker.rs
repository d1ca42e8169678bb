//! The worker threads: each serves ready connections, and polls for more when no other thread does.
//!
//! All workers are equal. A job runs on the thread that read its request, without a hand-over between threads, as with a thread
//! per connection; and one thread serves many connections for one poll. If a job takes long, the supervisor notices within two
//! ticks and sends another worker to the poll. If every worker runs a job, the supervisor polls itself, and does everything
//! except run more jobs.

use crate::locks::lock;
use crate::machine::Acceptor;
use crate::panics::catch;
use crate::shared::{QueueEntry, Shared, State};
use crate::tokens::{LISTENER, SIGNALS, WAKER};
use mio::Events;
use mio::event::Event;
use std::io::ErrorKind;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Queue entries handled before the next poll even if more wait, so that a busy connection does not delay the others.
const JOBS_PER_POLL: u32 = 8;
/// The maximum number of events per poll.
const EVENTS: usize = 256;
/// The maximum that is read of a request before its size is known.
const SCRATCH_BYTES: usize = 64 << 10;
/// How long a worker waits for work before its thread ends. One always stays.
const KEEP_THREAD: Duration = Duration::from_secs(10);
/// If entries take this long and several wait, another thread is woken, which takes a fraction of that time.
const COSTLY: Duration = Duration::from_micros(30);
/// The maximum time of one entry in the average, so that a slow one is soon forgotten.
const COST_CAP: Duration = Duration::from_millis(1);

/// What a thread needs to serve connections.
#[derive(Debug)]
pub(crate) struct ThreadState {
    events: Events,
    /// A buffer for the beginning of a request, so that idle connections need none.
    pub(crate) scratch: Box<[u8]>,
    /// No other connection waits: the thread may wait a moment for this one.
    pub(crate) alone: bool,
    /// The recent average time of a queue entry.
    job_cost: Duration,
}

impl Default for ThreadState {
    fn default() -> Self {
        Self {
            events: Events::with_capacity(EVENTS),
            scratch: vec![0; SCRATCH_BYTES].into(),
            alone: false,
            job_cost: Duration::ZERO,
        }
    }
}

/// Counts a worker thread of the server, even if it ends in a panic.
struct Counted<'a, A: Acceptor> {
    shared: &'a Shared<A>,
    is_counted: bool,
}

impl<A: Acceptor> Counted<'_, A> {
    /// Removes the thread from the count.
    fn end(&mut self, state: &mut State<A::Machine>) {
        self.is_counted = false;
        state.threads -= 1;
        self.shared.supervisor.notify_all();
    }
}

impl<A: Acceptor> Drop for Counted<'_, A> {
    fn drop(&mut self) {
        if self.is_counted {
            let mut state = lock(&self.shared.state);
            self.end(&mut state);
        }
    }
}

impl<A: Acceptor> Shared<A> {
    /// Runs a worker thread.
    pub(crate) fn work(self: Arc<Self>) {
        let mut counted = Counted { shared: &self, is_counted: true };
        let mut thread_state = ThreadState::default();
        let mut state = lock(&self.state);
        while !state.runs && state.ended.is_none() {
            state = self.workers.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        while state.ended.is_none() {
            if let Some(connection) = state.work.pop_front() {
                state.begun += 1;
                drop(state);
                // A machine or its job's result may be dropped here, and may panic.
                catch(|| connection.serve(&self, &mut thread_state, true));
                state = lock(&self.state);
            } else if state.polling && state.queue.is_empty() {
                state.parked += 1;
                let (back, wait) =
                    self.workers.wait_timeout(state, KEEP_THREAD).unwrap_or_else(PoisonError::into_inner);
                state = back;
                state.parked -= 1;
                if wait.timed_out() && state.threads > 1 && state.waiting() == 0 && state.polling {
                    break;
                }
            } else {
                state = self.turn(state, &mut thread_state, None, true);
            }
        }
        // Under the same lock under which the thread was found to be superfluous.
        counted.end(&mut state);
    }

    /// Handles one queue entry, or polls.
    pub(crate) fn turn<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State<A::Machine>>,
        thread_state: &mut ThreadState,
        wait: Option<Duration>,
        may_run: bool,
    ) -> MutexGuard<'a, State<A::Machine>> {
        let poll_due = !state.polling && state.since_poll >= JOBS_PER_POLL;
        if !poll_due && let Some(job) = state.queue.pop_front() {
            state.begun += 1;
            state.since_poll += 1;
            thread_state.alone = state.queue.is_empty();
            if !thread_state.alone && thread_state.job_cost >= COSTLY && state.busy() < self.processors {
                self.call_worker(&mut state);
            }
            if !thread_state.alone && state.supervisor_rests {
                // This entry may take long, and the supervisor must then notice the others.
                self.wake_supervisor(&mut state);
            }
            drop(state);
            let began = Instant::now();
            catch(|| match job {
                QueueEntry::Accept => self.accept(),
                QueueEntry::Serve(connection) => connection.serve(self, thread_state, may_run),
            });
            thread_state.job_cost = (thread_state.job_cost * 7 + began.elapsed().min(COST_CAP)) / 8;
            return lock(&self.state);
        }
        let wait = if state.queue.is_empty() { wait } else { Some(Duration::ZERO) };
        state.polling = true;
        drop(state);
        let polled = lock(&self.poll).poll(&mut thread_state.events, wait);
        let mut state = lock(&self.state);
        state.polling = false;
        state.since_poll = 0;
        match polled {
            Ok(()) => thread_state.events.iter().for_each(|event| self.take_event(&mut state, event)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => self.end(&mut state, Err(error.kind())),
        }
        if state.supervisor_rests && !thread_state.events.is_empty() {
            self.wake_supervisor(&mut state);
        }
        state
    }

    fn take_event(&self, state: &mut State<A::Machine>, event: &Event) {
        match event.token() {
            LISTENER => state.queue.push_back(QueueEntry::Accept),
            WAKER => self.queue_woken(state),
            SIGNALS => self.end_by_signal(state),
            token => {
                if let Some(connection) = state.connections.get(&token)
                    && connection.claim_for(event)
                {
                    let connection = connection.clone();
                    state.queue.push_back(QueueEntry::Serve(connection));
                }
            }
        }
    }
}
