//! Reads and writes pipes with timeouts, which pipes themselves do not support.

use crate::timeouts::{Direction, Patience};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::AsFd;

/// Makes reads and writes of a pipe's end return immediately. The other end keeps its own mode.
///
/// # Errors
/// If the system call fails.
pub fn set_nonblocking(pipe: impl AsFd) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(pipe, true)?)
}

/// Returns whether a read would return neither bytes nor the end.
///
/// # Errors
/// If the system call fails.
pub fn is_quiet(pipe: impl AsFd) -> io::Result<bool> {
    let mut ready = [PollFd::new(&pipe, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(rustix::io::retry_on_intr(|| poll(&mut ready, Some(&now)))? == 0)
}

impl Patience {
    /// Reads some bytes of a pipe that was [made nonblocking](set_nonblocking); returns 0 at its end.
    ///
    /// # Errors
    /// If a system call fails, or `TimedOut`.
    pub fn read(&mut self, pipe: &mut (impl Read + AsFd), buffer: &mut [u8]) -> io::Result<usize> {
        // The call's time limit applies even while bytes keep arriving.
        self.next(Direction::Read)?;
        loop {
            match pipe.read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(&*pipe, Direction::Read)?,
                read => return read,
            }
        }
    }

    /// Writes some bytes of the slices to a pipe that was [made nonblocking](set_nonblocking).
    ///
    /// # Errors
    /// If a system call fails, or `TimedOut`.
    pub fn write_vectored(
        &mut self,
        pipe: &mut (impl Write + AsFd),
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        // Begins the turn, even if the pipe has room immediately.
        self.next(Direction::Write)?;
        loop {
            match pipe.write_vectored(slices) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(&*pipe, Direction::Write)?,
                written => return written,
            }
        }
    }

    fn wait(&mut self, pipe: &impl AsFd, direction: Direction) -> io::Result<()> {
        let (flags, doing) = match direction {
            Direction::Read => (PollFlags::IN, "waiting for the answer"),
            Direction::Write => (PollFlags::OUT, "sending"),
        };
        // A time beyond the system's range means no limit.
        let timeout = self.next(direction)?.and_then(|left| Timespec::try_from(left).ok());
        let mut ready = [PollFd::new(pipe, flags)];
        match poll(&mut ready, timeout.as_ref()) {
            Ok(0) => Err(io::Error::new(ErrorKind::TimedOut, format!("timed out {doing}"))),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
