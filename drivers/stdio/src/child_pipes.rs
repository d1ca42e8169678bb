//! The pipes to a child process, with timeouts. On Unix, where pipes can be polled.

use crate::pipe;
use std::io::{self, IoSlice};
use std::process::{ChildStdin, ChildStdout};
use vgi_rpc_client::Patience;
use vgi_rpc_client::pipes::{is_quiet, set_nonblocking};

/// The child's stdin. Dropping it closes the pipe.
#[derive(Debug)]
pub(crate) struct Input(ChildStdin);

impl Input {
    pub(crate) fn new(pipe: ChildStdin) -> io::Result<Self> {
        pipe::enlarge(&pipe);
        set_nonblocking(&pipe)?;
        Ok(Self(pipe))
    }

    /// Returns how many bytes the pipe accepts while the child reads none, if known.
    pub(crate) fn unread_capacity(&self) -> Option<usize> {
        pipe::unread_capacity(&self.0)
    }

    pub(crate) fn write_vectored(
        &mut self,
        patience: &mut Patience,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        patience.write_vectored(&mut self.0, slices)
    }
}

/// The child's stdout.
#[derive(Debug)]
pub(crate) struct Output(ChildStdout);

impl Output {
    pub(crate) fn new(pipe: ChildStdout) -> io::Result<Self> {
        pipe::enlarge(&pipe);
        set_nonblocking(&pipe)?;
        Ok(Self(pipe))
    }

    /// Reads some bytes; 0 at the end.
    pub(crate) fn read(&mut self, patience: &mut Patience, buffer: &mut [u8]) -> io::Result<usize> {
        patience.read(&mut self.0, buffer)
    }

    /// Whether a read would find neither bytes nor the end.
    pub(crate) fn is_quiet(&mut self) -> io::Result<bool> {
        is_quiet(&self.0)
    }
}
