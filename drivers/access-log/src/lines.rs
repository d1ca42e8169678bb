//! The queued lines, shared by the calls and the thread that writes them.

use crate::rotation::Rotation;
use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The limits of a queue, including the line being written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

impl Default for Bounds {
    /// The number of records of the reference's queue, and enough bytes for records that are longer than most.
    fn default() -> Self {
        Self { records: 10_000, bytes: 16 << 20 }
    }
}

/// Options of a regular file that the thread writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileRules {
    pub(crate) rotation: Option<Rotation>,
}

/// What the queue and its thread share.
#[derive(Debug)]
pub(crate) struct Lines {
    /// The path that the thread opens if it has no output.
    pub(crate) path: PathBuf,
    pub(crate) bounds: Bounds,
    /// The options of regular files; `None` if the calls write them.
    pub(crate) files: Option<FileRules>,
    /// Set by the thread if it finds a regular file at the path, which needs no queue.
    pub(crate) reopen: Arc<AtomicBool>,
    state: Mutex<State>,
    pub(crate) changed: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) lines: VecDeque<String>,
    /// The memory of the queued lines and the one being written.
    pub(crate) bytes: usize,
    is_writing: bool,
    pub(crate) has_thread: bool,
    /// A newly opened output for the thread; `Some(None)` means that it must close its old one.
    pub(crate) output: Option<Option<File>>,
    /// When the thread must end, if the log has been closed.
    pub(crate) deadline: Option<Instant>,
}

/// What the thread must do.
pub(crate) enum WriterTask {
    /// Write this line.
    Line(String),
    /// Write to this file from now on, or open an output.
    Output(Option<File>),
    /// End: the log has been closed, and all lines are written.
    End,
}

/// The thread's methods.
impl Lines {
    pub(crate) fn new(
        path: PathBuf,
        bounds: Bounds,
        files: Option<FileRules>,
        reopen: Arc<AtomicBool>,
    ) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self { path, bounds, files, reopen, state, changed }
    }

    /// Waits for the next task.
    pub(crate) fn next(&self) -> WriterTask {
        let idle =
            |state: &mut State| state.lines.is_empty() && state.output.is_none() && state.deadline.is_none();
        let mut state = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        if let Some(output) = state.output.take() {
            return WriterTask::Output(output);
        }
        let Some(line) = state.lines.pop_front() else { return WriterTask::End };
        state.is_writing = true;
        WriterTask::Line(line)
    }

    /// Records that the line from [`next`](Self::next) has been written.
    pub(crate) fn written(&self, line: String) {
        let mut state = self.lock();
        state.bytes -= line.capacity();
        state.is_writing = false;
        self.changed.notify_all();
    }

    /// Returns the new output, if there is one since the last call.
    pub(crate) fn take_output(&self) -> Option<Option<File>> {
        self.lock().output.take()
    }

    /// Whether the log has been closed, and whether its time limit has passed.
    pub(crate) fn closing(&self) -> (bool, bool) {
        let deadline = self.lock().deadline;
        (deadline.is_some(), deadline.is_some_and(|deadline| Instant::now() >= deadline))
    }

    /// Waits for this time, or less if there is a new output or the log is closed.
    pub(crate) fn pause(&self, patience: Duration) {
        let idle = |state: &mut State| state.output.is_none() && state.deadline.is_none();
        drop(self.changed.wait_timeout_while(self.lock(), patience, idle));
    }

    /// Records that the thread has ended.
    pub(crate) fn ended(&self) {
        self.lock().has_thread = false;
        self.changed.notify_all();
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave the state inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(crate) fn held(&self) -> usize {
        self.lines.len() + usize::from(self.is_writing)
    }
}
