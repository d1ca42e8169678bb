//! Effects when the system refuses to start threads. A test program of its own: it limits the memory of its whole
//! process.
#![cfg(unix)]

#[path = "effects/common/mod.rs"]
mod common;

use common::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::thread;
use vgi_rpc_effects::Performer;
use vgi_rpc_protocol::effect::FailureReason;

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
fn effects_fail_unless_a_thread_is_there_to_take_them() {
    let performer = Performer::new(Actions);
    let (mut machine, mut other) = (Machine::new(&performer), Machine::new(&Performer::new(Actions)));
    let gate = Gate::new();
    machine.request(gated(0, &gate, 0));
    gate.wait_for(1);
    let before = getrlimit(Resource::As);
    refuse_threads();
    machine.request(number(1, 1));
    other.request(number(0, 0));
    assert_eq!(other.failure(), (id(0), FailureReason::Unavailable));
    gate.open();
    assert_eq!(machine.all(), ["=0", "=1"]);
    setrlimit(Resource::As, before).unwrap();
    other.request(number(1, 1));
    assert_eq!(other.number(), (id(1), 1));
}
