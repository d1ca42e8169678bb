//! How an access log is to be kept, and opening one.

use crate::lines::Bounds;
use crate::log::{AccessLog, Inner, State, Target};
use crate::queue::Queue;
use crate::rotation::Rotation;
use crate::system;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use vgi_rpc_protocol::OneLine;
use vgi_rpc_protocol::access_log::DEFAULT_MAX_RECORD_BYTES;

/// How an access log is to be kept.
#[derive(Clone, Debug)]
pub struct Options {
    path: PathBuf,
    rotation: Option<Rotation>,
    max_record_bytes: usize,
    bounds: Bounds,
}

impl Options {
    /// Appends to the file at this path, which is made if it is not there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            rotation: None,
            max_record_bytes: DEFAULT_MAX_RECORD_BYTES,
            bounds: Bounds::default(),
        }
    }

    /// Moves the file aside once it has grown to `max_bytes`, as `PATH.1`, `PATH.2` and so on up to `kept` of them. A
    /// path that leads to something else than a regular file is left alone.
    pub fn rotate(mut self, max_bytes: u64, kept: u32) -> Self {
        self.rotation = (max_bytes > 0).then_some(Rotation { max_bytes, kept });
        self
    }

    /// Reduces a record that has more than this many bytes, as
    /// [`line_within`](vgi_rpc_protocol::access_log::line_within) says; 1 MiB unless set.
    pub fn max_record_bytes(mut self, bytes: usize) -> Self {
        self.max_record_bytes = bytes;
        self
    }

    /// Bounds the queue of a path that is not a regular file, in records and in bytes of memory; 10,000 and 16 MiB unless set.
    /// Records beyond that are dropped and counted.
    pub fn queue(mut self, records: usize, bytes: usize) -> Self {
        self.bounds = Bounds { records, bytes };
        self
    }

    /// Opens the log. On Unix, SIGHUP makes it open its path anew from then on, and SIGXFSZ ends the process no more.
    ///
    /// A FIFO without a reader is opened as soon as there is one, and its records wait in the queue.
    ///
    /// # Errors
    /// When there is something else at the path that cannot be opened, or signal handlers cannot be registered. The
    /// error names the path.
    pub fn open(self) -> io::Result<AccessLog> {
        let path = self.path.clone();
        let opened = self.open_unnamed();
        opened.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", OneLine(path.display()))))
    }

    fn open_unnamed(self) -> io::Result<AccessLog> {
        let reopen = Arc::new(AtomicBool::new(false));
        system::watch_signals(&reopen)?;
        let mut inner = Inner {
            queue: Queue::new(self.path.clone(), self.bounds, reopen.clone()),
            path: self.path,
            rotation: self.rotation,
            max_record_bytes: self.max_record_bytes,
            reopen,
            state: Mutex::new(State { target: Target::Closed, dropped: 0 }),
        };
        let target = inner.open()?;
        inner.state.get_mut().unwrap_or_else(PoisonError::into_inner).target = target;
        Ok(AccessLog(Arc::new(inner)))
    }
}
