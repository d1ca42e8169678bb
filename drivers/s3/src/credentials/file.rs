//! Reads files that contain credentials, with limits.

use super::error::CredentialsError;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// The maximum size of a file.
const MAX_BYTES: u64 = 1 << 20;
/// This file counts as empty. Variables such as `AWS_CONFIG_FILE` are set to it so that no file is read.
const NULL_DEVICE: &str = "/dev/null";

/// Reads a regular file of at most 1 MiB.
pub(super) fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    if path == Path::new(NULL_DEVICE) {
        return Ok(text);
    }
    let invalid = |expected: &'static str| io::Error::new(io::ErrorKind::InvalidData, expected);
    // This is checked before opening the file, which would block if it is a pipe.
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(invalid("expected a regular file"));
    }
    // A growing buffer would leave copies behind that are not wiped.
    text.reserve_exact(usize::try_from(metadata.len().min(MAX_BYTES)).unwrap_or(0).saturating_add(1));
    File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(invalid("expected at most 1 MiB"));
    }
    Ok(text)
}

/// Creates the error for a file that cannot be read.
pub(super) fn error(path: &Path, error: &io::Error) -> CredentialsError {
    CredentialsError::File { path: path.to_owned(), error: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_limited_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let largest = "x".repeat(1 << 20);
        std::fs::write(&file, &largest).unwrap();
        assert_eq!(*read(&file).unwrap(), largest);
        std::fs::write(&file, largest + "x").unwrap();
        let said = |path: &Path| read(path).unwrap_err().to_string();
        assert_eq!(said(&file), "expected at most 1 MiB");
        assert_eq!(said(folder.path()), "expected a regular file");
        assert_eq!(read(&folder.path().join("absent")).unwrap_err().kind(), io::ErrorKind::NotFound);
        if cfg!(unix) {
            assert_eq!(said(Path::new("/dev/zero")), "expected a regular file");
            assert_eq!(*read(Path::new("/dev/null")).unwrap(), "");
        }
    }
}
