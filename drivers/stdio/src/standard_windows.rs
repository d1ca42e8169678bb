//! Takes over this process's stdin and stdout on Windows for a connection, which gets handles of its own.

use crate::error::ServeError;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, IntoRawHandle, RawHandle};
use std::path::Path;
use windows_sys::Win32::System::Console::{STD_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle};

/// Duplicates the standard handles for the connection. From then on stdin reads as the null device and stdout is stderr, here
/// and in child processes. A C library that has obtained its stdout before still writes to the connection.
///
/// # Errors
/// [`ServeError::Closed`] if the process was started without one of them; [`ServeError::Setup`] if the system refuses.
pub(crate) fn take_over() -> Result<(File, File), ServeError> {
    let null = OpenOptions::new().read(true).open("NUL")?;
    let input = private(io::stdin().as_handle(), "stdin")?;
    let output = private(io::stdout().as_handle(), "stdout")?;
    replace(STD_INPUT_HANDLE, null.into_raw_handle())?;
    replace(STD_OUTPUT_HANDLE, io::stderr().as_raw_handle())?;
    Ok((input, output))
}

/// Always false: files cannot be compared here, so an access log on stdout is not detected.
pub(crate) fn is_stdout(_: &Path) -> bool {
    false
}

/// Returns a duplicate that child processes do not inherit.
fn private(handle: BorrowedHandle<'_>, name: &'static str) -> Result<File, ServeError> {
    if handle.as_raw_handle().is_null() {
        return Err(ServeError::Closed(name));
    }
    Ok(File::from(handle.try_clone_to_owned()?))
}

/// Replaces a standard handle by `by`, which stays open for as long as the process runs.
fn replace(which: STD_HANDLE, by: RawHandle) -> io::Result<()> {
    // SAFETY: this stores a handle, which stays open.
    if unsafe { SetStdHandle(which, by) } == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
