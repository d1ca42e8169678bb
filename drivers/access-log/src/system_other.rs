//! What stands in for the features of Unix elsewhere.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Options that open a path. A named pipe or device may make writes wait.
pub(crate) fn open_options() -> OpenOptions {
    OpenOptions::new()
}

/// Elsewhere there are no FIFOs in the file system.
pub(crate) fn has_no_reader(_: &io::Error, _: &Path) -> bool {
    false
}

/// Files have no identity that `std` shows: the file at the path is taken for the one that was opened there.
pub(crate) fn is_same_file(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// Writes wait by themselves; one that did not is tried again later.
pub(crate) fn wait_for_room(_: &File, patience: Duration) {
    std::thread::sleep(patience);
}

/// There are no such signals.
pub(crate) fn watch_signals(_: &Arc<AtomicBool>) -> io::Result<()> {
    Ok(())
}
