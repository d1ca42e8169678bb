//! The trait [`Transport`]: moves the bytes of a client's connection.

use crate::error::ServerGone;
use std::error::Error;
use std::io::{self, IoSlice};
#[cfg(unix)]
use std::os::fd::OwnedFd;

/// The default of [`Transport::unread_capacity`], in bytes.
pub const DEFAULT_UNREAD_CAPACITY: usize = 4096;

/// Moves a connection's bytes.
pub trait Transport {
    /// Reads some bytes; returns 0 if the peer has closed its side.
    ///
    /// # Errors
    /// If the transport fails.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes some bytes of the slices.
    ///
    /// # Errors
    /// If the transport fails.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Returns whether a read would now return neither bytes nor the end. It is called before each call: bytes that arrived since
    /// the last one answer no call. A transport that cannot determine this returns true, which is the default.
    ///
    /// # Errors
    /// If the transport fails.
    fn is_quiet(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    /// Returns how many bytes the transport accepts without blocking while the peer reads none. This limits the bytes of ticks
    /// that are [sent ahead](crate::Stream::prefetch). The default is 4096 bytes, which every pipe and socket accepts.
    fn unread_capacity(&self) -> usize {
        DEFAULT_UNREAD_CAPACITY
    }

    /// Returns whether the peer is on this machine and connected directly, so that memory can be shared with it. The default is
    /// false.
    fn is_local(&self) -> bool {
        false
    }

    /// Sends a descriptor with the first bytes of the next write. Returns it if the transport does not support this, which is the
    /// default. Only on Unix.
    ///
    /// # Errors
    /// The descriptor, if the transport cannot send it.
    #[cfg(unix)]
    fn send_descriptor(&mut self, descriptor: OwnedFd) -> Result<(), OwnedFd> {
        Err(descriptor)
    }

    /// Whether [`send_descriptor`](Self::send_descriptor) is supported. The default is false. Only on Unix.
    #[cfg(unix)]
    fn sends_descriptors(&self) -> bool {
        false
    }

    /// Called after a read has reached the end: closes the transport, and returns the error with which the current call fails.
    /// The default is [`ServerGone`].
    fn ended(&mut self) -> Box<dyn Error + Send + Sync> {
        // An error of closing is irrelevant here.
        let _ = self.close();
        ServerGone.into()
    }

    /// Closes the transport.
    ///
    /// # Errors
    /// If the transport fails, or its worker process ends with an error.
    fn close(&mut self) -> io::Result<()>;
}
