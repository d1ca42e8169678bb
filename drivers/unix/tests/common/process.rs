//! A server in a process of its own, and what it takes of the system.
//!
//! The process is this same test program, told by its arguments to run one test that is otherwise ignored, and by
//! its environment what that one has to do.

use super::{Gate, PATIENCE, service, socket_path};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use vgi_rpc_unix::{Client, ConnectOptions, SocketServer};

/// What the process has to do: for a server, where to listen; for a client, where to connect.
const TASK: &str = "VGI_RPC_TEST_TASK";
/// Stands before what a process tells its parent; all else on that line is the test harness's.
const TELLS: &str = "tells: ";

/// What this process has to do, if it was started by [`Process::start`].
pub fn task() -> Option<String> {
    std::env::var(TASK).ok()
}

/// Tells the parent one line.
pub fn tell(line: &str) {
    println!("\n{TELLS}{line}");
    std::io::stdout().flush().unwrap();
}

/// Ends this process when its parent is no more, however that ended.
pub fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
}

/// The body of the test `server_process`: serves until killed.
pub fn serve() {
    let Some(task) = task() else { return };
    end_with_parent();
    // The panics that calls ask for are no news.
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

/// A child process. It is killed and waited for when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Its end tells the child that the parent is no more.
    _input: Option<ChildStdin>,
    /// What it said first.
    pub told: String,
}

impl Process {
    /// Runs one test of this program in a process of its own, and waits for the first line that it tells.
    pub fn start(test: &str, task: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
        // Memory is counted: one heap for all threads, and large blocks that go back to the system when freed.
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

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }

    /// Threads of all kinds.
    pub fn threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap().count()
    }

    /// Resident memory that belongs to no file, in KiB.
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

/// Where a server listens, as it says.
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
    /// A unix socket that nobody has used.
    pub fn new_unix() -> Self {
        Self::Unix(socket_path())
    }

    /// What a server process at this place has to do.
    pub fn task(&self) -> String {
        match self {
            Self::Unix(path) => format!("UNIX:{}", path.display()),
            Self::Tcp(address) => format!("TCP:{address}"),
        }
    }

    /// The place that a server told.
    pub fn of(told: &str) -> Self {
        match (told.strip_prefix("UNIX:"), told.strip_prefix("TCP:")) {
            (Some(path), _) => Self::Unix(Path::new(path).into()),
            (_, Some(address)) => Self::Tcp(address.into()),
            _ => panic!("expected an address, got {told:?}"),
        }
    }

    /// A client that does not wait for ever.
    pub fn connect(&self) -> std::io::Result<Client> {
        let options = ConnectOptions::default().read_timeout(PATIENCE);
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

    /// A socket without a client.
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

/// Starts a server process, and says where it listens.
pub fn start_server(place: &Place) -> (Process, Place) {
    let process = Process::start("server_process", &place.task());
    let place = Place::of(&process.told);
    (process, place)
}
