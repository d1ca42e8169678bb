//! Callers, a server and a network simulated in one process: whatever the network does, no call is answered twice or with
//! another's answer, none is lost without an error, and nothing remains at the end. This holds whether, when and in which order
//! the driver completes effects.
//!
//! A run is a function of its seed. `VGI_RPC_SEED=n` runs only that seed and prints the events; `VGI_RPC_SEEDS=n` sets the
//! number of runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test, which reads its environment"
)]

mod admission;
mod caller;
mod draws;
mod effects;
mod line;
mod link;
mod listener;
mod service;
mod sharing;
mod world;

use link::Mutation;
use std::ops::Range;
use world::{Summary, run};

/// Default number of seeds.
const SEEDS: u64 = 10_000;
/// Number of seeds for each mutation.
const MUTATED_SEEDS: u64 = 150;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is to be a number")))
}

fn assert_all_hold(seeds: Range<u64>) {
    crate::common::quiet_panics();
    let mut all = Summary::default();
    for seed in seeds.clone() {
        let (summary, result) = run(seed, None, false);
        if let Err(violation) = result {
            panic!(
                "seed {seed}: {violation}\nrun it again: VGI_RPC_SEED={seed} cargo test -p vgi-rpc-protocol --test \
                 core simulation -- --nocapture"
            );
        }
        all.calls += summary.calls;
        all.lost += summary.lost;
        all.abandoned += summary.abandoned;
        all.happenings += summary.happenings;
        all.completed += summary.completed;
        all.overdue += summary.overdue;
        all.withdrawn += summary.withdrawn;
        all.ended_early += summary.ended_early;
        all.shared += summary.shared;
        all.damaged += summary.damaged;
        all.settled += summary.settled;
    }
    println!("{all:?}");
    if seeds.end - seeds.start >= 1000 {
        let seeds = (seeds.end - seeds.start) as usize;
        assert!(all.calls > 2 * seeds && all.lost > seeds / 20 && all.abandoned > seeds / 20, "{all:?}");
        assert!(all.completed > seeds && all.overdue > seeds / 20, "{all:?}");
        assert!(all.withdrawn > seeds / 20 && all.ended_early > seeds / 50, "{all:?}");
        assert!(all.shared > seeds && all.damaged > seeds / 20 && all.settled > seeds / 20, "{all:?}");
    }
}

/// Runs one half of the seeds, so that two tests share the work. The first half runs a single seed.
fn half(second: bool) {
    if let Some(seed) = number("VGI_RPC_SEED") {
        if !second {
            crate::common::quiet_panics();
            let (summary, result) = run(seed, None, true);
            println!("{summary:?}");
            result.unwrap();
        }
        return;
    }
    let seeds = number("VGI_RPC_SEEDS").unwrap_or(SEEDS);
    assert_all_hold(if second { seeds / 2..seeds } else { 0..seeds / 2 });
}

#[test]
fn what_must_hold_holds_in_the_first_half_of_the_seeds() {
    half(false);
}

#[test]
fn what_must_hold_holds_in_the_second_half_of_the_seeds() {
    half(true);
}

#[test]
fn a_seed_gives_the_same_run_again() {
    crate::common::quiet_panics();
    let mut digests = std::collections::HashSet::new();
    for seed in 0..100 {
        let first = run(seed, None, false);
        assert_eq!(first, run(seed, None, false), "seed {seed}");
        digests.insert(first.0.digest);
    }
    assert_eq!(digests.len(), 100, "another seed gives another run");
}

/// Checks that most of the runs with this fault, which no network or driver may cause, are detected.
fn assert_is_found_out(mutation: Mutation, most: impl Fn(usize) -> usize) {
    crate::common::quiet_panics();
    let (mut spoilt, mut found) = (0, 0);
    for seed in 0..MUTATED_SEEDS {
        let (summary, result) = run(seed, Some(mutation), false);
        service::forget_states();
        assert!(summary.mutated > 0 || result.is_ok(), "seed {seed} without a fault: {result:?}");
        spoilt += usize::from(summary.mutated > 0);
        found += usize::from(summary.mutated > 0 && result.is_err());
    }
    println!("{mutation:?}: {found} of {spoilt} runs are found out");
    assert!(spoilt > MUTATED_SEEDS as usize / 8, "{spoilt} runs were mutated");
    assert!(found >= most(spoilt), "{found} of {spoilt} runs with {mutation:?} are detected");
}

#[test]
fn a_piece_that_arrives_twice_is_found_out() {
    assert_is_found_out(Mutation::Duplicate, |spoilt| spoilt / 2);
}

#[test]
fn a_piece_that_does_not_arrive_is_found_out() {
    assert_is_found_out(Mutation::Lose, |spoilt| spoilt / 2);
}

#[test]
fn a_piece_that_arrives_at_another_caller_is_found_out() {
    assert_is_found_out(Mutation::Misdeliver, |spoilt| spoilt);
}

#[test]
fn a_flipped_bit_is_found_out() {
    // Most bits of a message are padding, unused names, or metadata that is not compared.
    assert_is_found_out(Mutation::Flip, |spoilt| spoilt / 4);
}

#[test]
fn a_state_that_is_never_dropped_is_found_out() {
    assert_is_found_out(Mutation::Leak, |spoilt| spoilt);
}

#[test]
fn a_completion_that_another_effect_is_given_is_found_out() {
    assert_is_found_out(Mutation::CompleteAnother, |spoilt| spoilt);
}

#[test]
fn a_completion_that_is_lost_is_found_out() {
    // A call that its caller abandons does not need its effects completed.
    assert_is_found_out(Mutation::LoseCompletion, |spoilt| spoilt - spoilt / 8);
}

#[test]
fn a_piece_of_data_that_is_lost_is_found_out() {
    assert_is_found_out(Mutation::LoseData, |spoilt| spoilt);
}

#[test]
fn a_record_that_is_lost_is_found_out() {
    assert_is_found_out(Mutation::LoseRecord, |spoilt| spoilt);
}
