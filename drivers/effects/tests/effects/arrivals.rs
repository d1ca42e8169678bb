//! What an inbox receives, and what it does not.

use crate::common::*;
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Wake;
use std::thread;
use std::time::Duration;
use vgi_rpc_effects::{Arrival, Performer, sleeper};
use vgi_rpc_protocol::effect::{Completion, Effect, EffectEvent, Failure, FailureReason, Request};

#[test]
fn effects_complete_in_the_order_in_which_they_are_performed() {
    let mut machine = Machine::new(&Performer::new(Actions));
    let gates: Vec<_> = (0..4).map(|_| Gate::new()).collect();
    for (id, gate) in (0..).zip(&gates) {
        machine.request(gated(id, gate, 10 * id));
    }
    for index in [2, 0, 3, 1] {
        assert!(machine.inbox.poll().is_none());
        assert!(machine.inbox.is_waiting());
        gates[index].open();
        assert_eq!(machine.number(), (id(index as u64), 10 * index as u64));
    }
    assert!(!machine.inbox.is_waiting());
    assert!(machine.inbox.poll().is_none());
}

#[test]
fn pieces_arrive_in_order_before_the_completion_and_while_it_is_performed() {
    let mut machine = Machine::new(&Performer::new(Actions));
    let gate = Gate::new();
    let own = gate.clone();
    machine.request(effect(7, move |data| {
        data(Bytes::from_static(b"a"));
        own.pass();
        data(Bytes::from_static(b"b"));
        data(Bytes::from_static(b"c"));
        Completion::Done
    }));
    assert!(matches!(machine.next(), Arrival::Data(of, piece) if of == id(7) && piece == "a"));
    gate.open();
    assert_eq!(machine.all(), ["b", "c", "Done"]);
}

#[test]
fn a_closure_performs() {
    let performer = Performer::new(|request: &Request| match request {
        Request::UploadUrls(count) => Completion::value(*count as u64),
        _ => Failure::unsupported().into(),
    });
    let mut machine = Machine::new(&performer);
    let mut urls = number(0, 0);
    urls.request = Request::UploadUrls(3);
    machine.request(urls);
    assert_eq!(machine.number(), (id(0), 3));
    machine.request(number(1, 0));
    assert_eq!(machine.failure(), (id(1), FailureReason::Unsupported));
}

#[test]
fn without_a_performer_every_effect_fails() {
    for performer in [Performer::none().threads(3), Performer::default()] {
        let count = Arc::new(Count::default());
        let mut inbox = performer.inbox(count.clone().into());
        inbox.handle(EffectEvent::Requested(number(0, 0)));
        assert!(inbox.is_waiting());
        let Some(Arrival::Completed(_, Completion::Failed(failure))) = inbox.poll() else { panic!() };
        assert_eq!(failure, Failure::unsupported());
        assert!(!inbox.is_waiting());
        assert_eq!(count.get(), 1);
        inbox.handle(EffectEvent::Requested(number(1, 0)));
        inbox.handle(EffectEvent::Withdrawn(id(1)));
        assert!(inbox.poll().is_none());
    }
}

#[test]
fn a_panic_fails_its_effect_and_the_thread_goes_on() {
    let mut machine = Machine::new(&Performer::new(Actions).threads(1));
    let (send, threads) = mpsc::channel();
    let panics = move |data: &mut dyn FnMut(Bytes)| {
        send.send(thread::current().id()).unwrap();
        data(Bytes::from_static(b"before"));
        panic!("on purpose")
    };
    machine.request(effect(0, panics.clone()));
    machine.request(effect(1, panics));
    machine.request(number(2, 3));
    let failed = r#"Failed(Failure { reason: Failed, message: "performing the effect panicked" })"#;
    assert_eq!(machine.all(), ["before", failed, "before", failed, "=3"]);
    assert_eq!(threads.recv().unwrap(), threads.recv().unwrap());
}

#[test]
fn values_whose_drop_panics_do_not_end_the_thread() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    let performer = Performer::new(Actions).threads(1);
    let (mut gone, mut machine) = (Machine::new(&performer), Machine::new(&performer));
    let gate = Gate::new();
    let own = gate.clone();
    gone.request(effect(0, move |_| {
        own.pass();
        Completion::value(Panics)
    }));
    gate.wait_for(1);
    gone.withdraw(0);
    gate.open();
    machine.request(number(0, 1));
    assert_eq!(machine.number().1, 1);
}

#[test]
fn what_a_perform_panics_with_may_panic_in_its_destructor() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    let performer = Performer::new(|request: &Request| {
        let Request::Question(question) = request else { panic!() };
        match question.payload::<(bool, Panics)>() {
            Some((true, _)) => std::panic::panic_any(Panics),
            _ => Completion::value(Panics),
        }
    });
    let performer = performer.threads(1);
    let mut machine = Machine::new(&performer);
    for (id, panics) in [(0, true), (1, false)] {
        let question = vgi_rpc_protocol::effect::Question::new((panics, Panics));
        let request = Request::Question(question);
        machine.request(Effect::new(id, request, Duration::from_secs(30), None));
    }
    let failed = r#"Failed(Failure { reason: Failed, message: "performing the effect panicked" })"#;
    let completions =
        [machine.completion(), machine.completion()].map(|(_, completion)| format!("{completion:?}"));
    assert_eq!(completions, [failed, "Value(Value { .. })"]);
}

#[test]
fn a_waker_that_panics_harms_no_other() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }
    let performer = Performer::new(Actions).threads(1);
    let gate = Gate::new();
    let mut broken = performer.inbox(Arc::new(Panics).into());
    let mut machine = Machine::new(&performer);
    broken.handle(EffectEvent::Requested(shared(gated(0, &gate, 1), "key")));
    machine.request(shared(gated(0, &gate, 1), "key"));
    machine.request(number(1, 2));
    gate.open();
    assert_eq!(machine.number().1, 1);
    assert_eq!(machine.number().1, 2);
    assert!(broken.poll().is_some());
}

#[test]
fn wakers_are_called_without_a_lock() {
    /// A waker that uses the performer and another of its inboxes.
    struct Uses {
        performer: Performer,
        is_done: AtomicBool,
    }
    impl Wake for Uses {
        fn wake(self: Arc<Self>) {
            let mut machine = Machine::new(&self.performer);
            // On the waking thread, which therefore does not perform it.
            machine.request(number(0, 1));
            machine.withdraw(0);
            self.is_done.store(true, Ordering::SeqCst);
        }
    }
    let performer = Performer::new(Actions).threads(1).queue(1);
    let waker = Arc::new(Uses { performer: performer.clone(), is_done: AtomicBool::new(false) });
    let mut inbox = performer.inbox(waker.clone().into());
    let was_woken = |what: &str| until(what, || waker.is_done.swap(false, Ordering::SeqCst));
    inbox.handle(EffectEvent::Requested(number(0, 1)));
    was_woken("a completion wakes");
    let gate = Gate::new();
    inbox.handle(EffectEvent::Requested(gated(1, &gate, 1)));
    gate.wait_for(1);
    inbox.handle(EffectEvent::Requested(limited(number(2, 1), Duration::from_millis(300))));
    inbox.handle(EffectEvent::Requested(number(3, 1)));
    was_woken("a full queue wakes");
    was_woken("a time limit wakes");
    gate.open();
    was_woken("a completion wakes again");
}

#[test]
fn what_is_withdrawn_while_it_is_queued_is_not_performed() {
    let performer = Performer::new(Actions).threads(1);
    let (mut machine, mut other) = (Machine::new(&performer), Machine::new(&performer));
    let (gate, never) = (Gate::new(), Gate::new());
    machine.request(gated(0, &gate, 1));
    machine.request(gated(1, &never, 1));
    other.request(gated(0, &never, 1));
    machine.request(number(2, 3));
    machine.withdraw(1);
    drop(other);
    gate.open();
    assert_eq!(machine.all(), ["=1", "=3"]);
    assert_eq!(never.arrived(), 0);
}

#[test]
fn nothing_arrives_for_what_is_withdrawn_while_it_is_performed() {
    let mut machine = Machine::new(&Performer::new(Actions).threads(1));
    let (gate, dropped) = (Gate::new(), Arc::new(()));
    let (own, value) = (gate.clone(), dropped.clone());
    machine.request(effect(0, move |data| {
        data(Bytes::from_static(b"a"));
        own.pass();
        data(Bytes::from_static(b"b"));
        Completion::value(value.clone())
    }));
    gate.wait_for(1);
    machine.withdraw(0);
    assert!(!machine.inbox.is_waiting());
    machine.withdraw(0);
    machine.request(number(1, 1));
    gate.open();
    assert_eq!(machine.all(), ["=1"]);
    until("its value has been dropped", || Arc::strong_count(&dropped) == 1);
}

#[test]
fn what_arrived_before_an_effect_was_withdrawn_is_dropped_and_the_rest_stays() {
    let count = Arc::new(Count::default());
    let mut inbox = Performer::new(Actions).threads(1).inbox(count.clone().into());
    for id in 0..3 {
        inbox.handle(EffectEvent::Requested(number(id, id)));
    }
    until("all have completed", || count.get() == 3);
    inbox.handle(EffectEvent::Withdrawn(id(1)));
    let rest: Vec<_> = std::iter::from_fn(|| inbox.poll()).map(|arrival| arrival.id()).collect();
    assert_eq!(rest, [id(0), id(2)]);
    assert!(!inbox.is_waiting());
}

#[test]
fn an_effect_that_is_out_is_not_started_again() {
    let mut machine = Machine::new(&Performer::new(Actions));
    let gate = Gate::new();
    machine.request(gated(0, &gate, 1));
    machine.request(number(0, 2));
    gate.open();
    assert_eq!(machine.all(), ["=1"]);
}

#[test]
fn a_wake_before_the_wait_is_not_lost_and_counts_once() {
    let (waker, sleeper) = sleeper();
    waker.wake_by_ref();
    waker.wake_by_ref();
    sleeper.wait();
    let (send, woken) = mpsc::channel();
    let waiting = thread::spawn(move || {
        sleeper.wait();
        send.send(()).unwrap();
    });
    assert!(woken.recv_timeout(Duration::from_millis(50)).is_err());
    waker.wake();
    woken.recv_timeout(PATIENCE).unwrap();
    waiting.join().unwrap();
}
