//! Writes the access log: a JSON line per call. The file's content is in [`vgi_rpc_protocol::access_log`]; here is how it
//! is kept. No call fails or waits because its record cannot be written: what is lost is counted, and the next record
//! that gets through says how many are missing.
//!
//! | what the path leads to | how a record is written |
//! | --- | --- |
//! | a regular file | at once, before the call is answered, in one write at the file's end |
//! | a FIFO, a terminal, another device | by a thread of the log's own, from a bounded queue |
//! | nothing that can be opened | not at all; opening is tried again with each record |
//!
//! A file is never truncated. Where a full disk took a part of a line, the next record begins on a line of its own. A
//! file that has grown to a size can be moved aside, and SIGHUP makes the log open its path anew. Several processes may
//! append to one file, of which at most one may move it aside.
//!
//! # Signals
//!
//! Opening a log registers handlers for two signals: SIGHUP, and SIGXFSZ, which would otherwise end the process at the
//! size limit of `ulimit -f`. SIGPIPE is left alone: Rust programs ignore it before `main`, and a host of another
//! language that lets a log write to a FIFO must ignore it too.

mod destination;
mod file;
mod options;
mod queue;
mod rotation;
mod writer;

pub use options::Options;

use destination::Destination;
use file::LogFile;
use queue::Queue;
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
pub struct AccessLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    rotation: Option<rotation::Rotation>,
    max_record_bytes: usize,
    /// The path is to be opened anew: SIGHUP came, or the queue's thread found a regular file there.
    reopen: Arc<AtomicBool>,
    queue: Queue,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    target: Target,
    dropped: u64,
}

/// Where records go.
#[derive(Debug)]
enum Target {
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

    fn open(&self) -> std::io::Result<Target> {
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
