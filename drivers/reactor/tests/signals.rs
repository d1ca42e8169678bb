//! Signals end a server that handles them. The only test of its process.

mod lines;
mod running;

use running::{Running, options, until};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::raise;
use std::time::Duration;
use vgi_rpc_reactor::{Ended, Options};

fn ending(drain_timeout: Duration) -> Options {
    let mut options = options(|_| {});
    options.end_on_signals = true;
    options.drain_timeout = drain_timeout;
    options
}

#[test]
fn a_signal_drains_a_server_and_a_second_one_ends_it() {
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
