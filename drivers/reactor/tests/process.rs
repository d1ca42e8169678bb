//! Signals end a server that handles them, and connections that wait use no processor. A test program of its own: signals
//! reach its whole process, whose processor time is measured. The tests take turns.

#[path = "reactor/lines/mod.rs"]
mod lines;
#[path = "reactor/running/mod.rs"]
mod running;

use running::{Running, options, until};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::raise;
#[cfg(target_os = "linux")]
use std::net::Shutdown;
#[cfg(target_os = "linux")]
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
#[cfg(target_os = "linux")]
use std::thread;
use std::time::Duration;
use vgi_rpc_reactor::{Ended, Options};

/// Serializes these tests.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ending(drain_timeout: Duration) -> Options {
    let mut options = options(|_| {});
    options.end_on_signals = true;
    options.drain_timeout = drain_timeout;
    options
}

#[test]
fn a_signal_drains_a_server_and_a_second_one_ends_it() {
    let _turn = alone();
    let long = Duration::from_secs(60);
    let running = Running::new(ending(long));
    let (mut idle, mut busy) = (running.connect(), running.connect());
    assert_eq!(idle.ask("echo served"), "served\n");
    busy.send("wait\n");
    running.world.gate.wait_for(1);
    raise(SIGTERM).unwrap();
    // The connection between calls is closed, and the call completes.
    assert_eq!(idle.rest(), "");
    running.world.gate.open();
    assert!(busy.line().starts_with("waited"));
    assert_eq!(running.join(), Ended::Drained);

    let running = Running::new(ending(long));
    let mut busy = running.connect();
    busy.send("wait\n");
    running.world.gate.wait_for(1);
    let idle = running.connect();
    until("both are served", || running.handle.connections() == 2);
    raise(SIGTERM).unwrap();
    until("the server drains", || running.handle.connections() == 1);
    raise(SIGINT).unwrap();
    let gate = running.world.gate.clone();
    assert_eq!(running.join(), Ended::Signal);
    gate.open();
    drop(idle);

    let running = Running::new(ending(Duration::from_millis(10)));
    let mut busy = running.connect();
    busy.send("wait\n");
    running.world.gate.wait_for(1);
    raise(SIGTERM).unwrap();
    let gate = running.world.gate.clone();
    assert_eq!(running.join(), Ended::DrainTimedOut);
    gate.open();

    let running = Running::new(ending(Duration::ZERO));
    assert_eq!(running.connect().ask("echo served"), "served\n");
    raise(SIGINT).unwrap();
    assert_eq!(running.join(), Ended::Signal);
}

/// Processor time of this process, in ticks of 10 ms.
#[cfg(target_os = "linux")]
fn processor_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn connections_that_wait_use_no_processor() {
    let _turn = alone();
    let running = Running::new(options(|_| {}));
    let clients: Vec<_> = (0..100)
        .map(|number| {
            let mut client = running.connect();
            client.send("park\n");
            // Pipelined input, and the end of input, must not cause any work.
            if number % 2 == 0 {
                client.send("echo ahead\n");
                client.0.get_ref().shutdown(Shutdown::Write).unwrap();
            }
            client
        })
        .collect();
    until("all wait", || running.world.waits.count() == 100);
    thread::sleep(Duration::from_millis(200));
    let polls = running.world.polls.load(Ordering::SeqCst);
    until("a second passes in which nothing is done", || {
        let ticks = processor_ticks();
        thread::sleep(Duration::from_secs(1));
        processor_ticks() - ticks <= 2
    });
    assert_eq!(running.world.polls.load(Ordering::SeqCst), polls, "no machine was polled in that time");
    assert_eq!(running.handle.connections(), 100);
    for (number, mut client) in clients.into_iter().enumerate() {
        running.world.waits.pop().unwrap().tell("woken");
        if number == 0 {
            assert_eq!(client.line(), "woken\n");
        }
    }
}
