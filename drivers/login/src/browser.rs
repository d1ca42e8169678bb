//! Opens a browser.

use std::io::{self, ErrorKind};
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// How long to wait for the program to fail.
const PATIENCE: Duration = Duration::from_secs(2);
/// The interval between checks.
const PAUSE: Duration = Duration::from_millis(20);

/// Opens a URL with the browser of the user's desktop: `xdg-open`, `open` on macOS, or the URL handler on Windows. It starts that
/// program without a shell, and waits for it for at most 2 s: some of these programs run as long as the browser. For
/// [`LoginBuilder::browser`](crate::LoginBuilder::browser).
///
/// # Errors
/// If the program cannot be started or fails within 2 s, for example without a desktop.
pub fn open_browser(url: &str) -> io::Result<()> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(io::Error::new(ErrorKind::InvalidInput, "expected an http or https URL"));
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
    watch(command.spawn()?)
}

/// Waits until the program has failed, or until the wait has passed.
fn watch(mut child: Child) -> io::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(_) => return Err(io::Error::other("the program that opens a browser failed")),
            None if Instant::now() >= end => break,
            None => sleep(PAUSE),
        }
    }
    // The process is awaited, so that it does not remain a zombie.
    thread::Builder::new().name("vgi-login-browser".into()).spawn(move || child.wait())?;
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_told_from_one_that_runs() {
        let run = |script: &str| watch(Command::new("sh").args(["-c", script]).spawn()?);
        assert!(run("exit 0").is_ok() && run("exit 3").is_err());
        let started = Instant::now();
        assert!(run("sleep 4; exit 3").is_ok());
        assert!(started.elapsed() < Duration::from_millis(3500));
    }
}
