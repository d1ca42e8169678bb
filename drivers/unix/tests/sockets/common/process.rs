//! A server in its own process, and its resource usage.
//!
//! The process is this same test program: its arguments select one test, and its environment contains the task.

use super::{Gate, PATIENCE, service, socket_path};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use vgi_rpc_unix::{Client, SocketOptions, SocketServer};

/// The task of the process: for a server, the address to listen on; for a client, the address to connect to.
const TASK: &str = "VGI_RPC_TEST_TASK";
/// The prefix of lines for the parent; all other output is the test harness's.
const TELLS: &str = "tells: ";

/// Returns the task of this process, if it was started by [`Process::start`].
pub fn task() -> Option<String> {
    std::env::var(TASK).ok()
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
        std::process::exit(0);
    });
}

/// Runs the body of a test in its own process, where no other test runs: it measures or changes the whole process. `test`
/// is the name of the calling test, with its modules.
pub fn alone(test: &str, body: impl FnOnce()) {
    if task().is_none() {
        assert_eq!(Process::start(test, "run alone").told, "passed");
        return;
    }
    end_with_parent();
    body();
    tell("passed");
}

/// The body of the test `server_process`: serves until killed.
pub fn serve() {
    let Some(task) = task() else { return };
    end_with_parent();
    // The panics that calls ask for are not reported.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some("as asked") {
            report(info);
        }
    }));
    let server = SocketServer::new(service(&Gate::default()));
    let bound = match task.strip_prefix("UNIX:") {
        Some(path) => server.bind_unix(path).unwrap(),
        None => server.bind_tcp("0").unwrap(),
    };
    tell(&bound.address().to_string());
    bound.run().unwrap();
}

/// A child process. It is killed and waited for on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Its end notifies the child that the parent has ended.
    _input: Option<ChildStdin>,
    /// Its first line.
    pub told: String,
}

impl Process {
    /// Runs one test of this program in its own process, and waits for the first line from it. The test's name includes
    /// its modules.
    pub fn start(test: &str, task: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--include-ignored", "--nocapture", "--test-threads=1"]);
        // For the memory count: one heap for all threads, and large blocks that are returned to the system when freed.
        command.env("MALLOC_ARENA_MAX", "1").env("MALLOC_MMAP_THRESHOLD_", "131072").env(TASK, task);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let told = loop {
            line.clear();
            let count = output.read_line(&mut line).unwrap();
            assert!(count > 0, "{test} ended at once");
            if let Some(told) = line.strip_prefix(TELLS) {
                break told.trim_end().to_owned();
            }
        };
        Self { _input: child.stdin.take(), child, told }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) -> ExitStatus {
        self.child.kill().unwrap();
        self.child.wait().unwrap()
    }

    /// Returns the number of open descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }

    /// Returns the number of threads.
    pub fn threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap().count()
    }

    /// Returns the resident memory that is not file-backed, in KiB.
    pub fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address that a server reports.
#[derive(Clone, Debug)]
pub enum Place {
    Unix(PathBuf),
    Tcp(String),
}

/// A connected socket of either family.
pub trait Socket: Read + Write + AsFd {}
impl Socket for UnixStream {}
impl Socket for TcpStream {}

impl Place {
    /// Returns an unused unix socket.
    pub fn new_unix() -> Self {
        Self::Unix(socket_path())
    }

    /// Returns the task of a server process at this address.
    pub fn task(&self) -> String {
        match self {
            Self::Unix(path) => format!("UNIX:{}", path.display()),
            Self::Tcp(address) => format!("TCP:{address}"),
        }
    }

    /// Parses the address that a server reported.
    pub fn of(told: &str) -> Self {
        match (told.strip_prefix("UNIX:"), told.strip_prefix("TCP:")) {
            (Some(path), _) => Self::Unix(Path::new(path).into()),
            (_, Some(address)) => Self::Tcp(address.into()),
            _ => panic!("expected an address, got {told:?}"),
        }
    }

    /// Returns a client with timeouts.
    pub fn connect(&self) -> std::io::Result<Client> {
        let options = SocketOptions::default().read_timeout(PATIENCE);
        match self {
            Self::Unix(path) => options.unix(path),
            Self::Tcp(address) => options.tcp(address),
        }
    }

    /// Removes the socket file that a killed server could not remove.
    pub fn clean_up(&self) {
        if let Self::Unix(path) = self {
            std::fs::remove_file(path).unwrap();
        }
    }

    /// Returns a socket without a client.
    pub fn raw(&self) -> Box<dyn Socket> {
        use rustix::net::sockopt::{Timeout, set_socket_timeout};
        let socket: Box<dyn Socket> = match self {
            Self::Unix(path) => Box::new(UnixStream::connect(path).unwrap()),
            Self::Tcp(address) => Box::new(TcpStream::connect(address).unwrap()),
        };
        for direction in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(&*socket, direction, Some(PATIENCE)).unwrap();
        }
        socket
    }
}

/// Starts a server process. Returns it with its address.
pub fn start_server(place: &Place) -> (Process, Place) {
    let process = Process::start("server_process", &place.task());
    let place = Place::of(&process.told);
    (process, place)
}
