//! The line that says where a worker listens: what a launcher waits for.

use std::ffi::OsStr;
use std::io::{self, Write};

/// Prints one line to stdout, of a kind such as `PORT` and a place, and makes descriptor 1 stderr from then on.
///
/// # Errors
/// When stdout cannot be written to or replaced.
pub(crate) fn announce(kind: &str, place: &OsStr) -> io::Result<()> {
    let line = [kind.as_bytes(), b":", place.as_encoded_bytes(), b"\n"].concat();
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()?;
    // A launcher that has read the line may end: a handler's `println!` would then fail. One that lives on must not read
    // anything else.
    #[cfg(unix)]
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok(())
}
