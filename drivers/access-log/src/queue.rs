//! The queue between calls and outputs that may be slow. It never makes a call wait, and it is bounded.

use crate::lines::{Bounds, FileRules, Lines};
use crate::writer;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Used for a time that an `Instant` cannot express.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The calls' end of the queue.
#[derive(Debug)]
pub(crate) struct Queue(Arc<Lines>);

impl Queue {
    pub(crate) fn new(
        path: PathBuf,
        bounds: Bounds,
        files: Option<FileRules>,
        reopen: Arc<AtomicBool>,
    ) -> Self {
        Self(Arc::new(Lines::new(path, bounds, files, reopen)))
    }

    /// Queues a line. Fails if the queue is full or closed, or has no thread and cannot start one.
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

    /// Whether the thread also writes to regular files.
    pub(crate) fn writes_files(&self) -> bool {
        self.0.files.is_some()
    }

    /// Returns the number of queued lines, including the one being written.
    pub(crate) fn held(&self) -> usize {
        self.0.lock().held()
    }

    /// Makes the thread write to this file from now on, or open an output.
    pub(crate) fn replace_output(&self, output: Option<File>) {
        self.0.lock().output = Some(output);
        self.0.changed.notify_all();
    }

    /// Waits until the queue is empty, for at most this time. Returns false if it is not.
    pub(crate) fn flush(&self, patience: Duration) -> bool {
        let state = self.0.lock();
        let waited = self.0.changed.wait_timeout_while(state, patience, |state| state.held() > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.held() == 0
    }

    /// Writes the queued lines, for at most this time, and ends the thread. Only the first call waits.
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
