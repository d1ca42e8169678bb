//! Writes the access log: a JSON line per call, flushed one by one, so that a call is in the log before its client
//! has the answer.
//!
//! What a line says is decided by [`vgi_rpc_protocol::access_log`]. Here is the file: appending, rotating by size,
//! reopening when SIGHUP says that somebody moved it. A disk that is full fails no call: the next line that can be
//! written says how many are missing.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use vgi_rpc_protocol::access_log;
use vgi_rpc_protocol::service::CallRecord;

/// An access log. Clones write to the same file, one line at a time.
#[derive(Clone, Debug)]
pub struct AccessLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    rotation: Option<Rotation>,
    hung_up: Arc<AtomicBool>,
    sink: Mutex<Sink>,
}

/// When a file is moved aside, and how many of the moved ones are kept.
#[derive(Clone, Copy, Debug)]
struct Rotation {
    max_bytes: u64,
    kept: u32,
}

#[derive(Debug)]
struct Sink {
    /// `None` after opening failed; tried again with the next record.
    file: Option<File>,
    len: u64,
    dropped: u64,
}

/// How an access log is to be kept.
#[derive(Clone, Debug)]
pub struct Options {
    path: PathBuf,
    rotation: Option<Rotation>,
}

impl Options {
    /// Appends to the file at this path, which is made if it is not there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), rotation: None }
    }

    /// Moves the file aside once it has grown to `max_bytes`, as `PATH.1`, `PATH.2` and so on up to `kept` of them.
    pub fn rotate(mut self, max_bytes: u64, kept: u32) -> Self {
        self.rotation = (max_bytes > 0).then_some(Rotation { max_bytes, kept });
        self
    }

    /// Opens the log. SIGHUP makes it open its path anew from then on.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(self) -> io::Result<AccessLog> {
        let (file, len) = append(&self.path)?;
        let hung_up = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGHUP, hung_up.clone())?;
        let sink = Mutex::new(Sink { file: Some(file), len, dropped: 0 });
        Ok(AccessLog(Arc::new(Inner { path: self.path, rotation: self.rotation, hung_up, sink })))
    }
}

impl AccessLog {
    /// Writes one record. What cannot be written is counted, and reported with the next one that can.
    pub fn write(&self, record: &CallRecord) {
        let inner = &*self.0;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // A thread that panicked while it held the file has left it usable.
        let mut sink = inner.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let line = access_log::line(record, now, sink.dropped);
        match sink.append(inner, line.as_bytes()) {
            Ok(()) => sink.dropped = 0,
            Err(_) => sink.dropped += 1,
        }
    }
}

impl Sink {
    fn append(&mut self, inner: &Inner, line: &[u8]) -> io::Result<()> {
        if inner.hung_up.swap(false, Ordering::Relaxed) {
            self.file = None;
        }
        if let Some(rotation) = inner.rotation
            && self.len > 0
            && self.len + line.len() as u64 > rotation.max_bytes
        {
            self.file = None;
            rotate(&inner.path, rotation.kept)?;
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let (file, len) = append(&inner.path)?;
                self.len = len;
                none.insert(file)
            }
        };
        // One write for one line, so that readers see whole lines.
        let result = file.write_all(line);
        if result.is_ok() {
            self.len += line.len() as u64;
        } else {
            self.cut(inner);
        }
        result
    }

    /// Takes back what a full disk took of a line, so that the next one begins on its own.
    fn cut(&mut self, inner: &Inner) {
        let cut = OpenOptions::new().write(true).open(&inner.path).and_then(|file| file.set_len(self.len));
        if cut.is_err() {
            self.file = None;
        }
    }
}

fn append(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let len = file.metadata()?.len();
    Ok((file, len))
}

/// Moves `PATH` to `PATH.1`, that to `PATH.2`, and so on; the last one goes.
fn rotate(path: &Path, kept: u32) -> io::Result<()> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    if kept == 0 {
        return ignore_missing(std::fs::remove_file(path));
    }
    for number in (1..kept).rev() {
        ignore_missing(std::fs::rename(numbered(number), numbered(number + 1)))?;
    }
    ignore_missing(std::fs::rename(path, numbered(1)))
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
