//! Opens a path without blocking, and determines what kind of file it is.

use crate::system::{has_no_reader, open_options};
use std::fs::File;
use std::io;
use std::path::Path;

/// A path that was opened for appending.
#[derive(Debug)]
pub(crate) enum Destination {
    /// A regular file, whose writes do not wait for a reader.
    Regular(File),
    /// Anything else. Writes fail with `WouldBlock` instead of waiting.
    Other(File),
    /// A FIFO without a reader, which cannot be opened yet.
    NoReader,
}

impl Destination {
    /// Opens the path. Creates a regular file if it does not exist.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        match open_options().create(true).append(true).open(path) {
            Ok(file) if file.metadata()?.is_file() => Ok(Self::Regular(file)),
            Ok(file) => Ok(Self::Other(file)),
            Err(error) if has_no_reader(&error, path) => Ok(Self::NoReader),
            Err(error) => Err(error),
        }
    }
}

/// Opens a path for reading, also without blocking.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    open_options().read(true).open(path)
}
