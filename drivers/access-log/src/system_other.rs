//! Substitutes for the functions of Unix on other systems.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Returns options that open a path. Writes to a named pipe or device may block.
pub(crate) fn open_options() -> OpenOptions {
    OpenOptions::new()
}

/// Always false: other systems have no FIFOs in the file system.
pub(crate) fn has_no_reader(_: &io::Error, _: &Path) -> bool {
    false
}

/// Always true: `std` does not provide the identity of files, so the file at the path is assumed to be the one that was opened.
pub(crate) fn is_same_file(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// Waits for the given time: writes block by themselves, and one that did not is tried again later.
pub(crate) fn wait_for_room(_: &File, patience: Duration) {
    std::thread::sleep(patience);
}

/// Does nothing: other systems have no such signals.
pub(crate) fn watch_signals(_: &Arc<AtomicBool>) -> io::Result<()> {
    Ok(())
}
