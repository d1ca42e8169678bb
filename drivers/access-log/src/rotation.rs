//! Moves a file aside once it has grown to a size, or when a period of time is over.

use crate::period::RotationPeriod;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The maximum number of moved files of the same period.
const MOST_IN_PERIOD: u32 = 10_000;

/// When a file is moved aside, and how many of the moved ones are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation {
    pub(crate) when: When,
    pub(crate) kept: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// When it would have more bytes than this.
    Size(u64),
    /// When its last record is of an earlier period.
    Period(RotationPeriod),
}

impl Rotation {
    /// Whether a file of `len` bytes, last written at `written`, must be moved before a line of `bytes` is written at `now`.
    pub(crate) fn is_due(self, len: u64, written: Duration, bytes: usize, now: Duration) -> bool {
        len > 0
            && match self.when {
                When::Size(most) => len + bytes as u64 > most,
                When::Period(period) => period.start(written) < period.start(now),
            }
    }

    /// Moves a file aside; its last record is from `written`.
    pub(crate) fn rotate(self, path: &Path, written: Duration) -> io::Result<()> {
        if self.kept == 0 {
            return ignore_missing(std::fs::remove_file(path));
        }
        match self.when {
            When::Size(_) => self.shift(path),
            When::Period(period) => {
                ignore_missing(std::fs::rename(path, free_name(path, &period.name(written))?))?;
                self.remove_oldest(path, period)
            }
        }
    }

    /// Renames `PATH` to `PATH.1`, that to `PATH.2`, and so on; the last one is removed.
    fn shift(self, path: &Path) -> io::Result<()> {
        let numbered = |number: u32| suffixed(path, &number.to_string());
        for number in (1..self.kept).rev() {
            ignore_missing(std::fs::rename(numbered(number), numbered(number + 1)))?;
        }
        ignore_missing(std::fs::rename(path, numbered(1)))
    }

    /// Removes the oldest moved files, if there are too many. Files that cannot be removed stay.
    fn remove_oldest(self, path: &Path, period: RotationPeriod) -> io::Result<()> {
        let (Some(folder), Some(own)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
        else {
            return Ok(());
        };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let mut moved = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let name = entry?.file_name();
            let suffix = name.to_str().and_then(|name| name.strip_prefix(own)?.strip_prefix('.'));
            let Some(suffix) = suffix else { continue };
            let (of, number) = suffix.split_once('.').unwrap_or((suffix, "0"));
            if let (true, Ok(number)) = (period.is_name(of), number.parse::<u32>()) {
                moved.push((of.to_owned(), number, folder.join(&name)));
            }
        }
        // Names of the same period length sort by time.
        moved.sort_unstable();
        let most = usize::try_from(self.kept).unwrap_or(usize::MAX);
        for (_, _, path) in moved.iter().take(moved.len().saturating_sub(most)) {
            ignore_missing(std::fs::remove_file(path))?;
        }
        Ok(())
    }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{suffix}"));
    PathBuf::from(name)
}

/// Returns an unused name beside the path: a moved file is never replaced.
fn free_name(path: &Path, suffix: &str) -> io::Result<PathBuf> {
    let names = (0..MOST_IN_PERIOD).map(|number| match number {
        0 => suffixed(path, suffix),
        number => suffixed(path, &format!("{suffix}.{number}")),
    });
    let is_free = |name: &PathBuf| {
        std::fs::symlink_metadata(name).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    names.into_iter().find(is_free).ok_or_else(|| io::ErrorKind::AlreadyExists.into())
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
