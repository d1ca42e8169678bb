//! What a path leads to, and opening it without waiting for anybody.

use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
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
        let opened = OpenOptions::new().create(true).append(true).custom_flags(flags()).open(path);
        match opened {
            Ok(file) if file.metadata()?.is_file() => Ok(Self::Regular(file)),
            Ok(file) => Ok(Self::Other(file)),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) && is_fifo(path) => {
                Ok(Self::NoReader)
            }
            Err(error) => Err(error),
        }
    }
}

/// Opens a path for reading, without waiting either.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags()).open(path)
}

/// `NONBLOCK` for FIFOs, `NOCTTY` so that a terminal does not become the process's own.
fn flags() -> i32 {
    (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed()
}

fn is_fifo(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}
