//! Opening a browser.

use std::io::{self, ErrorKind};
use std::process::{Command, Stdio};

/// Opens a URL with the browser of the user's desktop: `xdg-open`, `open` on macOS, or the handler of URLs on Windows. It starts that
/// program, without a shell, and waits for it to end. For [`LoginBuilder::browser`](crate::LoginBuilder::browser).
///
/// # Errors
/// When the program cannot be started or fails, such as where there is no desktop.
pub fn open_browser(url: &str) -> io::Result<()> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(io::Error::new(ErrorKind::InvalidInput, "expected a URL of http or https"));
    }
    let mut command = match () {
        () if cfg!(windows) => {
            let mut command = Command::new("rundll32");
            command.arg("url.dll,FileProtocolHandler");
            command
        }
        () if cfg!(target_os = "macos") => Command::new("open"),
        () => Command::new("xdg-open"),
    };
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("the program that opens a browser failed")) }
}
