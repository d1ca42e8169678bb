//! What only Unix has: opening without waiting, the identity of files, readiness and signals.

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

/// Options that open a path without blocking: `NONBLOCK` for FIFOs, `NOCTTY` so that a terminal does not
/// become the process's own.
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

/// Whether both describe the same file.
pub(crate) fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Waits until a write would do something, for at most this long.
pub(crate) fn wait_for_room(file: &File, patience: Duration) {
    let patience = Timespec::try_from(patience).ok();
    // It is tried again after a failure too.
    let _ = poll(&mut [PollFd::new(file, PollFlags::OUT)], patience.as_ref());
}

/// Has SIGHUP set `reopen`, and SIGXFSZ do nothing.
pub(crate) fn watch_signals(reopen: &Arc<AtomicBool>) -> io::Result<()> {
    signal_hook::flag::register(SIGHUP, reopen.clone())?;
    // With a handler, a write beyond the limit fails instead. That there was a signal does not matter.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    Ok(())
}
