//! Kinds of descriptors for a worker's stdin and stdout, on Unix.

use super::*;
use rustix::fs::{OFlags, fcntl_getfl};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Output;

/// Larger than the buffers between two processes.
const LARGE_BYTES: usize = 6 << 20;

/// Returns a worker on the non-blocking end of a socket, the other end, which blocks, and a copy of the worker's end.
fn non_blocking_worker() -> (std::process::Child, UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    ours.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let end = || Stdio::from(OwnedFd::from(theirs.try_clone().unwrap()));
    let process = worker().stdin(end()).stdout(end()).stderr(Stdio::piped()).spawn().unwrap();
    (process, ours, theirs)
}

/// Ends the worker, which must succeed.
fn end((process, ours, theirs): (std::process::Child, UnixStream, UnixStream)) {
    assert!(fcntl_getfl(&theirs).unwrap().contains(OFlags::NONBLOCK), "other processes share the flag");
    drop((ours, theirs));
    let output = process.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*String::from_utf8_lossy(&output.stderr)), (Some(0), ""));
}

pub fn non_blocking_input() {
    let mut worker = non_blocking_worker();
    let request = request("greet");
    // Before the first byte, and within a message.
    for part in [&request[..0], &request[..100], &request[100..]] {
        worker.1.write_all(part).unwrap();
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(worker.0.try_wait().unwrap(), None, "the worker waits");
    }
    let mut answer = [0; 8];
    worker.1.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..4], [0xff; 4]);
    end(worker);
}

pub fn non_blocking_output() {
    let mut worker = non_blocking_worker();
    let data = BinaryArray::from_vec(vec![&[7; LARGE_BYTES]]);
    let mut writer = worker.1.try_clone().unwrap();
    let sender = std::thread::spawn(move || writer.write_all(&request_with("echo", one("data", data))));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(worker.0.try_wait().unwrap(), None, "the worker waits");
    let mut left = LARGE_BYTES;
    while left > 0 {
        let mut piece = vec![0; 1 << 20];
        let count = worker.1.read(&mut piece).unwrap();
        assert!(count > 0);
        left = left.saturating_sub(piece[..count].iter().filter(|byte| **byte == 7).count());
    }
    sender.join().unwrap().unwrap();
    end(worker);
}

/// Runs a worker from a shell with these redirections.
fn redirect(redirections: &str) -> Output {
    let program = std::env::current_exe().unwrap();
    let script = format!("exec \"$0\" worker {redirections}");
    Command::new("sh").arg("-c").arg(script).arg(program).stdin(Stdio::null()).output().unwrap()
}

pub fn closed() {
    for (redirections, named) in [("<&-", "stdin"), (">&- </dev/zero", "stdout"), ("<>/dev/null", "stdin")] {
        let output = redirect(redirections);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.starts_with(&format!("{named} is closed, or the null device")),
            "{redirections}: {said}"
        );
        assert_eq!(output.status.code(), Some(1), "{redirections}");
    }
}

pub fn redirected() {
    for redirections in ["</dev/null", "</dev/null >/dev/null"] {
        let output = redirect(redirections);
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{redirections}");
    }
}
