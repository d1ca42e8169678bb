//! A TCP socket with a time limit for all its reads and writes together.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A TCP socket for a layer, such as TLS, that may read and write many times for one step of its caller.
///
/// A socket's own timeout starts again with each read. Here, each read and each write is limited to the remaining time.
#[derive(Debug)]
pub struct TimedSocket {
    socket: TcpStream,
    step: Option<Duration>,
    end: Option<Instant>,
    /// The socket's current timeouts for reads and for writes, once they have been set.
    reads: Option<Option<Duration>>,
    writes: Option<Option<Duration>>,
}

impl TimedSocket {
    /// Creates a socket without limits.
    pub fn new(socket: TcpStream) -> Self {
        Self { socket, step: None, end: None, reads: None, writes: None }
    }

    /// Sets how long each following read and write may take, and when all of them must have ended; `None` for no limit.
    pub fn limit(&mut self, step: Option<Duration>, end: Option<Instant>) {
        (self.step, self.end) = (step, end);
    }

    /// Returns the socket itself. Only the timeouts that were set last apply to its use.
    pub fn tcp(&self) -> &TcpStream {
        &self.socket
    }

    /// Returns how long the next read or write may take. A socket's timeout cannot be zero, which would mean no timeout.
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.end.map(|end| end.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(io::Error::new(ErrorKind::TimedOut, "it took too long in total"));
        }
        Ok(left.into_iter().chain(self.step).min().map(|left| left.max(Duration::from_micros(1))))
    }

    fn limit_write(&mut self) -> io::Result<()> {
        let left = self.left()?;
        if self.writes != Some(left) {
            self.socket.set_write_timeout(left)?;
            self.writes = Some(left);
        }
        Ok(())
    }
}

impl Read for TimedSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left()?;
        if self.reads != Some(left) {
            self.socket.set_read_timeout(left)?;
            self.reads = Some(left);
        }
        self.socket.read(buffer)
    }
}

impl Write for TimedSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.limit_write()?;
        self.socket.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.limit_write()?;
        self.socket.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn bytes_that_come_one_by_one_do_not_make_it_longer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let thread = thread::spawn(move || {
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(2) && peer.write_all(&[0]).is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
        });
        let mut socket = TimedSocket::new(socket);
        let end = Instant::now() + Duration::from_millis(100);
        socket.limit(Some(Duration::from_secs(1)), Some(end));
        let error = socket.read_exact(&mut [0; 1000]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock), "{error}");
        assert!(Instant::now() < end + Duration::from_secs(1));
        assert_eq!(socket.write(&[0]).unwrap_err().kind(), ErrorKind::TimedOut);
        // Without an end, each read has a limit of its own.
        socket.limit(Some(Duration::from_secs(1)), None);
        socket.read_exact(&mut [0; 3]).unwrap();
        drop(socket);
        thread.join().unwrap();
    }
}
