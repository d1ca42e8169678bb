//! The lines that wait, which the calls and the thread that writes them share.

use crate::rotation::Rotation;
use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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

/// What becomes of a regular file that the thread writes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileRules {
    pub(crate) rotation: Option<Rotation>,
}

/// What the queue and its thread share.
#[derive(Debug)]
pub(crate) struct Lines {
    /// What the thread opens when it has nothing to write to.
    pub(crate) path: PathBuf,
    pub(crate) bounds: Bounds,
    /// When the thread moves a regular file aside; `None` if it leaves regular files to the calls.
    pub(crate) files: Option<FileRules>,
    /// Set by the thread when it finds a regular file at the path, which needs no queue.
    pub(crate) reopen: Arc<AtomicBool>,
    state: Mutex<State>,
    pub(crate) changed: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) lines: VecDeque<String>,
    /// Memory of the lines that wait and the one that is being written.
    pub(crate) bytes: usize,
    is_writing: bool,
    pub(crate) has_thread: bool,
    /// A newly opened output for the thread; `Some(None)` says that its old one is to be given up.
    pub(crate) output: Option<Option<File>>,
    /// When the thread has to end, since the log has been closed.
    pub(crate) deadline: Option<Instant>,
}

/// What the thread has to do.
pub(crate) enum WriterTask {
    /// Write this line.
    Line(String),
    /// Write to this from now on, or look for something to write to.
    Output(Option<File>),
    /// End: the log has been closed, and all is written.
    End,
}

/// The thread's side.
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

    /// Waits for something to do.
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

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(crate) fn held(&self) -> usize {
        self.lines.len() + usize::from(self.is_writing)
    }
}
