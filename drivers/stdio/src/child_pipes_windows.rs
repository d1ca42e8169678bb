//! The pipes to a child process, with timeouts. On Windows, where pipes cannot be polled: a thread per pipe waits for it.

use std::io::{self, Cursor, ErrorKind, IoSlice, Read, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use vgi_rpc_client::{Direction, Patience};

/// The maximum that is read or written at once.
const PIECE: usize = 64 << 10;

/// The child's stdin. Dropping it closes the pipe, unless a write that has timed out is still in progress.
#[derive(Debug)]
pub(crate) struct Input {
    pieces: SyncSender<Vec<u8>>,
    written: Receiver<io::Result<()>>,
}

impl Input {
    pub(crate) fn new(mut pipe: ChildStdin) -> io::Result<Self> {
        let (pieces, to_write) = sync_channel::<Vec<u8>>(1);
        let (done, written) = sync_channel(1);
        thread::Builder::new().name("vgi-rpc-input".into()).spawn(move || {
            for piece in to_write {
                if done.send(pipe.write_all(&piece)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { pieces, written })
    }

    /// Returns how many bytes the pipe accepts while the child reads none, which is unknown here.
    pub(crate) fn unread_capacity(&self) -> Option<usize> {
        None
    }

    pub(crate) fn write_vectored(
        &mut self,
        patience: &mut Patience,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let mut piece = Vec::new();
        for slice in slices {
            let room = PIECE - piece.len();
            piece.extend_from_slice(slice.get(..room).unwrap_or(slice));
        }
        let count = piece.len();
        let left = patience.next(Direction::Write)?;
        // There is room, since no write is in progress. The thread ends only with this value.
        self.pieces.try_send(piece).map_err(|_| io::Error::from(ErrorKind::BrokenPipe))?;
        let written = match left {
            Some(left) => self.written.recv_timeout(left),
            None => self.written.recv().map_err(RecvTimeoutError::from),
        };
        match written {
            Ok(written) => written.map(|()| count),
            Err(RecvTimeoutError::Timeout) => Err(io::Error::new(ErrorKind::TimedOut, "timed out sending")),
            Err(RecvTimeoutError::Disconnected) => Err(ErrorKind::BrokenPipe.into()),
        }
    }
}

/// The child's stdout.
#[derive(Debug)]
pub(crate) struct Output {
    pieces: Receiver<io::Result<Vec<u8>>>,
    /// Bytes that were received and not read yet.
    piece: Cursor<Vec<u8>>,
}

impl Output {
    pub(crate) fn new(mut pipe: ChildStdout) -> io::Result<Self> {
        let (came, pieces) = sync_channel(1);
        thread::Builder::new().name("vgi-rpc-output".into()).spawn(move || {
            loop {
                let mut piece = vec![0; PIECE];
                let read = vgi_rpc_transfer::retry(|| pipe.read(&mut piece));
                let is_last = !matches!(read, Ok(count) if count > 0);
                let piece = read.map(|count| {
                    piece.truncate(count);
                    piece
                });
                if came.send(piece).is_err() || is_last {
                    break;
                }
            }
        })?;
        Ok(Self { pieces, piece: Cursor::default() })
    }

    /// Reads some bytes; 0 at the end.
    pub(crate) fn read(&mut self, patience: &mut Patience, buffer: &mut [u8]) -> io::Result<usize> {
        // The call's time passes even if bytes keep coming.
        let left = patience.next(Direction::Read)?;
        if self.is_empty() {
            let came = match left {
                Some(left) => self.pieces.recv_timeout(left),
                None => self.pieces.recv().map_err(RecvTimeoutError::from),
            };
            self.piece = match came {
                Ok(piece) => Cursor::new(piece?),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(io::Error::new(ErrorKind::TimedOut, "timed out waiting for the answer"));
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            };
        }
        self.piece.read(buffer)
    }

    /// Whether a read would find neither bytes nor the end.
    pub(crate) fn is_quiet(&mut self) -> io::Result<bool> {
        if !self.is_empty() {
            return Ok(false);
        }
        match self.pieces.try_recv() {
            Ok(piece) => {
                self.piece = Cursor::new(piece?);
                Ok(false)
            }
            Err(TryRecvError::Empty) => Ok(true),
            // The next read reports the end.
            Err(TryRecvError::Disconnected) => Ok(false),
        }
    }

    fn is_empty(&self) -> bool {
        self.piece.position() >= self.piece.get_ref().len() as u64
    }
}
