//! A regular file to which lines are appended: one write per line, and never after an incomplete line.

use crate::destination::open_to_read;
use crate::rotation::Rotation;
use crate::system::is_same_file;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// How often an incomplete end is checked before it is taken for one, a millisecond apart.
const LOOKS: usize = 4;

/// A log's file. Other processes may append to it, rename it and truncate it.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: File,
    /// The length after the last check or write. If it differs from the file's, another process has written to the file.
    len: u64,
    /// The file does not end with a complete line.
    is_torn: bool,
    is_lost: bool,
    /// When it was last written to, since the Unix epoch.
    written: Duration,
}

impl LogFile {
    /// Creates the state of the file that was opened at this path.
    pub(crate) fn new(file: File, path: &Path) -> Self {
        let modified = file.metadata().and_then(|metadata| metadata.modified()).unwrap_or(UNIX_EPOCH);
        let written = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut file = Self { file, len: 0, is_torn: false, is_lost: false, written };
        file.look(path);
        file
    }

    /// Moves the file aside if it is due before a line of this many bytes; the path must then be reopened. Returns `None` if it
    /// is not due, and false if the path leads to another file by now, which is left unchanged.
    pub(crate) fn make_room(
        &self,
        path: &Path,
        rotation: Option<Rotation>,
        bytes: usize,
        now: Duration,
    ) -> Option<io::Result<bool>> {
        let rotation = rotation.filter(|rotation| rotation.is_due(self.len, self.written, bytes, now))?;
        Some(match self.is_at(path) {
            true => rotation.rotate(path, self.written).map(|()| true),
            false => Ok(false),
        })
    }

    /// Whether the path still leads to this file.
    fn is_at(&self, path: &Path) -> bool {
        let found =
            std::fs::metadata(path).and_then(|found| Ok(is_same_file(&self.file.metadata()?, &found)));
        found.unwrap_or(false)
    }

    /// Whether the file's state cannot be determined any more, so that the path must be reopened.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Writes a line, which ends with a line feed.
    pub(crate) fn append(&mut self, path: &Path, line: &str, now: Duration) -> io::Result<()> {
        self.look(path);
        let separated;
        let bytes = match self.is_torn {
            true => {
                separated = ["\n", line].concat();
                separated.as_bytes()
            }
            false => line.as_bytes(),
        };
        let written = loop {
            match self.file.write(bytes) {
                Ok(written) => break written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_lost = !is_lack_of_space(&error);
                    return Err(error);
                }
            }
        };
        self.len += written as u64;
        self.written = now;
        if let Some(last) = written.checked_sub(1) {
            self.is_torn = bytes.get(last) != Some(&b'\n');
        }
        // The rest is not appended, because another process may have written a line in between. A line that lacks only its line
        // feed is complete.
        if written + 1 >= bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Checks the file's end if another process has written to it.
    fn look(&mut self, path: &Path) {
        // A line that is being written becomes visible in parts, so an incomplete end is checked again. If it is still mistaken
        // for one, an empty line follows it and nothing is lost.
        for look in 1.. {
            let Ok(metadata) = self.file.metadata() else {
                self.is_lost = true;
                return;
            };
            if metadata.len() == self.len {
                return;
            }
            let is_torn = ends_torn(path, &metadata).unwrap_or(self.is_torn);
            if is_torn && !self.is_torn && look < LOOKS {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            (self.len, self.is_torn) = (metadata.len(), is_torn);
            return;
        }
    }
}

/// Whether the file can be written again once there is room.
fn is_lack_of_space(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), FileTooLarge | QuotaExceeded | StorageFull)
}

/// Whether the file at this path does not end with a line feed; `None` if it is not the file of this metadata, or cannot be
/// read. An empty file counts as complete.
fn ends_torn(path: &Path, of: &Metadata) -> Option<bool> {
    let Some(last_at) = of.len().checked_sub(1) else { return Some(false) };
    let mut file = open_to_read(path).ok()?;
    if !is_same_file(&file.metadata().ok()?, of) {
        return None;
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(last_at)).ok()?;
    file.read_exact(&mut last).ok()?;
    Some(last != *b"\n")
}
