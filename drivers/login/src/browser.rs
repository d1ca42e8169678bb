//! Opening a browser.

use std::io::{self, ErrorKind};
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// How long the program has to say that it cannot open a browser.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Opens a URL with the browser of the user's desktop: `xdg-open`, `open` on macOS, or the handler of URLs on Windows. It starts that
/// program, without a shell, and waits for it for 2 s at most: some of them run as long as the browser does. For [`LoginBuilder::browser`](crate::LoginBuilder::browser).
///
/// # Errors
/// When the program cannot be started or fails within 2 s, such as where there is no desktop.
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
    watch(command.spawn()?)
}

/// Waits until the program has failed, or has had the time to.
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
    // Its end is waited for, so that the system can forget it.
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
