//! A file descriptor that is read or written, blocking or not.

use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::AsFd;

/// A megabyte moves a large batch in few system calls; it is also the maximum that Linux allows without privilege.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;

/// Enlarges a pipe's buffer if the kernel allows it. Other files are left unchanged.
pub(crate) fn enlarge(fd: impl AsFd) {
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(fd, PIPE_BYTES);
    #[cfg(not(target_os = "linux"))]
    let _ = fd;
}

/// Returns how many bytes a pipe accepts while none are read: half of its size, since each page may be filled in part.
pub(crate) fn unread_capacity(fd: impl AsFd) -> Option<usize> {
    #[cfg(target_os = "linux")]
    return rustix::pipe::fcntl_getpipe_size(fd).ok().map(|size| size / 2);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = fd;
        None
    }
}

/// Reads and writes that block even if the descriptor is non-blocking. Event loops leave it non-blocking in the processes that
/// they start. The flag is not cleared, because it belongs to the open file, which the parent still uses.
#[derive(Debug)]
pub(crate) struct Pipe(File);

impl Pipe {
    pub(crate) fn new(file: File) -> Self {
        Self(file)
    }

    /// Repeats `call` whenever the descriptor is ready, until it does not return `WouldBlock`.
    fn wait<T>(
        &mut self,
        readiness: PollFlags,
        mut call: impl FnMut(&mut File) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match call(&mut self.0) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&self.0, readiness)], None)?;
                }
                result => return result,
            }
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(PollFlags::IN, |file| file.read(buffer))
    }
}

impl Write for Pipe {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.wait(PollFlags::OUT, |file| file.write(buffer))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.wait(PollFlags::OUT, |file| file.write_vectored(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
