//! Stores a login in a file that only its owner can read.

use crate::store::TokenStore;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The maximum size of the file.
const MAX_BYTES: u64 = 256 << 10;

/// Stores a login in a file with mode 0600, which is replaced atomically. It refuses a file that its group or others can read or
/// write, a file of another user, and a symbolic link. On Windows the directory determines who can read it: choose one of the
/// user's own.
///
/// A file is for the login at one server. Two programs that share a file use the tokens of the one that saved last; if the server
/// rotates refresh tokens, the other program's user has to sign in again.
#[derive(Debug)]
pub struct FileTokenStore {
    path: PathBuf,
}

impl FileTokenStore {
    /// Creates a store at this path. Its directory must exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the path of a file in the same directory, with a unique name.
    fn temporary(&self) -> io::Result<PathBuf> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let mut name = self.path.file_name().map_or_else(OsString::new, ToOwned::to_owned);
        name.push(format!(".{:016x}.tmp", u64::from_le_bytes(random)));
        Ok(self.path.with_file_name(name))
    }
}

impl TokenStore for FileTokenStore {
    fn load(&self) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let file = match open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        check(&file)?;
        // The buffer is not reallocated during reading, so that no copy remains in memory.
        let mut login = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize + 1));
        file.take(MAX_BYTES + 1).read_to_end(&mut login)?;
        if login.len() as u64 > MAX_BYTES {
            return Err(io::Error::new(ErrorKind::InvalidData, "expected a file of at most 256 KiB"));
        }
        Ok(Some(login))
    }

    fn save(&self, login: &[u8]) -> io::Result<()> {
        let temporary = self.temporary()?;
        let written = write(&temporary, login).and_then(|()| fs::rename(&temporary, &self.path));
        if written.is_err() {
            // Whatever remains of it is secret.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn erase(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn write(path: &Path, login: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(login)?;
    file.sync_all()
}

/// Opens the file for reading. Does not follow a link or wait for a pipe.
fn open(path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
    }
    #[cfg(not(unix))]
    File::open(path)
}

/// Refuses a file that other users can read or write.
#[cfg(unix)]
fn check(file: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let metadata = file.metadata()?;
    let mode = metadata.permissions().mode() & 0o777;
    if !metadata.is_file() || mode & 0o077 != 0 {
        let text =
            format!("expected a file that only its owner can read and write (mode 600), got mode {mode:o}");
        return Err(io::Error::new(ErrorKind::PermissionDenied, text));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        let text = "expected a file of the user that runs this program, got one of another user";
        return Err(io::Error::new(ErrorKind::PermissionDenied, text));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("login.json");
        write(&path, b"one").unwrap();
        assert_eq!(write(&path, b"two").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }
}
