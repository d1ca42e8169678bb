//! The pipes to a child process, read and written with timeouts. On Unix, where pipes can be polled.

use crate::pipe;
use std::io::{self, IoSlice};
use std::process::{ChildStdin, ChildStdout};
use vgi_rpc_client::Patience;
use vgi_rpc_client::pipes::{is_quiet, set_nonblocking};

/// What is written to the child. Dropping it closes the child's stdin.
#[derive(Debug)]
pub(crate) struct Input(ChildStdin);

impl Input {
    pub(crate) fn new(pipe: ChildStdin) -> io::Result<Self> {
        pipe::enlarge(&pipe);
        set_nonblocking(&pipe)?;
        Ok(Self(pipe))
    }

    /// How many bytes the pipe takes while the child reads none, where that is known.
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

/// What the child writes.
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

    /// Whether a read would find nothing now: neither bytes nor the end.
    pub(crate) fn is_quiet(&mut self) -> io::Result<bool> {
        is_quiet(&self.0)
    }
}
