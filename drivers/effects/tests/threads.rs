//! How many threads a performer starts, and when they end. A test program of its own: it counts the threads of its whole
//! process.
#![cfg(target_os = "linux")]

#[path = "effects/common/mod.rs"]
mod common;

use common::*;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use vgi_rpc_effects::Performer;
use vgi_rpc_protocol::effect::Completion;

#[test]
fn threads_are_started_on_demand_up_to_their_number() {
    let _turn = alone();
    let performer = Performer::new(Actions).threads(3);
    let mut machine = Machine::new(&performer);
    assert_eq!(threads(), 0);
    let gate = Gate::new();
    for (effects, expected) in [(1, 1), (2, 2), (3, 3), (4, 3), (5, 3)] {
        machine.request(limited(gated(effects, &gate, 0), Duration::MAX));
        gate.wait_for(expected);
        assert_eq!(threads(), expected);
    }
    machine.request(gated(6, &gate, 0));
    until("one more watches the time limit", || threads() == 4);
    gate.open();
    machine.all();
    drop((machine, performer));
    until("all threads have ended", || threads() == 0);
}

#[test]
fn no_thread_is_left_when_the_performer_and_its_inboxes_are_gone() {
    let _turn = alone();
    // No time limit or idle timeout ends a thread during the test.
    let hour = Duration::from_secs(3600);
    let performer = Performer::new(Actions).keep_alive(hour);
    let gate = Gate::new();
    let mut machines: Vec<_> = (0..20).map(|_| Machine::new(&performer)).collect();
    for machine in &mut machines {
        machine.request(limited(number(0, 1), hour));
        machine.number();
    }
    machines.iter_mut().for_each(|machine| machine.request(limited(gated(1, &gate, 1), hour)));
    drop(performer);
    gate.wait_for(8);
    // A thread has its name only once it runs.
    until("inboxes keep the threads", || threads() == 9);
    drop(machines);
    until("only those that are performing are left", || threads() == 8);
    gate.open();
    until("all threads have ended", || threads() == 0);
    assert_eq!(gate.arrived(), 8, "queued effects are not performed");
}

#[test]
fn threads_end_when_there_is_nothing_to_do_and_come_back() {
    let _turn = alone();
    let mut machine = Machine::new(&Performer::new(Actions).keep_alive(Duration::from_millis(30)));
    let gate = Gate::new();
    for id in 0..3 {
        // A time limit that would keep the timer thread running.
        machine.request(limited(number(id, id), Duration::from_secs(3600)));
        assert_eq!(machine.number().1, id);
        until("the threads have ended", || threads() == 0);
    }
    machine.request(limited(gated(9, &gate, 9), Duration::from_secs(3600)));
    gate.wait_for(1);
    thread::sleep(Duration::from_millis(200));
    until("a thread that is busy stays, and so does the one that watches", || threads() == 2);
    machine.withdraw(9);
    until("nothing is watched any more", || threads() == 1);
    gate.open();
    until("the threads have ended", || threads() == 0);
}

#[test]
fn one_effect_after_another_takes_one_thread() {
    let _turn = alone();
    let performer = Performer::new(Actions);
    let mut machine = Machine::new(&performer);
    let performed_by = Arc::new(Mutex::new(HashSet::new()));
    for id in 0..2000 {
        let performed_by = performed_by.clone();
        machine.request(effect(id, move |_| {
            performed_by.lock().unwrap().insert(thread::current().id());
            Completion::Done
        }));
        machine.completion();
    }
    assert_eq!(performed_by.lock().unwrap().len(), 1);
    until("one more watches the time limits", || threads() == 2);
    drop((machine, performer));
    until("all threads have ended", || threads() == 0);
}

#[test]
fn threads_that_wait_take_no_processor_time() {
    let _turn = alone();
    let mut machine = Machine::new(&Performer::new(Actions));
    let gate = Gate::new();
    machine.request(number(0, 0));
    machine.number();
    machine.request(gated(1, &gate, 1));
    gate.wait_for(1);
    until("both threads run", || threads() == 2);
    let mut before = 0;
    until("they have come to rest", || {
        thread::sleep(Duration::from_millis(50));
        std::mem::replace(&mut before, switches()) == before
    });
    thread::sleep(Duration::from_millis(300));
    assert_eq!(switches(), before);
    gate.open();
    drop(machine);
    until("all threads have ended", || threads() == 0);
}

/// How often performer threads were scheduled.
fn switches() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // A thread may end during this look-up.
    let texts = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).ok());
    let ours = texts.filter(|text| text.starts_with("Name:\tvgi-rpc-effects\n"));
    ours.map(|text| {
        let line = text.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    })
    .sum()
}

#[test]
fn a_performer_of_nothing_has_no_thread() {
    let _turn = alone();
    let mut machine = Machine::new(&Performer::none());
    for id in 0..10 {
        machine.request(number(id, 0));
    }
    assert_eq!(threads(), 0);
    assert_eq!(machine.all().len(), 10);
}
