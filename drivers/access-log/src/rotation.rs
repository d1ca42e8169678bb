//! Moving a file aside once it has grown to a size.

use std::io;
use std::path::{Path, PathBuf};

/// When a file is moved aside, and how many of the moved ones are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation {
    pub(crate) max_bytes: u64,
    pub(crate) kept: u32,
}

impl Rotation {
    /// Moves `PATH` to `PATH.1`, that to `PATH.2`, and so on; the last one is removed.
    pub(crate) fn rotate(self, path: &Path) -> io::Result<()> {
        let numbered = |number: u32| {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        if self.kept == 0 {
            return ignore_missing(std::fs::remove_file(path));
        }
        for number in (1..self.kept).rev() {
            ignore_missing(std::fs::rename(numbered(number), numbered(number + 1)))?;
        }
        ignore_missing(std::fs::rename(path, numbered(1)))
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
