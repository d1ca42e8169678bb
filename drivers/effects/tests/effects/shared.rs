//! Effects with a shared key.

use crate::common::*;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use vgi_rpc_effects::{Arrival, Performer};
use vgi_rpc_protocol::effect::{Completion, FailureReason};

#[test]
fn effects_of_one_key_are_performed_once_and_all_get_everything() {
    let performer = Performer::new(Actions);
    let mut machines: Vec<_> = (0..5).map(|_| Machine::new(&performer.clone())).collect();
    let gate = Gate::new();
    for (id, machine) in (0..).zip(&mut machines) {
        let gate = gate.clone();
        let asked = effect(id, move |data| {
            gate.pass();
            data(Bytes::from_static(b"a"));
            data(Bytes::from_static(b"b"));
            Completion::value(9_u64)
        });
        machine.request(shared(asked, "key"));
    }
    // The same machine may request it twice.
    machines[0].request(shared(number(9, 10), "key"));
    gate.wait_for(1);
    gate.open();
    assert_eq!(machines[0].all(), ["a", "a", "b", "b", "=9", "=9"]);
    for machine in &mut machines[1..] {
        assert_eq!(machine.all(), ["a", "b", "=9"]);
    }
    assert_eq!(gate.arrived(), 1);
    machines[0].request(shared(number(1, 2), "key"));
    assert_eq!(machines[0].all(), ["=2"], "an earlier result is not reused");
}

#[test]
fn other_keys_and_other_performers_are_performed_by_themselves() {
    let (performer, other) = (Performer::new(Actions), Performer::new(Actions));
    let gate = Gate::new();
    let mut machine = Machine::new(&performer);
    machine.request(shared(gated(0, &gate, 0), "a"));
    machine.request(shared(gated(1, &gate, 0), "b"));
    machine.request(gated(2, &gate, 0));
    machine.request(gated(3, &gate, 0));
    let mut elsewhere = Machine::new(&other);
    elsewhere.request(shared(gated(0, &gate, 0), "a"));
    gate.wait_for(5);
    gate.open();
}

#[test]
fn one_that_comes_after_the_first_piece_is_performed_by_itself() {
    let performer = Performer::new(Actions);
    let (mut first, mut second, mut third) =
        (Machine::new(&performer), Machine::new(&performer), Machine::new(&performer));
    let (gate, performed) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
    let asked = |id| {
        let (gate, performed) = (gate.clone(), performed.clone());
        let asked = effect(id, move |data| {
            let own = performed.fetch_add(1, Ordering::SeqCst);
            if own == 1 {
                gate.pass();
            }
            data(Bytes::from(format!("{own}a")));
            gate.pass();
            data(Bytes::from(format!("{own}b")));
            Completion::Done
        });
        shared(asked, "key")
    };
    first.request(asked(0));
    assert!(matches!(first.next(), Arrival::Data(_, piece) if piece == "0a"));
    second.request(asked(0));
    gate.wait_for(2);
    third.request(asked(0));
    gate.open();
    assert_eq!(first.all(), ["0b", "Done"]);
    assert_eq!(second.all(), ["1a", "1b", "Done"]);
    assert_eq!(third.all(), ["1a", "1b", "Done"], "it joined the second");
}

#[test]
fn one_that_is_withdrawn_leaves_the_others() {
    let performer = Performer::new(Actions).threads(1);
    let (mut first, mut second) = (Machine::new(&performer), Machine::new(&performer));
    let (busy, gate) = (Gate::new(), Gate::new());
    first.request(gated(0, &busy, 0));
    busy.wait_for(1);
    // First while they are queued, then while they are performed.
    for asker in [0, 1] {
        first.request(shared(gated(10 + asker, &gate, 1), "key"));
        second.request(shared(gated(10 + asker, &gate, 1), "key"));
        first.withdraw(10 + asker);
        busy.open();
        gate.wait_for(1);
    }
    gate.open();
    assert_eq!(first.all(), ["=0"]);
    assert_eq!(second.all(), ["=1", "=1"]);
    assert_eq!(gate.arrived(), 1);
}

#[test]
fn none_joins_what_was_withdrawn_before_it_was_performed() {
    let mut machine = Machine::new(&Performer::new(Actions).threads(1));
    let gate = Gate::new();
    machine.request(gated(0, &gate, 0));
    gate.wait_for(1);
    machine.request(shared(number(1, 1), "key"));
    machine.withdraw(1);
    machine.request(shared(number(2, 2), "key"));
    gate.open();
    assert_eq!(machine.all(), ["=0", "=2"]);
}

#[test]
fn an_effect_may_join_what_only_withdrawn_ones_asked_for() {
    let performer = Performer::new(Actions);
    let (mut first, mut second) = (Machine::new(&performer), Machine::new(&performer));
    let gate = Gate::new();
    first.request(shared(gated(0, &gate, 1), "key"));
    gate.wait_for(1);
    first.withdraw(0);
    second.request(shared(gated(0, &gate, 2), "key"));
    gate.open();
    assert_eq!(second.all(), ["=1"]);
}

#[test]
fn each_has_its_own_time_limit_and_none_joins_what_is_stuck() {
    let performer = Performer::new(Actions);
    let (mut hasty, mut patient, mut late) =
        (Machine::new(&performer), Machine::new(&performer), Machine::new(&performer));
    let gate = Gate::new();
    patient.request(shared(gated(0, &gate, 1), "key"));
    hasty.request(limited(shared(gated(0, &gate, 2), "key"), Duration::from_millis(30)));
    assert_eq!(hasty.failure(), (id(0), FailureReason::TimedOut));
    assert!(patient.inbox.poll().is_none());
    late.request(shared(number(0, 3), "key"));
    assert_eq!(late.number(), (id(0), 3));
    gate.open();
    assert_eq!(patient.number(), (id(0), 1));
    assert_eq!(gate.arrived(), 1);
}
