//! The thread that writes queued lines to a FIFO or device: it waits for the reader, and for a new one if the old one has
//! closed it. If the log is written in the background, it also writes to a regular file.

use crate::destination::Destination;
use crate::events;
use crate::file::LogFile;
use crate::lines::{Lines, WriterTask};
use crate::system::wait_for_room;
use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time until the path is opened again, and the maximum time for which a slow reader can keep the thread from noticing that
/// the log has been reopened or closed.
const PATIENCE: Duration = Duration::from_millis(100);

/// Writes lines until the log is closed.
pub(crate) fn run(shared: &Lines) {
    let mut output = Output { file: None, is_torn: false, is_failing: false };
    loop {
        match shared.next() {
            WriterTask::Output(file) => output.file = file.map(Open::Stream),
            WriterTask::Line(line) if output.deliver(shared, &line) => shared.written(line),
            WriterTask::Line(_) | WriterTask::End => break,
        }
    }
    shared.ended();
}

struct Output {
    file: Option<Open>,
    /// The last line was written only in part.
    is_torn: bool,
    /// An event has reported that a regular file cannot be written.
    is_failing: bool,
}

/// The file at the path.
enum Open {
    Stream(File),
    File(LogFile),
}

/// Why a line has not been written completely.
enum Obstacle {
    /// The reader is slow.
    Full,
    /// There is no reader, or writing failed.
    Gone,
    /// A regular file cannot be written.
    Failing(io::Error),
}

impl Output {
    /// Writes a whole line, however long that takes. Returns false if the log has been closed and its time limit has passed.
    fn deliver(&mut self, shared: &Lines, line: &str) -> bool {
        let mut written = 0;
        loop {
            if let Some(output) = shared.take_output() {
                self.file = output.map(Open::Stream);
                written = 0;
            }
            let obstacle = match self.write(shared, line.as_bytes(), &mut written) {
                Ok(()) => {
                    self.is_failing = false;
                    return true;
                }
                Err(obstacle) => obstacle,
            };
            if let Obstacle::Failing(error) = &obstacle
                && !std::mem::replace(&mut self.is_failing, true)
            {
                events::waiting(&shared.path, error);
            }
            let (is_closing, is_late) = shared.closing();
            match obstacle {
                // There is no reader to wait for.
                Obstacle::Gone | Obstacle::Failing(_) if is_closing => return false,
                _ if is_late => return false,
                Obstacle::Gone | Obstacle::Failing(_) => shared.pause(PATIENCE),
                Obstacle::Full => self.wait_for_reader(),
            }
        }
    }

    /// Writes the rest of a line as far as the reader accepts it.
    fn write(&mut self, shared: &Lines, line: &[u8], written: &mut usize) -> Result<(), Obstacle> {
        let opened = match &mut self.file {
            Some(file) => file,
            none => none.insert(open(shared)?),
        };
        let file = match opened {
            Open::Stream(file) => file,
            Open::File(file) => {
                let appended = append(file, shared, line);
                if !matches!(appended, Ok(true)) {
                    self.file = None;
                }
                return match appended {
                    Ok(true) => Ok(()),
                    // It was moved aside, and a new one must be opened.
                    Ok(false) => self.write(shared, line, written),
                    Err(error) => Err(Obstacle::Failing(error)),
                };
            }
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
        if let Some(Open::Stream(file)) = &self.file {
            wait_for_room(file, PATIENCE);
        }
    }
}

/// Appends a line to a regular file. Returns false, with nothing written, if the path must be reopened before.
fn append(file: &mut LogFile, shared: &Lines, line: &[u8]) -> io::Result<bool> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let rotation = shared.files.and_then(|rules| rules.rotation);
    match file.make_room(&shared.path, rotation, line.len(), now) {
        Some(moved) => {
            if moved? {
                events::rotated(&shared.path);
            }
            Ok(false)
        }
        None => {
            // The line was created as a `String`.
            let line = std::str::from_utf8(line).map_err(io::Error::other)?;
            file.append(&shared.path, line, now).map(|()| true)
        }
    }
}

fn open(shared: &Lines) -> Result<Open, Obstacle> {
    match Destination::open(&shared.path) {
        Ok(Destination::Other(file)) => Ok(Open::Stream(file)),
        Ok(Destination::Regular(file)) if shared.files.is_some() => {
            Ok(Open::File(LogFile::new(file, &shared.path)))
        }
        Ok(Destination::Regular(file)) => {
            // Later lines need no queue; the queued ones are written here.
            shared.reopen.store(true, Ordering::Relaxed);
            Ok(Open::Stream(file))
        }
        Err(error) if shared.files.is_some() => Err(Obstacle::Failing(error)),
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
