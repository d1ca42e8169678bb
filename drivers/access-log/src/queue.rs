//! The queue between calls and what may be slow to take their records. It never makes a call wait, and it is bounded.

use crate::writer;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Stands for a time that the clock cannot express.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// How much a queue holds, the line that is being written included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

impl Default for Bounds {
    /// As many records as the reference's queue, and bytes for records that are longer than most.
    fn default() -> Self {
        Self { records: 10_000, bytes: 16 << 20 }
    }
}

/// The end that calls push to.
#[derive(Debug)]
pub(crate) struct Queue(Arc<Shared>);

/// What the queue and its thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// What the thread opens when it has nothing to write to.
    pub(crate) path: PathBuf,
    bounds: Bounds,
    /// Set by the thread when it finds a regular file at the path, which needs no queue.
    pub(crate) reopen: Arc<AtomicBool>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    lines: VecDeque<String>,
    /// Memory of the lines that wait and the one that is being written.
    bytes: usize,
    is_writing: bool,
    has_thread: bool,
    /// A newly opened output for the thread; `Some(None)` says that its old one is to be given up.
    output: Option<Option<File>>,
    /// When the thread has to end, since the log has been closed.
    deadline: Option<Instant>,
}

impl Queue {
    pub(crate) fn new(path: PathBuf, bounds: Bounds, reopen: Arc<AtomicBool>) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { path, bounds, reopen, state, changed }))
    }

    /// Queues a line. Fails when the queue is full or closed, or has no thread and cannot start one.
    pub(crate) fn push(&self, line: String) -> io::Result<()> {
        let shared = &self.0;
        let mut state = shared.lock();
        if state.deadline.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if state.held() >= shared.bounds.records || state.bytes + line.capacity() > shared.bounds.bytes {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if !state.has_thread {
            let own = shared.clone();
            std::thread::Builder::new().name("access-log".into()).spawn(move || writer::run(&own))?;
            state.has_thread = true;
        }
        state.bytes += line.capacity();
        state.lines.push_back(line);
        shared.changed.notify_all();
        Ok(())
    }

    /// Has the thread write to this from now on, or look for something to write to.
    pub(crate) fn replace_output(&self, output: Option<File>) {
        self.0.lock().output = Some(output);
        self.0.changed.notify_all();
    }

    /// Waits until nothing is queued, for at most this long. False if something still is.
    pub(crate) fn flush(&self, patience: Duration) -> bool {
        let state = self.0.lock();
        let waited = self.0.changed.wait_timeout_while(state, patience, |state| state.held() > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.held() == 0
    }

    /// Writes what is queued, for at most this long, and ends the thread. Only the first call waits.
    pub(crate) fn close(&self, patience: Duration) {
        let mut state = self.0.lock();
        if state.deadline.is_some() {
            return;
        }
        let now = Instant::now();
        state.deadline = Some(now.checked_add(patience).unwrap_or_else(|| now + A_YEAR));
        self.0.changed.notify_all();
        drop(self.0.changed.wait_timeout_while(state, patience, |state| state.has_thread));
    }
}

/// What the thread has to do.
pub(crate) enum Next {
    /// Write this line.
    Line(String),
    /// Write to this from now on, or look for something to write to.
    Output(Option<File>),
    /// End: the log has been closed, and all is written.
    End,
}

/// The thread's side.
impl Shared {
    /// Waits for something to do.
    pub(crate) fn next(&self) -> Next {
        let idle =
            |state: &mut State| state.lines.is_empty() && state.output.is_none() && state.deadline.is_none();
        let mut state = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        if let Some(output) = state.output.take() {
            return Next::Output(output);
        }
        let Some(line) = state.lines.pop_front() else { return Next::End };
        state.is_writing = true;
        Next::Line(line)
    }

    /// The line from [`next`](Self::next) has been written.
    pub(crate) fn written(&self, line: String) {
        let mut state = self.lock();
        state.bytes -= line.capacity();
        state.is_writing = false;
        self.changed.notify_all();
    }

    /// A new output, if there is one since the last look.
    pub(crate) fn take_output(&self) -> Option<Option<File>> {
        self.lock().output.take()
    }

    /// Whether the log has been closed, and whether its time is up as well.
    pub(crate) fn closing(&self) -> (bool, bool) {
        let deadline = self.lock().deadline;
        (deadline.is_some(), deadline.is_some_and(|deadline| Instant::now() >= deadline))
    }

    /// Waits this long, or less if there is a new output or the log is closed.
    pub(crate) fn pause(&self, patience: Duration) {
        let idle = |state: &mut State| state.output.is_none() && state.deadline.is_none();
        drop(self.changed.wait_timeout_while(self.lock(), patience, idle));
    }

    /// The thread has ended.
    pub(crate) fn ended(&self) {
        self.lock().has_thread = false;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn held(&self) -> usize {
        self.lines.len() + usize::from(self.is_writing)
    }
}
