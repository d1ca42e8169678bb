//! Sending all of an outbox by way of vectored writes, and telling apart the errors on the way.

use bytes::Buf;
use std::io::{self, ErrorKind, IoSlice};
use vgi_rpc_protocol::ipc::Outbox;

/// Slices given to one vectored write; more wait for the next.
const SLICES: usize = 64;

/// Sends everything that waits by way of `write`, which sends some bytes and says how many.
///
/// # Errors
/// What `write` fails with; `WriteZero` when it sends nothing.
pub fn send(
    outbox: &mut Outbox,
    mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
) -> io::Result<()> {
    while outbox.has_remaining() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = outbox.chunks_vectored(&mut slices);
        match retry(|| write(slices.get(..count).unwrap_or_default()))? {
            0 => return Err(ErrorKind::WriteZero.into()),
            written => outbox.advance(written),
        }
    }
    Ok(())
}

/// Repeats a system call that a signal interrupted.
///
/// # Errors
/// What the call fails with otherwise.
pub fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// True for the errors of a peer that is not there any more.
pub fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}
