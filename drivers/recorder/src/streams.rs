//! Records a connection over a reader and a writer, and a client's transport.

use crate::capture::Role;
use crate::recorder::Recorder;
use crate::tape::Tape;
use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::sync::Arc;
use vgi_rpc_client::Transport;
use vgi_rpc_protocol::service::TransportKind;

impl Recorder {
    /// Records the input and output of a server on a pair of streams, such as stdin and stdout. `seed` is the seed of the
    /// server's ids, so that a replay generates the same ids.
    pub fn streams<R: Read, W: Write>(
        &self,
        reader: R,
        writer: W,
        seed: u64,
        server_id: &str,
    ) -> (RecordedReader<R>, RecordedWriter<W>) {
        let tape = self.begin(TransportKind::Pipe, Role::Server, seed, server_id);
        let closes = Arc::new(Closes(tape.clone()));
        (
            RecordedReader { inner: reader, tape: tape.clone(), ended: false, _closes: closes.clone() },
            RecordedWriter { inner: writer, tape, _closes: closes },
        )
    }

    /// Records the input and output of a client.
    pub fn transport<T: Transport>(&self, inner: T, kind: TransportKind) -> RecordedTransport<T> {
        let tape = self.begin(kind, Role::Client, 0, "");
        RecordedTransport { inner, _closes: Arc::new(Closes(tape.clone())), tape }
    }
}

/// Ends the capture when the last part of the connection is dropped.
struct Closes(Option<Tape>);

impl Drop for Closes {
    fn drop(&mut self) {
        if let Some(tape) = &self.0 {
            tape.close();
        }
    }
}

/// A reader that records the bytes that it reads.
pub struct RecordedReader<R> {
    inner: R,
    tape: Option<Tape>,
    ended: bool,
    _closes: Arc<Closes>,
}

/// A writer that records the bytes that it writes.
pub struct RecordedWriter<W> {
    inner: W,
    tape: Option<Tape>,
    _closes: Arc<Closes>,
}

/// A client's transport that records its bytes.
pub struct RecordedTransport<T> {
    inner: T,
    tape: Option<Tape>,
    _closes: Arc<Closes>,
}

impl<R> fmt::Debug for RecordedReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordedReader")
    }
}

impl<W> fmt::Debug for RecordedWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordedWriter")
    }
}

impl<T> fmt::Debug for RecordedTransport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordedTransport")
    }
}

fn note_read(tape: &mut Option<Tape>, bytes: &[u8], count: usize) {
    if let (Some(tape), Some(read)) = (Tape::live(tape), bytes.get(..count)) {
        match count {
            0 => tape.peer_closed(),
            _ => tape.received(read),
        }
    }
}

fn note_written(tape: &mut Option<Tape>, slices: &[IoSlice<'_>], mut count: usize) {
    if let Some(tape) = Tape::live(tape) {
        let pieces = slices.iter().map(|slice| {
            let written = slice.get(..count).unwrap_or(slice);
            count -= written.len();
            written
        });
        tape.sent(pieces.filter(|piece| !piece.is_empty()));
    }
}

impl<R: Read> Read for RecordedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count > 0 || !self.ended {
            self.ended = count == 0 && !buffer.is_empty();
            if !buffer.is_empty() {
                note_read(&mut self.tape, buffer, count);
            }
        }
        Ok(count)
    }
}

impl<W: Write> Write for RecordedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        note_written(&mut self.tape, &[IoSlice::new(bytes)], count);
        Ok(count)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let count = self.inner.write_vectored(slices)?;
        note_written(&mut self.tape, slices, count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Transport> Transport for RecordedTransport<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if !buffer.is_empty() {
            note_read(&mut self.tape, buffer, count);
        }
        Ok(count)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let count = self.inner.write_vectored(slices)?;
        note_written(&mut self.tape, slices, count);
        Ok(count)
    }

    fn is_quiet(&mut self) -> io::Result<bool> {
        self.inner.is_quiet()
    }

    fn unread_capacity(&self) -> usize {
        self.inner.unread_capacity()
    }

    fn is_local(&self) -> bool {
        self.inner.is_local()
    }

    #[cfg(unix)]
    fn send_descriptor(&mut self, descriptor: OwnedFd) -> Result<(), OwnedFd> {
        self.inner.send_descriptor(descriptor)
    }

    #[cfg(unix)]
    fn sends_descriptors(&self) -> bool {
        self.inner.sends_descriptors()
    }

    fn ended(&mut self) -> Box<dyn Error + Send + Sync> {
        self.inner.ended()
    }

    fn close(&mut self) -> io::Result<()> {
        self.inner.close()
    }
}
