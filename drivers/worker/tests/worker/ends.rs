//! How a worker ends.

#[cfg(any(feature = "unix", feature = "http"))]
use crate::support::{Listening, greet};
use crate::support::{ROLE, greet_by, process};
use rustix::process::{Pid, Signal};
use std::process::Stdio;
use vgi_rpc_connect::connect;

pub fn input() {
    let mut child = process("greeter", &[]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

pub fn signals() {
    for signal in [Signal::TERM, Signal::INT] {
        #[cfg(feature = "unix")]
        {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("socket");
            let mut worker = Listening::start(&["--unix", path.to_str().unwrap()]);
            greet(&format!("unix:{}", path.display()), "world").unwrap();
            worker.signal(signal);
            assert_eq!(worker.wait().code(), Some(0));
            assert!(!path.exists());

            let mut worker = Listening::start(&["--tcp", "0"]);
            worker.signal(signal);
            assert_eq!(worker.wait().code(), Some(0));
        }
        #[cfg(feature = "http")]
        {
            let mut worker = Listening::start(&["--http"]);
            greet(&format!("http://127.0.0.1:{}", worker.place("PORT:")), "world").unwrap();
            worker.signal(signal);
            assert_eq!(worker.wait().code(), Some(0));
        }
        pipe(signal);
    }
}

/// A worker on stdin and stdout that has answered a call.
fn pipe(signal: Signal) {
    let folder = tempfile::tempdir().unwrap();
    let (program, log) = (std::env::current_exe().unwrap(), folder.path().join("{pid}"));
    let mut client =
        connect(&format!("cmd:env {ROLE}=greeter '{}' --access-log '{}'", program.display(), log.display()))
            .unwrap();
    greet_by(&mut client, "world").unwrap();
    let log = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
    let pid = log.file_name().to_str().unwrap().parse().unwrap();
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    // Fails if the worker does not end with status 0.
    client.close().unwrap();
}

#[cfg(feature = "unix")]
pub fn idle() {
    let mut worker = Listening::start(&["--tcp", "0", "--idle-timeout", "0.1"]);
    greet(&format!("tcp:{}", worker.place("TCP:")), "world").unwrap();
    assert_eq!(worker.wait().code(), Some(0));
}
