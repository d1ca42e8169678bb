//! An open access log, which writes records to its target.

use crate::destination::Destination;
use crate::events;
use crate::file::LogFile;
use crate::queue::Queue;
use crate::rotation::Rotation;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vgi_rpc_protocol::access_log::LineFormat;
use vgi_rpc_protocol::service::CallRecord;

/// How long dropping the last clone of a log waits for records that are still in the queue.
const PATIENCE_AT_END: Duration = Duration::from_secs(1);

/// An access log. Clones write to the same file, one line at a time.
///
/// When the last clone is dropped, the log is [closed](Self::close) with a time limit of one second.
#[derive(Clone, Debug)]
pub struct AccessLog(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) path: PathBuf,
    pub(crate) rotation: Option<Rotation>,
    pub(crate) format: LineFormat,
    /// The path must be reopened: SIGHUP was received, or the queue's thread found a regular file there.
    pub(crate) reopen: Arc<AtomicBool>,
    pub(crate) queue: Queue,
    pub(crate) state: Mutex<State>,
    pub(crate) counts: Counts,
}

/// The numbers of records so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
    left_out: AtomicU64,
}

/// The numbers of records by their fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Written, or added to the queue.
    pub written: u64,
    /// Neither written nor queued.
    pub dropped: u64,
    /// Left out by [sampling](crate::Options::sample).
    pub left_out: u64,
    /// In the queue now.
    pub queued: usize,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) target: Target,
    pub(crate) dropped: u64,
}

/// Events to report after the lock is released.
#[derive(Debug, Default)]
struct Noted {
    is_reopened: bool,
    is_rotated: bool,
}

/// The target of records.
#[derive(Debug)]
pub(crate) enum Target {
    /// None: opening failed, or is due.
    Closed,
    File(LogFile),
    Queue,
}

impl AccessLog {
    /// Writes one record, or adds it to the queue, unless sampling omits it. A record that can be neither written nor queued is
    /// dropped and counted, and the next one has the number of dropped ones.
    pub fn write(&self, record: &CallRecord) {
        let inner = &*self.0;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let count = |of: &AtomicU64| of.fetch_add(1, Ordering::Relaxed);
        // A panic while the lock was held leaves the file usable.
        let lock = || inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        // The line is formatted without the lock, since the application redacts it: this may take long, or write a record
        // itself. This line reports the records dropped so far; if it is left out, a later line does.
        let told = std::mem::take(&mut lock().dropped);
        let line = inner.format.line(record, now, told);
        let mut state = lock();
        let Some(line) = line else {
            state.dropped += told;
            count(&inner.counts.left_out);
            return;
        };
        let mut noted = Noted::default();
        let appended = inner.append(&mut state, line, now, &mut noted);
        let dropped = match appended {
            Ok(()) => told,
            Err(_) => {
                let before = state.dropped + told;
                state.dropped = before + 1;
                before
            }
        };
        drop(state);
        count(if appended.is_ok() { &inner.counts.written } else { &inner.counts.dropped });
        if noted.is_reopened {
            events::reopened(&inner.path);
        }
        if noted.is_rotated {
            events::rotated(&inner.path);
        }
        match appended {
            Err(error) if dropped == 0 => events::failing(&inner.path, &error),
            Ok(()) if dropped > 0 => events::recovered(&inner.path, dropped),
            _ => {}
        }
    }

    /// Returns the numbers of records so far. Clones of a log share them.
    pub fn statistics(&self) -> Statistics {
        let Inner { counts, queue, .. } = &*self.0;
        let read = |of: &AtomicU64| of.load(Ordering::Relaxed);
        Statistics {
            written: read(&counts.written),
            dropped: read(&counts.dropped),
            left_out: read(&counts.left_out),
            queued: queue.held(),
        }
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Waits until the queue has been written, for at most this time. Returns false if it has not.
    ///
    /// A regular file needs no flush unless the log is written [in the background](crate::Options::background):
    /// [`write`](Self::write) returns after it has written its record.
    pub fn flush(&self, patience: Duration) -> bool {
        self.0.queue.flush(patience)
    }

    /// Closes the queue: writes its records for at most this time, or none if there is no reader. Later records are dropped,
    /// except those that are written directly to a regular file.
    ///
    /// For a process that is about to end while other clones of the log exist.
    pub fn close(&self, patience: Duration) {
        self.0.queue.close(patience);
    }
}

impl Inner {
    fn append(
        &self,
        state: &mut State,
        line: String,
        now: Duration,
        noted: &mut Noted,
    ) -> std::io::Result<()> {
        if self.reopen.swap(false, Ordering::Relaxed) {
            state.target = Target::Closed;
            noted.is_reopened = true;
        }
        if let Target::Closed = state.target {
            state.target = self.open()?;
        }
        if let Target::File(file) = &state.target
            && let Some(moved) = file.make_room(&self.path, self.rotation, line.len(), now)
        {
            state.target = Target::Closed;
            noted.is_rotated = moved?;
            state.target = self.open()?;
        }
        match &mut state.target {
            Target::Closed => Err(std::io::ErrorKind::NotFound.into()),
            Target::File(file) => {
                let written = file.append(&self.path, &line, now);
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
            Destination::Regular(_) if self.queue.writes_files() => {
                self.queue.replace_output(None);
                Target::Queue
            }
            Destination::Regular(file) => {
                // The remaining queue is written to this file too.
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
