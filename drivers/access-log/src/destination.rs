//! What a path leads to, and opening it without blocking.

use crate::system::{has_no_reader, open_options};
use std::fs::File;
use std::io;
use std::path::Path;

/// A path that was opened for appending.
#[derive(Debug)]
pub(crate) enum Destination {
    /// Writes to it do not wait for anybody.
    Regular(File),
    /// Anything else. Writes fail with `WouldBlock` instead of waiting.
    Other(File),
    /// A FIFO without a reader, which cannot be opened yet.
    NoReader,
}

impl Destination {
    /// Makes a regular file if there is nothing.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        match open_options().create(true).append(true).open(path) {
            Ok(file) if file.metadata()?.is_file() => Ok(Self::Regular(file)),
            Ok(file) => Ok(Self::Other(file)),
            Err(error) if has_no_reader(&error, path) => Ok(Self::NoReader),
            Err(error) => Err(error),
        }
    }
}

/// Opens a path for reading, without waiting either.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    open_options().read(true).open(path)
}
