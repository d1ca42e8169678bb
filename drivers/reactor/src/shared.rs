//! What the threads of a server share: the poll, the queue of ready connections, and the connections.

use crate::events;
use crate::giving_way::{Room, Yielding};
use crate::holder::Holder;
use crate::listener::Listener;
use crate::locks::lock;
use crate::machine::{Acceptor, Job, Machine};
use crate::options::{Ended, Options};
use crate::panics::catch;
use crate::socket::Socket;
use crate::socket_connection::{Flags, SocketConnection};
use crate::statistics::Tallies;
use crate::tokens::FIRST_CONNECTION;
use crate::wakeups::{MemoryAlarm, Wakeups};
use mio::{Interest, Poll, Registry, Token};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Connections accepted in a row.
const ACCEPTS: usize = 64;
/// The pause after accepting failed for lack of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The same pause, if a connection was asked to give way.
const YIELD_PAUSE: Duration = Duration::from_millis(10);
/// Longer than any drain.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The pause after the system refused a thread.
const SPAWN_PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Shared<A: Acceptor> {
    pub(crate) acceptor: A,
    pub(crate) options: Options,
    pub(crate) registry: Registry,
    pub(crate) wakeups: Arc<Wakeups>,
    pub(crate) memory_alarm: Arc<MemoryAlarm>,
    pub(crate) listener: Mutex<Option<Listener>>,
    /// Held by the thread that polls.
    pub(crate) poll: Mutex<Poll>,
    pub(crate) state: Mutex<State<A::Machine>>,
    /// Idle workers wait here.
    pub(crate) workers: Condvar,
    /// The supervisor waits here.
    pub(crate) supervisor: Condvar,
    draining: AtomicBool,
    /// A connection holds output back.
    held_back: AtomicBool,
    /// Like [`State::supervisor_rests`], but can be read without the lock.
    pub(crate) rests: AtomicBool,
    /// Threads that run jobs.
    running: AtomicUsize,
    /// Threads that can run in parallel.
    pub(crate) processors: usize,
    started: Instant,
    seeds: RandomState,
    pub(crate) tallies: Tallies,
}

pub(crate) struct State<M: Machine> {
    pub(crate) queue: VecDeque<QueueEntry<M>>,
    /// Connections whose job waits for a worker.
    pub(crate) work: VecDeque<Arc<SocketConnection<M>>>,
    pub(crate) connections: HashMap<Token, Arc<SocketConnection<M>>>,
    next_token: usize,
    pub(crate) polling: bool,
    pub(crate) parked: usize,
    pub(crate) threads: usize,
    /// Queue entries and jobs begun so far.
    pub(crate) begun: u64,
    pub(crate) since_poll: u32,
    pub(crate) accept: Accept,
    pub(crate) yielding: Yielding,
    /// The system refused a thread: another is requested after this time.
    spawn_after: Option<Instant>,
    /// The server runs: workers may serve.
    pub(crate) runs: bool,
    pub(crate) connected_before: bool,
    /// Since when there has been no connection.
    pub(crate) empty_since: Option<Instant>,
    pub(crate) drain_by: Option<Instant>,
    /// A signal was received.
    was_signalled: bool,
    pub(crate) ended: Option<Result<Ended, ErrorKind>>,
    /// The supervisor waits for more than a tick.
    pub(crate) supervisor_rests: bool,
}

pub(crate) enum QueueEntry<M: Machine> {
    Accept,
    Serve(Arc<SocketConnection<M>>),
}

/// Whether connections are accepted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Accept {
    #[default]
    Open,
    /// The maximum number is reached. Further connections wait in the backlog. If one waits and no connection can give way to
    /// it, that is tried again at the given time.
    Full { retry: Option<Instant> },
    /// The system had no resources.
    PausedUntil(Instant),
}

impl<M: Machine> State<M> {
    fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            work: VecDeque::new(),
            connections: HashMap::new(),
            next_token: FIRST_CONNECTION,
            polling: false,
            parked: 0,
            threads: 0,
            begun: 0,
            since_poll: 0,
            accept: Accept::Open,
            yielding: Yielding::default(),
            spawn_after: None,
            runs: false,
            connected_before: false,
            empty_since: Some(Instant::now()),
            drain_by: None,
            was_signalled: false,
            ended: None,
            supervisor_rests: false,
        }
    }

    /// Returns the number of queue entries and jobs that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len() + self.work.len()
    }

    /// Returns the number of threads that are not idle.
    pub(crate) fn busy(&self) -> usize {
        self.threads - self.parked.min(self.threads)
    }

    /// Tries accepting again if the server was full.
    pub(crate) fn accept_if_full(&mut self) {
        if let Accept::Full { .. } = self.accept {
            self.accept = Accept::Open;
            self.queue.push_back(QueueEntry::Accept);
        }
    }

    /// Drops all jobs and connections.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.work.clear();
        self.connections.clear();
    }
}

impl<A: Acceptor> Shared<A> {
    pub(crate) fn new(acceptor: A, options: Options, mut listener: Listener) -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        listener.register(&registry)?;
        let wakeups = Arc::new(Wakeups::new(&registry)?);
        Ok(Self {
            acceptor,
            options,
            memory_alarm: Arc::new(MemoryAlarm::new(wakeups.clone())),
            wakeups,
            registry,
            listener: Mutex::new(Some(listener)),
            poll: Mutex::new(poll),
            state: Mutex::new(State::new()),
            workers: Condvar::new(),
            supervisor: Condvar::new(),
            draining: AtomicBool::new(false),
            held_back: AtomicBool::new(false),
            rests: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            processors: thread::available_parallelism().map_or(1, |count| count.get()),
            started: Instant::now(),
            seeds: RandomState::new(),
            tallies: Tallies::default(),
        })
    }

    /// Returns the milliseconds since the server was created.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Requests that the supervisor check whether output is held back for too long.
    pub(crate) fn note_held_back(&self) {
        // Full barriers on both sides: either the supervisor sees the connection, or this thread sees that the supervisor
        // rests.
        if !self.held_back.swap(true, Ordering::SeqCst) && self.rests.load(Ordering::SeqCst) {
            self.wake_supervisor(&mut lock(&self.state));
        }
    }

    /// Whether output was held back since the last check.
    pub(crate) fn is_held_back(&self) -> bool {
        self.held_back.load(Ordering::SeqCst)
    }

    /// Whether output was held back since the last check. Clears this, so that later output causes another check.
    pub(crate) fn take_held_back(&self) -> bool {
        self.held_back.load(Ordering::Relaxed) && self.held_back.swap(false, Ordering::SeqCst)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Causes every connection to be closed as soon as it is between calls.
    pub(crate) fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Returns the number of threads that run jobs.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    /// Runs a job.
    pub(crate) fn run<W: Job>(&self, work: W) -> W::Finished {
        /// Decrements the count even if the job panics.
        struct Counted<'a>(&'a AtomicUsize);
        impl Drop for Counted<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::AcqRel);
            }
        }
        self.running.fetch_add(1, Ordering::AcqRel);
        let _counted = Counted(&self.running);
        work.run()
    }

    /// Ends the server, unless it has ended.
    pub(crate) fn end(&self, state: &mut State<A::Machine>, ended: Result<Ended, ErrorKind>) {
        state.ended.get_or_insert(ended);
        self.workers.notify_all();
        self.supervisor.notify_all();
        self.wakeups.wake_poll();
    }

    /// Ends the server gracefully, at the latest after this time.
    pub(crate) fn drain_within(&self, state: &mut State<A::Machine>, within: Duration) {
        let now = Instant::now();
        // A deadline that an `Instant` cannot express is treated as a year.
        let deadline = now.checked_add(within).unwrap_or_else(|| now + A_YEAR);
        state.drain_by = Some(state.drain_by.map_or(deadline, |earlier| earlier.min(deadline)));
        self.wake_supervisor(state);
    }

    /// Drains the server at the first signal, and ends it at the second.
    pub(crate) fn end_by_signal(&self, state: &mut State<A::Machine>) {
        let within = self.options.drain_timeout;
        if std::mem::replace(&mut state.was_signalled, true) || within.is_zero() {
            self.end(state, Ok(Ended::Signal));
        } else {
            self.drain_within(state, within);
        }
    }

    /// Starts a worker thread, which serves once the server runs.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub(crate) fn spawn(self: &Arc<Self>, state: &mut State<A::Machine>) -> io::Result<()> {
        let shared = self.clone();
        thread::Builder::new().name("vgi-rpc".into()).spawn(move || shared.work())?;
        state.threads += 1;
        Ok(())
    }

    /// Starts another worker thread if allowed. If the system refuses one, the server continues with the existing ones, and
    /// tries again after a while.
    fn spawn_another(self: &Arc<Self>, state: &mut State<A::Machine>) -> bool {
        if state.threads >= self.options.threads.max(1)
            || state.spawn_after.is_some_and(|time| Instant::now() < time)
        {
            return false;
        }
        let spawned = self.spawn(state).is_ok();
        state.spawn_after = if spawned { None } else { Some(Instant::now() + SPAWN_PAUSE) };
        spawned
    }

    /// Ensures that a thread polls while the caller is busy.
    pub(crate) fn ensure_poller(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        if !state.polling {
            self.call_worker(&mut state);
        }
    }

    /// Wakes a worker or starts one. Returns false if all are busy.
    pub(crate) fn call_worker(self: &Arc<Self>, state: &mut State<A::Machine>) -> bool {
        if state.parked > 0 {
            self.workers.notify_one();
            return true;
        }
        self.spawn_another(state)
    }

    /// Puts a connection that the caller owns at the end of the queue.
    pub(crate) fn requeue(&self, connection: &Arc<SocketConnection<A::Machine>>) {
        lock(&self.state).queue.push_back(QueueEntry::Serve(connection.clone()));
    }

    /// Queues the job of a connection that the caller owns, for a worker to run.
    pub(crate) fn queue_work(&self, connection: &Arc<SocketConnection<A::Machine>>) {
        lock(&self.state).work.push_back(connection.clone());
    }

    /// Like [`requeue`](Self::requeue), from a thread that does not serve the queue: wakes the poll, so that a worker does.
    pub(crate) fn queue_from_outside(
        &self,
        state: &mut State<A::Machine>,
        connection: Arc<SocketConnection<A::Machine>>,
    ) {
        state.queue.push_back(QueueEntry::Serve(connection));
        self.wakeups.wake_poll();
    }

    /// Like [`queue_from_outside`](Self::queue_from_outside), to accept connections.
    pub(crate) fn accept_again(&self, state: &mut State<A::Machine>) {
        state.accept = Accept::Open;
        state.queue.push_back(QueueEntry::Accept);
        self.wakeups.wake_poll();
    }

    /// Queues every connection that its waker has claimed.
    pub(crate) fn queue_woken(&self, state: &mut State<A::Machine>) {
        self.wakeups.drain(|token| {
            // It may have been closed in the meantime.
            let connection = state.connections.get(&token).cloned();
            state.queue.extend(connection.map(QueueEntry::Serve));
        });
    }

    /// Removes a connection that has ended. It closes when its last reference is dropped.
    pub(crate) fn remove(&self, connection: &Arc<SocketConnection<A::Machine>>) {
        // The caller may keep its reference for a while; the peer is notified now.
        connection.socket.shutdown(Shutdown::Both);
        events::closed(connection.token.0);
        let mut state = lock(&self.state);
        state.connections.remove(&connection.token);
        state.accept_if_full();
        if state.connections.is_empty() {
            state.empty_since = Some(Instant::now());
            self.wake_supervisor(&mut state);
        }
    }

    /// Accepts waiting connections, as far as there is room.
    pub(crate) fn accept(&self) {
        let mut listener = lock(&self.listener);
        let Some(listener) = &mut *listener else { return };
        for _ in 0..ACCEPTS {
            let token = {
                let mut state = lock(&self.state);
                let most = self.options.max_connections;
                if most != 0 && state.connections.len() >= most {
                    let is_refused = self.wait_for_room(&mut state, listener);
                    drop(state);
                    if is_refused {
                        events::full(&self.tallies.full, most);
                    }
                    return;
                }
                state.next_token += 1;
                Token(state.next_token)
            };
            match listener.accept() {
                Ok(socket) => self.admit(token, socket),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => {
                    if self.wait_for_descriptors(&mut lock(&self.state), listener) {
                        events::accept_failed(&self.tallies.accepts_failed, &error);
                    }
                    return;
                }
            }
        }
        lock(&self.state).queue.push_back(QueueEntry::Accept);
    }

    /// Asks a connection to give way if a peer waits for room. Returns true if one waits and none gives way now.
    fn wait_for_room(&self, state: &mut State<A::Machine>, listener: &mut Listener) -> bool {
        let is_waiting = listener.has_waiting(&self.registry);
        let room = if is_waiting { self.make_room(state) } else { Room::Never };
        let retry = match room {
            Room::NotBefore(time) => Some(time),
            Room::Asked | Room::Never => None,
        };
        state.accept = Accept::Full { retry };
        if retry.is_some() {
            self.wake_supervisor(state);
        }
        is_waiting && !matches!(room, Room::Asked)
    }

    /// Like [`wait_for_room`](Self::wait_for_room), if the system has no resources. The descriptor of a connection that gives
    /// way is freed a little later. Returns true if a peer waits.
    fn wait_for_descriptors(&self, state: &mut State<A::Machine>, listener: &mut Listener) -> bool {
        // The system may refuse even if there is nothing to accept. The poll reports the next peer.
        if !listener.has_waiting(&self.registry) {
            return false;
        }
        let pause = match self.make_room(state) {
            Room::Asked => YIELD_PAUSE,
            Room::NotBefore(_) | Room::Never => ACCEPT_PAUSE,
        };
        state.accept = Accept::PausedUntil(Instant::now() + pause);
        self.wake_supervisor(state);
        true
    }

    /// Wakes the supervisor to check everything now.
    pub(crate) fn wake_supervisor(&self, state: &mut State<A::Machine>) {
        state.supervisor_rests = false;
        self.supervisor.notify_all();
    }

    fn admit(&self, token: Token, socket: Socket) {
        events::accepted(&self.tallies.accepted, token.0);
        let origin = socket.origin();
        let flags = Flags::new(token, &self.wakeups);
        let (seed, waker) = (self.seeds.hash_one(token.0), flags.clone().into());
        // A panic ends this connection, but not those that wait to be accepted after it.
        let accept = || {
            let machine = self.acceptor.accept(&origin, seed, waker);
            let phase = machine.phase();
            (machine, phase)
        };
        let Some(machine) = catch(accept) else { return };
        let mut state = lock(&self.state);
        // Registered under the lock under which events are handled, so that the first event finds the connection.
        if socket.register(&self.registry, token, Interest::READABLE).is_ok() {
            let connection = SocketConnection::new(flags, socket, Holder::of(&origin), machine, self.now());
            let connection = Arc::new(connection);
            state.connections.insert(token, connection.clone());
            if !connection.let_go() {
                state.queue.push_back(QueueEntry::Serve(connection));
            }
            state.connected_before = true;
            state.empty_since = None;
        }
    }
}
