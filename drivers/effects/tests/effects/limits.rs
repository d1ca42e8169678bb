//! Time limits, and limits on the queue.

use crate::common::*;
use std::time::{Duration, Instant};
use vgi_rpc_effects::Performer;
use vgi_rpc_protocol::effect::FailureReason::{TimedOut, Unavailable};

#[test]
fn a_time_limit_passes_while_the_thread_is_stuck_and_while_the_effect_is_queued() {
    let mut machine = Machine::new(&Performer::new(Actions).threads(1));
    let (stuck, never) = (Gate::new(), Gate::new());
    let begin = Instant::now();
    let (short, long) = (Duration::from_millis(40), Duration::from_millis(500));
    machine.request(limited(gated(0, &stuck, 1), long));
    stuck.wait_for(1);
    machine.request(limited(gated(1, &never, 1), short));
    machine.request(number(2, 2));
    assert_eq!(machine.failure(), (id(1), TimedOut));
    assert!(begin.elapsed() >= short);
    assert_eq!(machine.failure(), (id(0), TimedOut));
    assert!(begin.elapsed() >= long);
    stuck.open();
    assert_eq!(machine.all(), ["=2"], "results after the time limit are dropped");
    assert_eq!(never.arrived(), 0);
}

#[test]
fn time_limits_pass_in_the_order_of_their_times() {
    let mut machine = Machine::new(&Performer::new(Actions).threads(1));
    let gate = Gate::new();
    for (number, limit) in [(0, 600), (1, 200), (2, 400), (3, 0)] {
        machine.request(limited(gated(number, &gate, 1), Duration::from_millis(limit)));
    }
    let order: Vec<_> = (0..4).map(|_| machine.failure()).collect();
    assert_eq!(order, [3, 1, 2, 0].map(|number| (id(number), TimedOut)));
    gate.open();
}

#[test]
fn the_failure_names_the_time_limit() {
    let mut machine = Machine::new(&Performer::new(Actions));
    let gate = Gate::new();
    machine.request(limited(gated(0, &gate, 1), Duration::from_millis(5)));
    let text = r#"Failed(Failure { reason: TimedOut, message: "the effect took longer than 5ms" })"#;
    assert_eq!(machine.all(), [text]);
    gate.open();
}

#[test]
fn a_time_limit_that_the_clock_cannot_express_never_passes() {
    let performer = Performer::new(Actions).keep_alive(Duration::MAX);
    let mut machine = Machine::new(&performer);
    for (number, limit) in
        [(0, Duration::MAX), (1, Duration::from_secs(u64::MAX / 4)), (2, Duration::from_secs(1 << 40))]
    {
        let gate = Gate::new();
        machine.request(limited(gated(number, &gate, number), limit));
        gate.wait_for(1);
        gate.open();
        assert_eq!(machine.number(), (id(number), number));
    }
}

#[test]
fn beyond_the_queue_effects_fail_at_once() {
    let performer = Performer::new(Actions).threads(2).queue(3);
    let (mut machine, mut other) = (Machine::new(&performer), Machine::new(&performer));
    let gate = Gate::new();
    for id in 0..5 {
        machine.request(shared(gated(id, &gate, id), &id.to_string()));
    }
    gate.wait_for(2);
    machine.request(number(5, 5));
    assert_eq!(machine.failure(), (id(5), Unavailable));
    // A request that joins a queued task takes no slot.
    other.request(shared(number(0, 0), "4"));
    other.request(number(1, 1));
    assert_eq!(other.failure(), (id(1), Unavailable));
    // Withdrawing an effect frees its slot.
    machine.withdraw(3);
    other.request(number(2, 2));
    assert!(other.inbox.poll().is_none());
    gate.open();
    let mut rest = machine.all();
    rest.sort();
    assert_eq!(rest, ["=0", "=1", "=2", "=4"]);
    let mut rest = other.all();
    rest.sort();
    assert_eq!(rest, ["=2", "=4"]);
    machine.request(number(6, 6));
    assert_eq!(machine.number(), (id(6), 6));
}

#[test]
fn an_expired_effect_makes_room_in_the_queue() {
    let mut machine = Machine::new(&Performer::new(Actions).threads(1).queue(1));
    let gate = Gate::new();
    machine.request(gated(0, &gate, 0));
    gate.wait_for(1);
    machine.request(limited(number(1, 1), Duration::from_millis(300)));
    machine.request(number(2, 2));
    assert_eq!(machine.failure(), (id(2), Unavailable));
    assert_eq!(machine.failure(), (id(1), TimedOut));
    machine.request(number(3, 3));
    gate.open();
    assert_eq!(machine.all(), ["=0", "=3"]);
}

#[test]
fn without_a_queue_there_are_as_many_effects_as_threads() {
    let mut machine = Machine::new(&Performer::new(Actions).threads(3).queue(0));
    let gate = Gate::new();
    for id in 0..4 {
        machine.request(gated(id, &gate, id));
    }
    assert_eq!(machine.failure(), (id(3), Unavailable));
    gate.open();
    assert_eq!(machine.all().len(), 3);
}
