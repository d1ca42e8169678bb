//! An access log that is open: where its records go.

use crate::destination::Destination;
use crate::file::LogFile;
use crate::queue::Queue;
use crate::rotation::Rotation;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vgi_rpc_protocol::access_log;
use vgi_rpc_protocol::service::CallRecord;

/// How long the last clone of a log waits, when it is dropped, for records that are still in the queue.
const PATIENCE_AT_END: Duration = Duration::from_secs(1);

/// An access log. Clones write to the same file, one line at a time.
///
/// When the last clone is dropped, the log is [closed](Self::close) with a patience of a second.
#[derive(Clone, Debug)]
pub struct AccessLog(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) path: PathBuf,
    pub(crate) rotation: Option<Rotation>,
    pub(crate) max_record_bytes: usize,
    /// The path is to be opened anew: SIGHUP came, or the queue's thread found a regular file there.
    pub(crate) reopen: Arc<AtomicBool>,
    pub(crate) queue: Queue,
    pub(crate) state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) target: Target,
    pub(crate) dropped: u64,
}

/// Where records go.
#[derive(Debug)]
pub(crate) enum Target {
    /// Nowhere: opening failed, or is due.
    Closed,
    File(LogFile),
    Queue,
}

impl AccessLog {
    /// Writes one record, or gives it to the queue. A record that can be neither written nor queued is dropped and
    /// counted, and the next one says how many were.
    pub fn write(&self, record: &CallRecord) {
        let inner = &*self.0;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // A thread that panicked while it held the file has left it usable.
        let mut state = inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        let line = access_log::line_within(record, now, state.dropped, inner.max_record_bytes);
        match inner.append(&mut state, line) {
            Ok(()) => state.dropped = 0,
            Err(_) => state.dropped += 1,
        }
    }

    /// Where records go.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Waits until the queue has been written, for at most this long. False if it has not.
    ///
    /// A regular file needs no flush: what [`write`](Self::write) was given is written when that returns.
    pub fn flush(&self, patience: Duration) -> bool {
        self.0.queue.flush(patience)
    }

    /// Ends the queue: writes what it has, for at most this long, and not at all if there is no reader. Later records of
    /// a path that is not a regular file are dropped.
    ///
    /// For a process that is about to end while clones of the log are still held elsewhere.
    pub fn close(&self, patience: Duration) {
        self.0.queue.close(patience);
    }
}

impl Inner {
    fn append(&self, state: &mut State, line: String) -> std::io::Result<()> {
        if self.reopen.swap(false, Ordering::Relaxed) {
            state.target = Target::Closed;
        }
        if let Target::Closed = state.target {
            state.target = self.open()?;
        }
        if let (Target::File(file), Some(rotation)) = (&mut state.target, self.rotation)
            && file.is_full(rotation, line.len())
        {
            let moved = file.is_at(&self.path).then(|| rotation.rotate(&self.path));
            state.target = Target::Closed;
            moved.unwrap_or(Ok(()))?;
            state.target = self.open()?;
        }
        match &mut state.target {
            Target::Closed => Err(std::io::ErrorKind::NotFound.into()),
            Target::File(file) => {
                let written = file.append(&self.path, line);
                if file.is_lost() {
                    state.target = Target::Closed;
                }
                written
            }
            Target::Queue => self.queue.push(line),
        }
    }

    pub(crate) fn open(&self) -> std::io::Result<Target> {
        Ok(match Destination::open(&self.path)? {
            Destination::Regular(file) => {
                // What the queue still has goes to this file too.
                self.queue.replace_output(None);
                Target::File(LogFile::new(file, &self.path))
            }
            Destination::Other(file) => {
                self.queue.replace_output(Some(file));
                Target::Queue
            }
            Destination::NoReader => {
                self.queue.replace_output(None);
                Target::Queue
            }
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close(PATIENCE_AT_END);
    }
}
