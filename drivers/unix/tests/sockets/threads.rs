//! A server when the system refuses to start threads.

use crate::common::process::{Process, end_with_parent, task, tell};
use crate::common::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::thread;
use vgi_rpc_unix::SocketServer;

/// Leaves this process too little memory for the stack of another thread. Unlike a limit on processes, this also applies
/// to privileged users.
fn refuse_threads() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmSize:")).unwrap();
    let used: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    let limit = Rlimit { current: Some((used << 10) + (3 << 19)), maximum: getrlimit(Resource::As).maximum };
    setrlimit(Resource::As, limit).unwrap();
    assert!(thread::Builder::new().spawn(|| ()).is_err(), "expected that no thread can be started");
}

#[test]
fn a_server_without_a_thread_is_not_bound() {
    let process = Process::start("threads::bind_without_threads", "bind");
    assert!(process.told.contains("the system refuses a thread"), "{}", process.told);
}

#[test]
#[ignore = "a process that another test starts"]
fn bind_without_threads() {
    if task().is_none() {
        return;
    }
    end_with_parent();
    let server = SocketServer::new(service(&Gate::default()));
    let path = socket_path();
    refuse_threads();
    let refused = server.bind_unix(&path);
    assert!(!path.exists());
    tell(&refused.unwrap_err().to_string());
}

#[test]
fn a_server_goes_on_with_the_threads_that_it_has() {
    let process = Process::start("threads::serve_without_threads", "serve");
    assert_eq!(process.told, "served");
}

#[test]
#[ignore = "a process that another test starts"]
fn serve_without_threads() {
    if task().is_none() {
        return;
    }
    end_with_parent();
    let gate = Gate::default();
    let running = Running::unix(&SocketServer::new(service(&gate)));
    let mut others: Vec<_> = (0..4).map(|_| running.connect()).collect();
    others.iter_mut().for_each(|client| drop(greet(client, "before").unwrap()));
    let mut busy = running.connect();
    let (ready, begin) = std::sync::mpsc::channel::<()>();
    let call = thread::spawn(move || {
        begin.recv().unwrap();
        call(&mut busy, "wait").map(drop)
    });
    let (also_ready, also_begin) = std::sync::mpsc::channel::<()>();
    let waiting = thread::spawn(move || {
        also_begin.recv().unwrap();
        others.iter_mut().try_for_each(|client| greet(client, "patient").map(drop))
    });
    until("its threads are those of a quiet server", || running.handle.threads() >= 1);
    refuse_threads();
    let threads = running.handle.threads();
    ready.send(()).unwrap();
    gate.wait_for(1);
    also_ready.send(()).unwrap();
    thread::sleep(std::time::Duration::from_millis(500));
    assert!(running.handle.threads() <= threads);
    gate.open();
    call.join().unwrap().unwrap();
    waiting.join().unwrap().unwrap();
    tell("served");
}
