//! Prints the line with the worker's address, for which a launcher waits.

use std::ffi::OsStr;
use std::io::{self, Write};

/// Prints one line to stdout, of a kind (for example `PORT`) and an address, and then makes descriptor 1 stderr.
///
/// # Errors
/// If stdout cannot be written or replaced.
pub(crate) fn announce(kind: &str, place: &OsStr) -> io::Result<()> {
    let line = [kind.as_bytes(), b":", place.as_encoded_bytes(), b"\n"].concat();
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()?;
    // A launcher may end once it has read the line, and `println!` in a handler would then fail. If it continues, it must not
    // read anything else.
    #[cfg(unix)]
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok(())
}
