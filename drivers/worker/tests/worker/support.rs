//! Workers as processes, and their clients.

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vgi_rpc_connect::{CallError, Client, Remote, connect};

/// The role of a process of this program, other than running the tests.
pub const ROLE: &str = "VGI_RPC_TEST_ROLE";
/// The limit for steps that should be immediate.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns the role of this process, if it was started by a test.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Returns a command for this program, with no worker variables except its role.
pub fn process(role: &str, flags: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("VGI_") {
            command.env_remove(name);
        }
    }
    command.args(flags).env(ROLE, role).stdin(Stdio::null());
    command
}

/// Runs the greeter until it ends.
pub fn output(flags: &[&str]) -> Output {
    process("greeter", flags).output().unwrap()
}

/// Returns the output of a process as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A worker that listens. It is killed and waited for on drop.
#[derive(Debug)]
pub struct Listening {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Its first line.
    pub line: String,
}

impl Listening {
    pub fn start(flags: &[&str]) -> Self {
        Self::run(process("greeter", flags))
    }

    pub fn run(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line.pop(), Some('\n'), "the first line: {line:?}");
        Self { child, stdout, line }
    }

    /// Returns the text after the prefix in its first line.
    pub fn place(&self, prefix: &str) -> &str {
        self.line.strip_prefix(prefix).unwrap_or_else(|| panic!("expected {prefix}, got {}", self.line))
    }

    /// Ends it, and returns its stdout after the first line.
    pub fn rest_of_stdout(mut self) -> String {
        self.child.kill().unwrap();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        rest
    }

    /// Ends it, and returns its stderr, which must be a pipe.
    pub fn stderr(mut self) -> String {
        self.child.kill().unwrap();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }

    #[cfg(unix)]
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Returns its exit status, once it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the worker does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn hello() -> Remote {
    Remote::new("demo.Hello.v1").version("1.0.0")
}

/// Calls the method `greet` of a server. Returns the greeting.
pub fn greet(address: &str, name: &str) -> Result<String, CallError> {
    greet_by(&mut connect(address).unwrap(), name)
}

pub fn greet_by(client: &mut Client, name: &str) -> Result<String, CallError> {
    let name: ArrayRef = Arc::new(StringArray::from(vec![name]));
    let params = RecordBatch::try_from_iter([("name", name)]).unwrap();
    let greeting = client.unary(&hello().method("greet"), &params)?;
    Ok(greeting.column(0).as_string::<i32>().value(0).to_owned())
}
