//! A regular file that lines are appended to: one write for one line, and no line on the end of a torn one.

use crate::destination::open_to_read;
use crate::rotation::Rotation;
use crate::system::is_same_file;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

/// How often a torn end is looked at before it is taken for one, a millisecond apart.
const LOOKS: usize = 4;

/// A log's file. Other processes may append to it, move it and cut it.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: File,
    /// The length after the last look or write. If the file has another length now, another process wrote to it.
    len: u64,
    /// The file does not end with a whole line.
    is_torn: bool,
    is_lost: bool,
}

impl LogFile {
    /// The file that was opened at this path.
    pub(crate) fn new(file: File, path: &Path) -> Self {
        let mut file = Self { file, len: 0, is_torn: false, is_lost: false };
        file.look(path);
        file
    }

    /// Whether the file has to make room for a line of this many bytes.
    pub(crate) fn is_full(&self, rotation: Rotation, bytes: usize) -> bool {
        self.len > 0 && self.len + bytes as u64 > rotation.max_bytes
    }

    /// Whether the path still leads to this file.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        let found =
            std::fs::metadata(path).and_then(|found| Ok(is_same_file(&self.file.metadata()?, &found)));
        found.unwrap_or(false)
    }

    /// Whether nothing can be said of the file any more, so that the path is to be opened anew.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Writes a line, which ends with a line feed.
    pub(crate) fn append(&mut self, path: &Path, mut line: String) -> io::Result<()> {
        self.look(path);
        if self.is_torn {
            line.insert(0, '\n');
        }
        let bytes = line.as_bytes();
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
        if let Some(last) = written.checked_sub(1) {
            self.is_torn = bytes.get(last) != Some(&b'\n');
        }
        // The rest is not written behind: in between somebody else may have written a line. One that lacks nothing but
        // its end is whole.
        if written + 1 >= bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Reads the file's end if another process has written to it.
    fn look(&mut self, path: &Path) {
        // A line that is being written shows its first pages early, so a torn end is looked at again. Should it still be
        // mistaken for one, an empty line follows it and nothing is lost.
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

/// The file is the right one, and will take lines again once there is room.
fn is_lack_of_space(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), FileTooLarge | QuotaExceeded | StorageFull)
}

/// Whether the file at this path does not end with a line feed; `None` if it is not the file of this metadata, or cannot
/// be read. An empty file ends with a whole line.
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
