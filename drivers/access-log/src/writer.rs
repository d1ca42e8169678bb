//! The thread that writes queued lines to a FIFO or device: it waits for whoever reads them, and looks for a new reader
//! when the old one has gone.

use crate::destination::Destination;
use crate::lines::{Lines, WriterTask};
use crate::system::wait_for_room;
use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long to wait before the path is opened again, and how long a slow reader can keep the thread from noticing that
/// the log has been reopened or closed.
const PATIENCE: Duration = Duration::from_millis(100);

/// Writes lines until the log is closed.
pub(crate) fn run(shared: &Lines) {
    let mut output = Output { file: None, is_torn: false };
    loop {
        match shared.next() {
            WriterTask::Output(file) => output.file = file,
            WriterTask::Line(line) if output.deliver(shared, &line) => shared.written(line),
            WriterTask::Line(_) | WriterTask::End => break,
        }
    }
    shared.ended();
}

struct Output {
    file: Option<File>,
    /// A part of a line was written last.
    is_torn: bool,
}

/// Why a line has not been written whole.
enum Obstacle {
    /// The reader is slow.
    Full,
    /// There is no reader, or writing failed.
    Gone,
}

impl Output {
    /// Writes a line whole, however long that takes. False when the log has been closed and it took too long.
    fn deliver(&mut self, shared: &Lines, line: &str) -> bool {
        let mut written = 0;
        loop {
            if let Some(output) = shared.take_output() {
                self.file = output;
                written = 0;
            }
            let obstacle = match self.write(shared, line.as_bytes(), &mut written) {
                Ok(()) => return true,
                Err(obstacle) => obstacle,
            };
            let (is_closing, is_late) = shared.closing();
            match obstacle {
                // Nobody is left to wait for.
                Obstacle::Gone if is_closing => return false,
                _ if is_late => return false,
                Obstacle::Gone => shared.pause(PATIENCE),
                Obstacle::Full => self.wait_for_reader(),
            }
        }
    }

    /// Writes what is left of a line as far as the reader takes it.
    fn write(&mut self, shared: &Lines, line: &[u8], written: &mut usize) -> Result<(), Obstacle> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open(shared)?),
        };
        if *written == 0 && self.is_torn {
            write_some(file, b"\n").map_err(|error| obstacle(&error))?;
            self.is_torn = false;
        }
        while let Some(rest) = line.get(*written..).filter(|rest| !rest.is_empty()) {
            match write_some(file, rest) {
                Ok(count) => {
                    *written += count;
                    self.is_torn = *written < line.len();
                }
                Err(error) => {
                    let obstacle = obstacle(&error);
                    if let Obstacle::Gone = obstacle {
                        self.file = None;
                        *written = 0;
                    }
                    return Err(obstacle);
                }
            }
        }
        Ok(())
    }

    fn wait_for_reader(&self) {
        if let Some(file) = &self.file {
            wait_for_room(file, PATIENCE);
        }
    }
}

fn open(shared: &Lines) -> Result<File, Obstacle> {
    match Destination::open(&shared.path) {
        Ok(Destination::Other(file)) => Ok(file),
        Ok(Destination::Regular(file)) => {
            // What comes from now on needs no queue; what is in it is written here.
            shared.reopen.store(true, Ordering::Relaxed);
            Ok(file)
        }
        Ok(Destination::NoReader) | Err(_) => Err(Obstacle::Gone),
    }
}

fn obstacle(error: &io::Error) -> Obstacle {
    if error.kind() == io::ErrorKind::WouldBlock { Obstacle::Full } else { Obstacle::Gone }
}

fn write_some(mut file: &File, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
