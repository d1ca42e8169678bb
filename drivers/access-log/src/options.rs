//! How an access log is to be kept, and opening one.

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

/// How an access log is to be kept.
#[derive(Clone, Debug)]
pub struct Options {
    path: PathBuf,
    rotation: Option<Rotation>,
    format: LineFormat,
    bounds: Bounds,
    is_in_background: bool,
}

impl Options {
    /// Appends to the file at this path, which is made if it is not there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            rotation: None,
            format: LineFormat::default(),
            bounds: Bounds::default(),
            is_in_background: false,
        }
    }

    /// Moves the file aside once it has grown to `max_bytes`, as `PATH.1`, `PATH.2` and so on up to `kept` of them. A
    /// path that leads to something else than a regular file is left alone. This and [`rotate_every`](Self::rotate_every) replace
    /// each other.
    pub fn rotate(mut self, max_bytes: u64, kept: u32) -> Self {
        self.rotation = (max_bytes > 0).then_some(Rotation { when: When::Size(max_bytes), kept });
        self
    }

    /// Moves the file aside at the first record after the end of a period, as `PATH.2026-04-26`, with the time of day for shorter
    /// periods, and keeps up to `kept` of those files. A file of that name is not replaced: `.1` and so on is appended. A path that
    /// leads to something else than a regular file is left alone.
    pub fn rotate_every(mut self, period: RotationPeriod, kept: u32) -> Self {
        self.rotation = Some(Rotation { when: When::Period(period), kept });
        self
    }

    /// Reduces a record that has more than this many bytes, as
    /// [`LineFormat::max_record_bytes`] says; 1 MiB unless set.
    pub fn max_record_bytes(mut self, bytes: usize) -> Self {
        self.format = self.format.max_record_bytes(bytes);
        self
    }

    /// Keeps this part of the calls that succeed, and all that fail. Default: all.
    pub fn sample(mut self, rate: SampleRate) -> Self {
        self.format = self.format.sample(rate);
        self
    }

    /// Sets what is shown of the claims of callers. Default: [`Redactor::default`].
    pub fn redact_claims(mut self, redactor: Redactor) -> Self {
        self.format = self.format.redact_claims(redactor);
        self
    }

    /// Sets whether records of a regular file are written by a thread of the log's own, from the [queue](Self::queue), so that
    /// no call waits for a slow disk. While the disk takes nothing they wait in the queue. A crash loses what is in it. Default:
    /// false, and a record is in the file before its call is answered.
    pub fn background(mut self, is_in_background: bool) -> Self {
        self.is_in_background = is_in_background;
        self
    }

    /// Bounds the queue of a path that is not a regular file, or of a log that is kept [in the background](Self::background), in
    /// records and in bytes of memory; 10,000 and 16 MiB unless set.
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
