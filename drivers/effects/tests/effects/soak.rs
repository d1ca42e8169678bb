//! Many machines on many threads, from a seed.

use crate::common::*;
use bytes::Bytes;
use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use vgi_rpc_effects::{Arrival, Performer};
use vgi_rpc_protocol::effect::{Completion, EffectId, FailureReason};

const MACHINES: u64 = 16;
const STEPS: u64 = 1500;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// The expected result of a pending effect.
struct Out {
    /// Its result; 0 if it panics.
    answer: u64,
    has_short_limit: bool,
    data: Vec<u8>,
}

/// Runs one machine: requests, withdraws and polls at random, and checks what arrives.
fn run(mut machine: Machine, mut random: Random) -> u64 {
    let (mut out, mut completed) = (HashMap::<EffectId, Out>::new(), 0);
    let mut names = Vec::new();
    for step in 0..STEPS {
        match random.below(10) {
            0..5 => {
                // Effects with the same key have the same result.
                let key = random.below(20);
                let answer = if key == 0 { 0 } else { 1000 + key };
                let (pieces, pause) = (key % 5, Duration::from_micros(50 * key));
                let mut asked = effect(step, move |data| {
                    (0..pieces).for_each(|piece| data(Bytes::from(vec![piece as u8])));
                    assert_ne!(answer, 0, "on purpose");
                    thread::sleep(pause);
                    Completion::value(answer)
                });
                if random.below(2) == 0 {
                    asked = shared(asked, &key.to_string());
                }
                let has_short_limit = random.below(4) == 0;
                if has_short_limit {
                    asked = limited(asked, Duration::from_micros(random.below(3000)));
                }
                out.insert(asked.id, Out { answer, has_short_limit, data: Vec::new() });
                names.push(step);
                machine.request(asked);
            }
            5 if !names.is_empty() => {
                // Often one that is already complete.
                let index = random.below(names.len() as u64) as usize;
                let name = names.swap_remove(index);
                out.remove(&id(name));
                machine.withdraw(name);
            }
            6 => thread::sleep(Duration::from_micros(random.below(500))),
            _ => {
                while let Some(arrival) = machine.inbox.poll() {
                    completed += check(&mut out, arrival);
                }
            }
        }
        assert_eq!(machine.inbox.is_waiting(), !out.is_empty());
    }
    // Every other machine is dropped with pending effects.
    if random.below(2) == 0 {
        while machine.inbox.is_waiting() {
            completed += check(&mut out, machine.next());
        }
        assert!(out.is_empty());
    }
    completed
}

/// Checks an arrival. Returns 1 for a completion.
fn check(out: &mut HashMap<EffectId, Out>, arrival: Arrival) -> u64 {
    let id = arrival.id();
    let expected = out.get_mut(&id).expect("something arrived for an effect that is not pending");
    let pieces = (expected.answer % 5) as u8;
    match arrival {
        Arrival::Data(_, piece) => {
            expected.data.extend(piece);
            assert!(expected.data.iter().copied().eq(0..expected.data.len() as u8));
            assert!(expected.data.len() <= usize::from(pieces));
            return 0;
        }
        Arrival::Completed(_, Completion::Value(value)) => {
            assert_eq!(value.downcast_ref(), Some(&expected.answer));
            assert_eq!(expected.data.len(), usize::from(pieces));
        }
        Arrival::Completed(_, Completion::Failed(failure)) => match failure.reason {
            FailureReason::TimedOut => assert!(expected.has_short_limit),
            FailureReason::Failed => assert_eq!(expected.answer, 0, "{failure}"),
            FailureReason::Unavailable => {}
            _ => panic!("{failure:?}"),
        },
        Arrival::Completed(_, completion) => panic!("{completion:?}"),
    }
    out.remove(&id);
    1
}

#[test]
fn machines_on_many_threads_get_what_they_asked_for() {
    let seed = std::env::var("VGI_RPC_SEED").map_or_else(
        |_| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64,
        |text| text.parse().unwrap(),
    );
    println!("run again with: VGI_RPC_SEED={seed} cargo test -p vgi-rpc-effects --test effects soak");
    // The intended panics would fill the output.
    std::panic::set_hook(Box::new(|panic| {
        let name = thread::current().name().map(str::to_owned);
        if name.as_deref() != Some("vgi-rpc-effects") {
            eprintln!("{panic}");
        }
    }));
    let mut random = Random(seed);
    let (begin, mut completed) = (Instant::now(), 0);
    for round in 0..6 {
        let performer = Performer::new(Actions)
            .threads([1, 2, 8][round % 3])
            .queue([10, 1024][round % 2])
            .keep_alive(Duration::from_micros([100, 10_000_000][round / 3]));
        let machines: Vec<_> = (0..MACHINES)
            .map(|_| {
                let machine = Machine::new(&performer);
                let random = Random(random.below(u64::MAX));
                thread::spawn(move || run(machine, random))
            })
            .collect();
        drop(performer);
        completed += machines.into_iter().map(|machine| machine.join().unwrap()).sum::<u64>();
        until("all threads have ended", || threads() == 0);
    }
    println!("{completed} effects in {:?}", begin.elapsed());
}
