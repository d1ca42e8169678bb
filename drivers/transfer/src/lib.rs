//! Helpers for servers and clients that move a state machine's bytes: vectored writes of an outbox, retries of interrupted system
//! calls, errors of a peer that is gone, sockets with one time limit for all operations, the resolution of addresses, and a
//! throttle for reports of events that peers can trigger.

mod throttle;
mod timed_socket;

use bytes::Buf;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{SocketAddr, ToSocketAddrs};
pub use throttle::Throttle;
pub use timed_socket::TimedSocket;

/// The number of slices passed to one vectored write; further ones wait for the next.
const SLICES: usize = 64;
/// The host of an address that is only a port.
pub const DEFAULT_HOST: &str = "127.0.0.1";

/// Sends all pending output by calling `write`, which sends some bytes and returns how many.
///
/// # Errors
/// The errors of `write`, and `WriteZero` if it sends nothing.
pub fn send(
    outbox: &mut impl Buf,
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
/// All other errors of the call.
pub fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Returns true for the errors of a peer that is gone.
pub fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}

/// Resolves `[HOST:]PORT`; the host defaults to 127.0.0.1.
///
/// # Errors
/// If the text is not an address, or the name cannot be resolved.
pub fn resolve(address: &str) -> io::Result<Vec<SocketAddr>> {
    match address.parse::<u16>() {
        Ok(port) => Ok((DEFAULT_HOST, port).to_socket_addrs()?.collect()),
        Err(_) => Ok(address.to_socket_addrs()?.collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_sent_in_pieces_and_in_spite_of_interruptions() {
        let mut outbox = (&b"one "[..]).chain(&b"two"[..]);
        let (mut sent, mut calls) = (Vec::new(), 0);
        let result = send(&mut outbox, |slices| {
            calls += 1;
            if calls % 2 == 0 {
                return Err(ErrorKind::Interrupted.into());
            }
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(3).collect();
            sent.extend_from_slice(&bytes);
            Ok(bytes.len())
        });
        assert!(result.is_ok());
        assert_eq!(sent, b"one two");
    }

    #[test]
    fn a_write_of_nothing_is_an_error() {
        let error = send(&mut &b"x"[..], |_| Ok(0)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WriteZero);
    }

    #[test]
    fn a_port_alone_is_on_the_local_host() {
        assert_eq!(resolve("80").unwrap(), ["127.0.0.1:80".parse().unwrap()]);
        assert_eq!(resolve("[::1]:80").unwrap(), ["[::1]:80".parse().unwrap()]);
        assert!(resolve("no address").is_err());
    }
}
