//! What a client over a connection of bytes stands on.

use std::io::{self, IoSlice};
use std::process::ExitStatus;

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

    /// Called when a read found the end: closes the transport, and for a process says how it ended. By default this is
    /// [`close`](Self::close), and that it fails is of no interest any more.
    ///
    /// # Errors
    /// When a process has closed its output and does not end.
    fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        Ok(self.close().unwrap_or_default())
    }

    /// Closes the transport. For a process, waits for its end and says how it was.
    ///
    /// # Errors
    /// When the transport fails.
    fn close(&mut self) -> io::Result<Option<ExitStatus>>;
}
