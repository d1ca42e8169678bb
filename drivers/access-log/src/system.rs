//! Functions for Unix: opening without blocking, the identity of files, readiness and signals.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGXFSZ};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Returns options that open a path without blocking: `NONBLOCK` for FIFOs, `NOCTTY` so that a terminal does not become the
/// process's controlling terminal.
pub(crate) fn open_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    options
}

/// Whether opening a path for writing failed because it is a FIFO without a reader.
pub(crate) fn has_no_reader(error: &io::Error, path: &Path) -> bool {
    let is_fifo = || std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo());
    Errno::from_io_error(error) == Some(Errno::NXIO) && is_fifo()
}

/// Whether both are metadata of the same file.
pub(crate) fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Waits until the file can be written, for at most this time.
pub(crate) fn wait_for_room(file: &File, patience: Duration) {
    let patience = Timespec::try_from(patience).ok();
    // After a failure the write is tried again too.
    let _ = poll(&mut [PollFd::new(file, PollFlags::OUT)], patience.as_ref());
}

/// Makes SIGHUP set `reopen`, and SIGXFSZ do nothing.
pub(crate) fn watch_signals(reopen: &Arc<AtomicBool>) -> io::Result<()> {
    signal_hook::flag::register(SIGHUP, reopen.clone())?;
    // With a handler, a write beyond the limit fails instead. The signal itself is ignored.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    Ok(())
}
