//! The thread that redacts captures and writes them.

use crate::events;
use crate::outlet::Counts;
use crate::raw::Raw;
use crate::redact::{PlaceholderKey, redact};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// The file name extension of captures.
pub const EXTENSION: &str = "vgirec";

pub(crate) type OnTrouble = dyn Fn(&io::Error) + Send + Sync;

/// Redacts captures and writes them.
pub(crate) struct Writer {
    pub(crate) folder: PathBuf,
    pub(crate) key: PlaceholderKey,
    pub(crate) counts: Arc<Counts>,
    pub(crate) on_trouble: Option<Arc<OnTrouble>>,
    /// How long no new capture begins after one could not be written.
    pub(crate) pause: Duration,
}

impl Writer {
    pub(crate) fn run(&self, captures: &Receiver<Raw>) {
        for (number, mut raw) in captures.iter().enumerate() {
            raw.header.dropped = self.counts.dropped.load(Ordering::Relaxed);
            let name = format!(
                "{}-{}-{number:06}-{}.{EXTENSION}",
                raw.header.began.as_millis(),
                std::process::id(),
                raw.header.transport,
            );
            let path = self.folder.join(name);
            let written = catch_unwind(AssertUnwindSafe(|| redact(raw, &self.key).encode()))
                .map_err(|_| io::Error::other("a capture cannot be redacted"))
                .and_then(|bytes| write_new(&path, &bytes));
            match written {
                Ok(()) => {
                    self.counts.written.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    self.counts.pause(self.pause);
                    self.counts.dropped.fetch_add(1, Ordering::Relaxed);
                    events::failing(&self.counts.throttles, &path, &error);
                    if let Some(report) = &self.on_trouble {
                        // A panic of the application must not end the thread.
                        let _ = catch_unwind(AssertUnwindSafe(|| report(&error)));
                    }
                }
            }
        }
    }
}

/// Writes a new file that only its owner can read. If writing fails, the file is removed.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file: File = options.open(path)?;
    let written = file.write_all(bytes);
    if written.is_err() {
        // If this fails too, readers still reject the truncated capture.
        let _ = fs::remove_file(path);
    }
    written
}
