//! Takes over this process's stdin and stdout for a connection: the connection gets descriptors of its own, which nothing else
//! in the process can reach.

use crate::error::ServeError;
use crate::pipe::{self, Pipe};
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Moves the connection off descriptors 0 and 1. From then on 0 reads as the null device and 1 is stderr, here and in child
/// processes: `println!`, a C library or a grandchild cannot damage the connection, nor read from it.
///
/// # Errors
/// [`ServeError::Closed`] if one of them was closed when the process started; [`ServeError::Setup`] if the system has no
/// descriptor left.
pub(crate) fn take_over() -> Result<(Pipe, Pipe), ServeError> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let input = private(io::stdin().as_fd(), &null, "stdin")?;
    let output = private(io::stdout().as_fd(), &null, "stdout")?;
    rustix::stdio::dup2_stdin(&null).map_err(io::Error::from)?;
    rustix::stdio::dup2_stdout(io::stderr()).map_err(io::Error::from)?;
    pipe::enlarge(&input);
    pipe::enlarge(&output);
    Ok((Pipe::new(input), Pipe::new(output)))
}

/// Whether a path leads to this process's stdout. Devices do not count: a terminal or the null device is never the connection.
pub(crate) fn is_stdout(path: &Path) -> bool {
    let Ok(Ok(stdout)) = io::stdout().as_fd().try_clone_to_owned().map(|owned| File::from(owned).metadata())
    else {
        return false;
    };
    std::fs::metadata(path).is_ok_and(|found| {
        (found.dev(), found.ino()) == (stdout.dev(), stdout.ino()) && !found.file_type().is_char_device()
    })
}

/// Returns a duplicate that child processes do not inherit. Its number is above 2.
fn private(descriptor: BorrowedFd<'_>, null: &File, name: &'static str) -> Result<File, ServeError> {
    let file = match descriptor.try_clone_to_owned() {
        Ok(owned) => File::from(owned),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::BADF.raw_os_error()) => {
            return Err(ServeError::Closed(name));
        }
        Err(error) => return Err(error.into()),
    };
    if stands_for_a_closed_one(&file, null)? { Err(ServeError::Closed(name)) } else { Ok(file) }
}

/// Whether the file is the null device, opened for reading and writing: Rust's start-up code opens that in place of a closed
/// standard descriptor. A shell's redirection opens it only for one of the two.
fn stands_for_a_closed_one(file: &File, null: &File) -> io::Result<bool> {
    let (found, null) = (file.metadata()?, null.metadata()?);
    let is_null = found.file_type().is_char_device() && found.rdev() == null.rdev();
    Ok(is_null && rustix::fs::fcntl_getfl(file)?.contains(OFlags::RDWR))
}
