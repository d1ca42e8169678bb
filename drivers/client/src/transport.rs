//! The trait [`Transport`]: what moves the bytes of a client's connection.

use crate::error::ServerGone;
use std::error::Error;
use std::io::{self, IoSlice};
#[cfg(unix)]
use std::os::fd::OwnedFd;

/// The default of [`Transport::unread_capacity`], in bytes.
pub const DEFAULT_UNREAD_CAPACITY: usize = 4096;

/// Moves a connection's bytes.
pub trait Transport {
    /// Reads some bytes; 0 when the peer has closed its side.
    ///
    /// # Errors
    /// When the transport fails.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes some of the slices' bytes.
    ///
    /// # Errors
    /// When the transport fails.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Returns whether a read would find nothing now, neither bytes nor the end. Asked before each call: whatever
    /// came since the last one answers nothing. A transport that cannot tell says true, which is the default.
    ///
    /// # Errors
    /// When the transport fails.
    fn is_quiet(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    /// Returns how many bytes the transport takes while the peer reads none, such that a write of them does not wait. As many
    /// bytes of ticks are [sent ahead](crate::Stream::prefetch) at most. The default is 4096 bytes, which every pipe and socket takes.
    fn unread_capacity(&self) -> usize {
        DEFAULT_UNREAD_CAPACITY
    }

    /// Returns whether the peer is on this machine and reached without a way through others, so that memory can be shared with it.
    /// The default is false.
    fn is_local(&self) -> bool {
        false
    }

    /// Sends a descriptor beside the first bytes that are written next. Gives it back if the transport cannot do that, which is
    /// the default. Only on Unix.
    ///
    /// # Errors
    /// The descriptor.
    #[cfg(unix)]
    fn send_descriptor(&mut self, descriptor: OwnedFd) -> Result<(), OwnedFd> {
        Err(descriptor)
    }

    /// Whether [`send_descriptor`](Self::send_descriptor) can. The default is false. Only on Unix.
    #[cfg(unix)]
    fn sends_descriptors(&self) -> bool {
        false
    }

    /// Called when a read found the end: closes the transport, and returns the error that the call under way fails with.
    /// The default is [`ServerGone`].
    fn ended(&mut self) -> Box<dyn Error + Send + Sync> {
        // That it cannot be closed is of no interest any more.
        let _ = self.close();
        ServerGone.into()
    }

    /// Closes the transport.
    ///
    /// # Errors
    /// When the transport fails, or what it ends does not end well.
    fn close(&mut self) -> io::Result<()>;
}
