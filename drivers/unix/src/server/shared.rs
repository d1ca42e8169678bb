//! What the threads of a server share: the poll, the queue of what is ready, and the connections.

use super::connection::Connection;
use super::listener::{Listener, Socket};
use super::{Ended, Options};
use mio::unix::SourceFd;
use mio::{Interest, Poll, Registry, Token, Waker};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_protocol::IdSource;
use vgi_rpc_protocol::service::{Done, Responder, Service, Work};

/// Connections accepted in a row.
const ACCEPTS: usize = 64;
/// After accepting failed for want of descriptors or memory, how long until it is tried again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(super) const LISTENER: Token = Token(0);
pub(super) const WAKER: Token = Token(1);
pub(super) const SIGNALS: Token = Token(2);
const FIRST_CONNECTION: usize = 3;

/// A lock whose holder panicked is taken all the same: no invariant of this crate is broken half way.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) service: Arc<Service>,
    pub(super) options: Options,
    pub(super) registry: Registry,
    pub(super) waker: Waker,
    pub(super) listener: Mutex<Option<Listener>>,
    /// Held by the thread that polls.
    pub(super) poll: Mutex<Poll>,
    pub(super) state: Mutex<State>,
    /// Where workers wait that have nothing to do.
    pub(super) workers: Condvar,
    /// Where the supervisor waits.
    pub(super) supervisor: Condvar,
    draining: AtomicBool,
    /// Threads in a handler.
    handlers: AtomicUsize,
    /// Threads that can run at once.
    pub(super) processors: usize,
    started: Instant,
    seeds: RandomState,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) queue: VecDeque<Job>,
    /// Connections with an invocation that waits for a worker.
    pub(super) work: VecDeque<Arc<Connection>>,
    pub(super) connections: HashMap<Token, Arc<Connection>>,
    next_token: usize,
    pub(super) polling: bool,
    pub(super) parked: usize,
    pub(super) threads: usize,
    /// Jobs begun so far.
    pub(super) begun: u64,
    pub(super) since_poll: u32,
    pub(super) accept: Accept,
    pub(super) connected_before: bool,
    /// Since when there is no connection.
    pub(super) empty_since: Option<Instant>,
    pub(super) drain_by: Option<Instant>,
    pub(super) ended: Option<Result<Ended, ErrorKind>>,
    /// The supervisor waits for more than a tick.
    pub(super) supervisor_rests: bool,
}

#[derive(Debug)]
pub(super) enum Job {
    Accept,
    Serve(Arc<Connection>),
}

/// Whether connections are accepted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Accept {
    #[default]
    Open,
    /// There are as many as may be. The rest wait in the backlog.
    Full,
    /// The system had no room.
    PausedUntil(Instant),
}

impl State {
    /// Jobs that wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len() + self.work.len()
    }

    /// Threads that are not out of work.
    pub(super) fn busy(&self) -> usize {
        self.threads - self.parked.min(self.threads)
    }

    /// Forgets all jobs and connections.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.work.clear();
        self.connections.clear();
    }
}

impl Shared {
    pub(super) fn new(service: Arc<Service>, options: Options, listener: Listener) -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        registry.register(&mut SourceFd(&listener.as_raw_fd()), LISTENER, Interest::READABLE)?;
        Ok(Self {
            service,
            options,
            waker: Waker::new(&registry, WAKER)?,
            registry,
            listener: Mutex::new(Some(listener)),
            poll: Mutex::new(poll),
            state: Mutex::new(State {
                next_token: FIRST_CONNECTION,
                empty_since: Some(Instant::now()),
                ..State::default()
            }),
            workers: Condvar::new(),
            supervisor: Condvar::new(),
            draining: AtomicBool::new(false),
            handlers: AtomicUsize::new(0),
            processors: thread::available_parallelism().map_or(1, |count| count.get()),
            started: Instant::now(),
            seeds: RandomState::new(),
        })
    }

    /// Milliseconds since the server was made.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Tells a machine the time, if it makes records.
    pub(super) fn tell_time(&self, responder: &mut Responder) {
        if self.options.access_log.is_some() {
            responder.tell_time(self.started.elapsed());
        }
    }

    /// Writes the records that a machine has made.
    pub(super) fn write_records(&self, responder: &mut Responder) {
        if let Some(log) = &self.options.access_log {
            std::iter::from_fn(|| responder.poll_record()).for_each(|record| log.write(&record));
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Has every connection closed as soon as it is between calls.
    pub(super) fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Threads in a handler.
    pub(super) fn in_handlers(&self) -> usize {
        self.handlers.load(Ordering::Acquire)
    }

    /// Invokes a handler.
    pub(super) fn run(&self, work: Work) -> Done {
        self.handlers.fetch_add(1, Ordering::AcqRel);
        let done = work.run();
        self.handlers.fetch_sub(1, Ordering::AcqRel);
        done
    }

    /// Ends the server, unless it has ended.
    pub(super) fn end(&self, state: &mut State, ended: Result<Ended, ErrorKind>) {
        state.ended.get_or_insert(ended);
        self.workers.notify_all();
        self.supervisor.notify_all();
        // If the system cannot wake the poll, its own error will.
        let _ = self.waker.wake();
    }

    /// Starts a worker thread. False when the system has none to give.
    pub(super) fn spawn(self: &Arc<Self>, state: &mut State) -> bool {
        let shared = self.clone();
        let thread = thread::Builder::new().name("vgi-rpc".into()).spawn(move || shared.work());
        state.threads += usize::from(thread.is_ok());
        thread.is_ok()
    }

    /// Sees to it that a thread looks after the poll while the caller is busy.
    pub(super) fn ensure_poller(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        if !state.polling {
            self.call_worker(&mut state);
        }
    }

    /// Wakes a worker or starts one. False when all are busy.
    pub(super) fn call_worker(self: &Arc<Self>, state: &mut State) -> bool {
        if state.parked > 0 {
            self.workers.notify_one();
            return true;
        }
        state.threads < self.options.threads && self.spawn(state)
    }

    /// Puts a connection that the caller owns at the end of the queue.
    pub(super) fn requeue(&self, connection: &Arc<Connection>) {
        lock(&self.state).queue.push_back(Job::Serve(connection.clone()));
    }

    /// Has a worker run the invocation of a connection that the caller owns.
    pub(super) fn queue_work(&self, connection: &Arc<Connection>) {
        lock(&self.state).work.push_back(connection.clone());
    }

    /// As [`requeue`](Self::requeue), from a thread that does no jobs: the poll is woken to see to it.
    pub(super) fn queue_from_outside(&self, state: &mut State, connection: Arc<Connection>) {
        state.queue.push_back(Job::Serve(connection));
        let _ = self.waker.wake();
    }

    /// As [`queue_from_outside`](Self::queue_from_outside), to accept.
    pub(super) fn accept_again(&self, state: &mut State) {
        state.accept = Accept::Open;
        state.queue.push_back(Job::Accept);
        let _ = self.waker.wake();
    }

    /// Forgets a connection that the caller owns. It closes when its last holder lets go.
    pub(super) fn remove(&self, connection: &Arc<Connection>) {
        // The caller's own hold on it may last; the peer is told now.
        connection.socket.shutdown(Shutdown::Both);
        let mut state = lock(&self.state);
        state.connections.remove(&connection.token);
        if let Accept::Full = state.accept {
            state.accept = Accept::Open;
            state.queue.push_back(Job::Accept);
        }
        if state.connections.is_empty() {
            state.empty_since = Some(Instant::now());
            state.supervisor_rests = false;
            self.supervisor.notify_all();
        }
    }

    /// Accepts what waits, as far as there is room.
    pub(super) fn accept(&self) {
        let listener = lock(&self.listener);
        let Some(listener) = &*listener else { return };
        for _ in 0..ACCEPTS {
            {
                let mut state = lock(&self.state);
                let most = self.options.max_connections;
                if most != 0 && state.connections.len() >= most {
                    state.accept = Accept::Full;
                    return;
                }
            }
            match listener.accept() {
                Ok(socket) => self.admit(socket),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(_) => {
                    let mut state = lock(&self.state);
                    state.accept = Accept::PausedUntil(Instant::now() + ACCEPT_PAUSE);
                    state.supervisor_rests = false;
                    self.supervisor.notify_all();
                    return;
                }
            }
        }
        lock(&self.state).queue.push_back(Job::Accept);
    }

    fn admit(&self, socket: Socket) {
        let peer = socket.peer(self.service.server_id().clone());
        let mut state = lock(&self.state);
        let token = Token(state.next_token);
        state.next_token += 1;
        let ids = IdSource::seeded(self.seeds.hash_one(token.0));
        let mut responder = Responder::new(self.service.clone(), peer, self.options.limits.clone(), ids);
        if self.options.access_log.is_some() {
            responder.record_calls();
        }
        // Registered under the lock that events are taken under, so that its first one finds it.
        let registered =
            self.registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE);
        if registered.is_ok() {
            let connection = Connection::new(token, socket, responder, self.now());
            state.connections.insert(token, Arc::new(connection));
            state.connected_before = true;
            state.empty_since = None;
        }
    }
}
