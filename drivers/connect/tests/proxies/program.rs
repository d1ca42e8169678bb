//! Programs that run during a test, and their files.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than any step that succeeds.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A folder of configuration files. It is deleted on drop.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }
}

/// A program that listens. It is killed on drop.
pub struct Running(Child);

impl Running {
    /// Starts the program, and waits until each port accepts connections.
    pub fn start(program: &str, arguments: &[&str], ports: &[u16]) -> Self {
        let mut command = Command::new(program);
        let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default());
        command.args(arguments).env("PATH", path).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut running = Self(command.spawn().unwrap());
        for port in ports {
            let begun = Instant::now();
            while TcpStream::connect(("127.0.0.1", *port)).is_err() {
                if running.0.try_wait().unwrap().is_some() || begun.elapsed() > PATIENCE {
                    let _ = running.0.kill();
                    let mut said = String::new();
                    running.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                    panic!("{program} does not listen on port {port}: {said}");
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns ports on which nothing listens at the moment.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.each_ref().map(|listener| listener.local_addr().unwrap().port())
}

/// Waits until a condition holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "expected that {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
