//! The options of an access log, and opening one.

use crate::lines::{Bounds, FileRules};
use crate::log::{AccessLog, Counts, Inner, State, Target};
use crate::period::RotationPeriod;
use crate::queue::Queue;
use crate::rotation::{Rotation, When};
use crate::system;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use vgi_rpc_protocol::OneLine;
use vgi_rpc_protocol::access_log::{LineFormat, SampleRate};
use vgi_rpc_protocol::redaction::Redactor;

/// The options of an access log.
#[derive(Clone, Debug)]
pub struct Options {
    path: PathBuf,
    rotation: Option<Rotation>,
    format: LineFormat,
    bounds: Bounds,
    is_in_background: bool,
}

impl Options {
    /// Appends to the file at this path, which is created if it does not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            rotation: None,
            format: LineFormat::default(),
            bounds: Bounds::default(),
            is_in_background: false,
        }
    }

    /// Moves the file aside once it has grown to `max_bytes`, as `PATH.1`, `PATH.2` and so on up to `kept` of them. Only
    /// regular files are moved. This and [`rotate_every`](Self::rotate_every) replace each other.
    pub fn rotate(mut self, max_bytes: u64, kept: u32) -> Self {
        self.rotation = (max_bytes > 0).then_some(Rotation { when: When::Size(max_bytes), kept });
        self
    }

    /// Moves the file aside at the first record after the end of a period, as `PATH.2026-04-26`, with the time of day for
    /// shorter periods, and keeps up to `kept` of those files. A file of that name is not replaced: `.1` and so on is appended.
    /// Only regular files are moved.
    pub fn rotate_every(mut self, period: RotationPeriod, kept: u32) -> Self {
        self.rotation = Some(Rotation { when: When::Period(period), kept });
        self
    }

    /// Reduces records that have more bytes than this, as described at [`LineFormat::max_record_bytes`]. Default 1 MiB.
    pub fn max_record_bytes(mut self, bytes: usize) -> Self {
        self.format = self.format.max_record_bytes(bytes);
        self
    }

    /// Sets the fraction of successful calls that is logged. Failed calls are always logged. Default: all.
    pub fn sample(mut self, rate: SampleRate) -> Self {
        self.format = self.format.sample(rate);
        self
    }

    /// Sets which claims of callers are shown. Default: [`Redactor::default`].
    pub fn redact_claims(mut self, redactor: Redactor) -> Self {
        self.format = self.format.redact_claims(redactor);
        self
    }

    /// Sets whether a thread of the log writes records to a regular file, from the [queue](Self::queue), so that no call waits
    /// for a slow disk. While the disk is full they wait in the queue. A crash loses queued records. Default: false, so that a
    /// record is in the file before its call is answered.
    pub fn background(mut self, is_in_background: bool) -> Self {
        self.is_in_background = is_in_background;
        self
    }

    /// Limits the queue of a path that is not a regular file, or of a log that is written [in the
    /// background](Self::background), in records and in bytes of memory. Further records are dropped and counted. Default
    /// 10,000 records and 16 MiB.
    pub fn queue(mut self, records: usize, bytes: usize) -> Self {
        self.bounds = Bounds { records, bytes };
        self
    }

    /// Opens the log. On Unix, SIGHUP then makes it reopen its path, and SIGXFSZ no longer ends the process.
    ///
    /// A FIFO without a reader is opened as soon as it has one; until then records wait in the queue.
    ///
    /// # Errors
    /// If the path exists and cannot be opened, or signal handlers cannot be registered. The error names the path.
    pub fn open(self) -> io::Result<AccessLog> {
        let path = self.path.clone();
        let opened = self.open_unnamed();
        opened.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", OneLine(path.display()))))
    }

    fn open_unnamed(self) -> io::Result<AccessLog> {
        let reopen = Arc::new(AtomicBool::new(false));
        system::watch_signals(&reopen)?;
        let files = self.is_in_background.then_some(FileRules { rotation: self.rotation });
        let mut inner = Inner {
            queue: Queue::new(self.path.clone(), self.bounds, files, reopen.clone()),
            path: self.path,
            rotation: self.rotation,
            format: self.format,
            counts: Counts::default(),
            reopen,
            state: Mutex::new(State { target: Target::Closed, dropped: 0 }),
        };
        let target = inner.open()?;
        inner.state.get_mut().unwrap_or_else(PoisonError::into_inner).target = target;
        Ok(AccessLog(Arc::new(inner)))
    }
}
