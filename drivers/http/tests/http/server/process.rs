//! The same test program as another process, running one test, and the resource usage of a process.

use super::PATIENCE;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Set for a process that was started by [`Process::start`].
const STARTED: &str = "VGI_RPC_HTTP_TEST_PROCESS";
/// The prefix of lines for the parent; all other output is the test harness's.
const TELLS: &str = "tells: ";

/// Whether this process was started by [`Process::start`], and not by hand.
pub fn is_started() -> bool {
    std::env::var_os(STARTED).is_some()
}

/// Sends the parent one line.
pub fn tell(line: &str) {
    println!("\n{TELLS}{line}");
    std::io::stdout().flush().unwrap();
}

/// Ends this process when its parent has ended.
pub fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
}

/// Runs the body of a test in its own process, where no other test runs: it measures the whole process. `test` is the name
/// of the calling test, with its modules.
pub fn alone(test: &str, body: impl FnOnce()) {
    if is_started() {
        end_with_parent();
        body();
        tell("passed");
        return;
    }
    let mut process = Process::start(test, 4096);
    assert_eq!(process.told(), "passed");
    let status = process.wait();
    assert!(status.success(), "{test}: {status}");
}

/// A child process. It is killed and waited for on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts this program's test of that name, which includes its modules, with a limit on descriptors.
    pub fn start(test: &str, descriptors: usize) -> Self {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &descriptors.to_string()])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--include-ignored", "--nocapture", "--test-threads=1"])
            .env(STARTED, "yes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the next line from the process.
    pub fn told(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            let count = self.output.read_line(&mut line).unwrap();
            assert!(count > 0, "the process ended without a line");
            if let Some((_, told)) = line.trim_end().split_once(TELLS) {
                return told.to_owned();
            }
        }
    }

    /// Sends the process a signal.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.id().to_string()]).status().unwrap();
        assert!(status.success(), "{status}");
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the process does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the number of open descriptors of this process.
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Returns the number of threads of this process that serve connections.
pub fn workers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // A thread may end during this look-up.
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.trim() == "vgi-rpc").count()
}

/// Returns a number of bytes that `/proc/PID/status` states in KiB, like `VmRSS` and `VmHWM`.
pub fn memory(process: u32, name: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}
