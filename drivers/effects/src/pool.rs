//! The threads: those that perform effects, and the one that watches the time limits.

use crate::mailbox::{Mailbox, wake};
use crate::perform::Perform;
use crate::statistics::Statistics;
use crate::tasks::{TaskId, Tasks, Ticket, Waiter};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_protocol::effect::{Completion, Effect, Failure, FailureReason, Request};
use vgi_rpc_protocol::panics;

/// The name of the threads. Linux shows 15 bytes of it.
const THREAD_NAME: &str = "vgi-rpc-effects";
/// Replaces a time that the clock cannot express.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The limits of a pool.
pub(crate) struct Bounds {
    pub(crate) threads: usize,
    pub(crate) queue: usize,
    pub(crate) keep_alive: Duration,
}

impl Default for Bounds {
    /// Effects mostly wait for the network, so the number of threads does not depend on the number of processors.
    fn default() -> Self {
        Self { threads: 8, queue: 1024, keep_alive: Duration::from_secs(10) }
    }
}

/// The state that the threads and the inboxes share.
pub(crate) struct Pool {
    perform: Box<dyn Perform>,
    state: Mutex<State>,
    /// Wakes threads that wait for a task.
    work: Condvar,
    /// Wakes the thread that watches the time limits.
    time: Condvar,
}

#[derive(Default)]
struct State {
    tasks: Tasks,
    bounds: Bounds,
    /// The number of threads that perform or wait for a task, or are about to.
    threads: usize,
    /// How many of them will look for a task next.
    free: usize,
    /// When the watching thread looks next. `None` if there is no such thread.
    next_look: Option<Instant>,
    is_closed: bool,
}

/// For inboxes.
impl Pool {
    pub(crate) fn new(perform: Box<dyn Perform>) -> Self {
        Self { perform, state: Mutex::default(), work: Condvar::new(), time: Condvar::new() }
    }

    pub(crate) fn configure(&self, change: impl FnOnce(&mut Bounds)) {
        change(&mut self.lock().bounds);
    }

    /// Starts an effect. Fails if it cannot be performed.
    pub(crate) fn start(self: &Arc<Self>, mailbox: &Arc<Mailbox>, effect: Effect) -> Result<Ticket, Failure> {
        // On this platform, reading the clock, which precedes the first thread, would panic.
        if cfg!(all(target_family = "wasm", target_os = "unknown")) {
            return Err(Failure::new(FailureReason::Unavailable, "this platform has no threads"));
        }
        let Effect { id, time_limit, .. } = effect;
        let deadline = Instant::now().checked_add(time_limit);
        let waiter = Waiter { mailbox: mailbox.clone(), id, time_limit, deadline };
        // The lock is acquired last, so that it is released before anything else is dropped.
        let mut state = self.lock();
        if let Some(deadline) = deadline {
            self.watch(&mut state, deadline)?;
        }
        if let Some(task) = state.tasks.joinable(effect.shared_key.as_ref()) {
            return Ok(state.tasks.join(task, waiter));
        }
        self.make_room(&mut state)?;
        let ticket = state.tasks.insert(effect, waiter);
        self.work.notify_one();
        Ok(ticket)
    }

    /// Removes effects whose machines no longer wait for them.
    pub(crate) fn withdraw(&self, tickets: impl IntoIterator<Item = Ticket>) {
        let removed: Vec<_>;
        let mut state = self.lock();
        removed = tickets.into_iter().filter_map(|ticket| state.tasks.withdraw(ticket)).collect();
        self.rest(&state);
        drop(state);
        drop(removed);
    }

    /// Returns the statistics. `None` after the pool is closed.
    pub(crate) fn statistics(&self) -> Option<Statistics> {
        let state = self.lock();
        let running = state.threads.saturating_sub(state.free);
        (!state.is_closed).then(|| Statistics { waiting: state.tasks.queued(), running })
    }

    /// Makes the threads end.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.work.notify_all();
        self.time.notify_all();
    }

    /// Makes sure that a thread checks the time limits at this deadline.
    fn watch(self: &Arc<Self>, state: &mut State, deadline: Instant) -> Result<(), Failure> {
        match state.next_look {
            Some(next_look) if next_look <= deadline => {}
            Some(_) => self.time.notify_one(),
            None => {
                self.spawn(Self::watch_time_limits)?;
                state.next_look = Some(deadline);
            }
        }
        Ok(())
    }

    /// Makes sure that the queue has room for a task, and that a thread will take it.
    fn make_room(self: &Arc<Self>, state: &mut State) -> Result<(), Failure> {
        let queued = state.tasks.queued();
        if queued >= state.free && state.threads < state.bounds.threads {
            match self.spawn(Self::work) {
                Ok(()) => {
                    state.threads += 1;
                    state.free += 1;
                }
                Err(failure) if state.threads == 0 => return Err(failure),
                // An existing thread will take the task.
                Err(_) => {}
            }
        }
        if queued < state.bounds.queue.saturating_add(state.free) {
            return Ok(());
        }
        Err(Failure::new(FailureReason::Unavailable, "too many effects are waiting to be performed"))
    }

    fn spawn(self: &Arc<Self>, run: fn(&Self)) -> Result<(), Failure> {
        let own = self.clone();
        let spawned = thread::Builder::new().name(THREAD_NAME.into()).spawn(move || run(&own));
        spawned.map(drop).map_err(|error| {
            let text = format!("the server could not start a thread: {error}");
            Failure::new(FailureReason::Unavailable, text)
        })
    }
}

/// The threads that perform.
impl Pool {
    fn work(&self) {
        while let Some((task, effect)) = self.next() {
            // A panic while the application's values are dropped must not end the thread.
            panics::catch(|| self.perform_task(task, &effect));
        }
    }

    /// Waits for a task. Returns `None` if the thread has to end.
    fn next(&self) -> Option<(TaskId, Effect)> {
        let state = self.lock();
        let keep_alive = state.bounds.keep_alive;
        let is_idle = |state: &mut State| state.tasks.queued() == 0 && !state.is_closed;
        let waited = self.work.wait_timeout_while(state, keep_alive, is_idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.free -= 1;
        let task = state.tasks.take();
        if task.is_none() {
            state.threads -= 1;
        }
        task
    }

    fn perform_task(&self, task: TaskId, effect: &Effect) {
        let perform = |request: &Request| {
            if let Some(completion) = request.own_answer() {
                return completion;
            }
            self.perform.perform(request, &mut |piece| {
                let mailboxes = self.lock().tasks.give(task, &piece);
                wake(mailboxes);
            })
        };
        let completion = panics::catch(|| effect.within(perform))
            .unwrap_or_else(|| Failure::new(FailureReason::Failed, "performing the effect panicked").into());
        self.complete(task, &completion);
    }

    fn complete(&self, task: TaskId, completion: &Completion) {
        let mut state = self.lock();
        // The thread is counted as free before the machine is woken. Otherwise the machine's next effect would start another
        // thread.
        state.free += 1;
        let mailboxes = state.tasks.complete(task, completion);
        self.rest(&state);
        drop(state);
        wake(mailboxes);
    }
}

/// The thread that watches the time limits.
impl Pool {
    fn watch_time_limits(&self) {
        let mut state = self.lock();
        // When the thread ends if it still has no time limits to watch.
        let mut end = None;
        while !state.is_closed {
            let now = Instant::now();
            let expired = state.tasks.expire(now);
            if !expired.mailboxes.is_empty() {
                drop(state);
                wake(expired.mailboxes);
                panics::discard_all(expired.tasks);
                state = self.lock();
                continue;
            }
            let next_look = match (state.tasks.first_deadline(), end) {
                (Some(deadline), _) => {
                    end = None;
                    deadline
                }
                (None, Some(end)) if end <= now => break,
                (None, Some(end)) => end,
                (None, None) => *end.insert(state.end_of_rest(now)),
            };
            state.next_look = Some(next_look);
            let patience = next_look.saturating_duration_since(now);
            state = self.time.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.next_look = None;
    }

    /// Wakes the watching thread if it has no time limits to watch any more, so that it ends in time. Usually it looks soon
    /// enough anyway, so an effect that ends well before its time limit does not wake it.
    fn rest(&self, state: &State) {
        if state.tasks.first_deadline().is_none()
            && state.next_look.is_some_and(|next_look| next_look > state.end_of_rest(Instant::now()))
        {
            self.time.notify_one();
        }
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No application code runs while the lock is held, so the state is consistent after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns when a thread ends that is idle from now on.
    fn end_of_rest(&self, now: Instant) -> Instant {
        now.checked_add(self.bounds.keep_alive).unwrap_or_else(|| now + A_YEAR)
    }
}
