//! The memory of a connection, and the work that a peer can cause.

use crate::authority::Pair;
use crate::conversation::request;
use crate::link::{Driven, End, Link, try_both};
use std::io::Write;
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_reactor::Machine;

/// The most memory of TLS for one connection, in bytes: a read and its decrypted data, and a few records of output.
const MOST: usize = 64 * 1024 * 3 + 32 * 1024;
const LARGE: u64 = 64 << 20;

fn open(pair: &Pair) -> Link {
    try_both(&pair.client(), &pair.open()).map_err(|(error, _)| error).unwrap()
}

#[test]
fn large_bodies_pass_in_bounded_memory() {
    let pair = Pair::new();
    let mut link = open(&pair);
    link.send(&request(b's', LARGE)).unwrap();
    let part = vec![7; 1 << 20];
    for _ in 0..LARGE / part.len() as u64 {
        link.send(&part).unwrap();
    }
    assert_eq!((link.received, link.driven.world.0.lock().unwrap().dropped_bytes), (b"s".to_vec(), LARGE));
    assert!(link.driven.most_held <= MOST, "{} bytes were held", link.driven.most_held);
}

#[test]
fn large_answers_are_encrypted_as_they_are_sent() {
    let pair = Pair::new();
    let mut link = open(&pair);
    link.client.writer().write_all(&request(b'g', LARGE)).unwrap();
    let mut bytes = Vec::new();
    link.client.write_tls(&mut bytes).unwrap();
    link.driven.feed(&bytes, usize::MAX);
    let sent = link.driven.sent.len() as u64;
    let records = LARGE / (16 << 10);
    assert!((LARGE..=LARGE + records * 64).contains(&sent), "{sent} bytes were sent");
    assert!(link.driven.most_held <= MOST, "{} bytes were held", link.driven.most_held);
    assert!(link.driven.most_sent_at_once <= 5 * (16 << 10), "{}", link.driven.most_sent_at_once);
}

#[test]
fn a_connection_that_rests_holds_nothing() {
    let pair = Pair::new();
    let budget = Budget::new(1 << 30);
    let mut link = Link::new(&pair.client(), Driven::with(&pair.open(), &[], &budget));
    link.open().unwrap();
    link.send(&[request(b'e', 500_000), vec![0; 500_000]].concat()).unwrap();
    assert!(link.driven.machine.held_bytes() > 0);
    link.driven.machine.release_memory();
    assert_eq!((link.driven.machine.held_bytes(), budget.used()), (0, 0));
    link.received.clear();
    link.send(&request(b'g', 5)).unwrap();
    assert_eq!(link.received, [0; 5]);
}

#[test]
fn without_any_budget_handshakes_and_answers_still_pass() {
    let pair = Pair::new();
    let budget = Budget::new(0);
    let mut link = Link::new(&pair.client(), Driven::with(&pair.open(), &[], &budget));
    link.open().unwrap();
    link.send(&request(b'g', 1 << 20)).unwrap();
    link.send(&[request(b'e', 200_000), vec![1; 200_000]].concat()).unwrap();
    assert_eq!(link.received.len(), 1 + (1 << 20) + 200_000);
    assert!(link.driven.most_held <= MOST);
}

/// Returns a handshake record with this payload.
fn record(payload: &[u8]) -> Vec<u8> {
    [&[22, 3, 1][..], &(payload.len() as u16).to_be_bytes(), payload].concat()
}

#[test]
fn handshake_messages_that_are_too_large_are_refused_before_they_have_come() {
    let pair = Pair::new();
    // A hello with a stated length of 16 MiB.
    let mut driven = Driven::new(&pair.open());
    driven.feed(&record(&[&[1, 0xff, 0xff, 0xff][..], &[0; 1000]].concat()), usize::MAX);
    assert!(driven.end.is_some());

    // One of 64 KiB, in records of this size, is read and refused for its content.
    for size in [1, 100, 16 << 10] {
        let mut driven = Driven::new(&pair.open());
        let message = [&[1, 0, 0xff, 0xff][..], &[0; 0xffff]].concat();
        for part in message.chunks(size) {
            driven.feed(&record(part), usize::MAX);
        }
        assert!(driven.end.is_some(), "{size}");
        assert!(driven.most_held <= MOST, "{size}: {} bytes were held", driven.most_held);
        assert_eq!(driven.world.origin(), None);
    }
}

#[test]
fn a_large_handshake_message_needs_the_budget() {
    let pair = Pair::new();
    let budget = Budget::new(0);
    let mut driven = Driven::with(&pair.open(), &[], &budget);
    // The part below an account's floor is available to all.
    let message = [&[1, 0, 0xff, 0xff][..], &[0; 0xffff]].concat();
    let mut refused_at = 0;
    for part in message.chunks(1000) {
        driven.feed(&record(part), 500);
        if driven.end.is_none() {
            refused_at += part.len();
        }
    }
    assert_eq!(driven.end, Some(End::Close));
    assert!((30_000..0xffff).contains(&refused_at), "{refused_at}");
    assert!(budget.refusals() > 0);
    assert_eq!(budget.used(), 0);
}

#[test]
fn new_keys_may_be_asked_for_now_and_then_but_not_all_the_time() {
    let pair = Pair::new();
    let mut link = open(&pair);
    for _ in 0..100 {
        link.client.refresh_traffic_keys().unwrap();
        link.send(&request(b'g', 1)).unwrap();
    }
    assert_eq!(link.received.len(), 100);

    let mut asked = 0;
    while link.driven.end.is_none() && asked < 1000 {
        link.client.refresh_traffic_keys().unwrap();
        asked += 1;
        let _ = link.settle();
    }
    assert!(asked < 100, "{asked}");
    assert_eq!(link.driven.world.events(), ["hung up"]);
    assert!(link.driven.most_held <= MOST);
}

#[test]
fn records_of_one_byte_and_of_none_are_taken_in_without_holding_them() {
    let pair = Pair::new();
    let mut config = (*pair.client().config(&[])).clone();
    // The smallest that rustls makes: 32 bytes including TLS overhead.
    config.max_fragment_size = Some(32);
    let mut link = Link::of(config.into(), Driven::new(&pair.open()));
    link.open().unwrap();
    link.send(&[request(b's', 300_000), vec![0; 300_000]].concat()).unwrap();
    assert_eq!(link.received, [0, b's']);
    assert!(link.driven.most_held <= MOST, "{} bytes were held", link.driven.most_held);
    let mut link = open(&pair);
    link.send(&request(b's', 20_000)).unwrap();
    for _ in 0..20_000 {
        link.client.writer().write_all(&[1]).unwrap();
    }
    link.settle().unwrap();
    assert_eq!(link.received, [b's']);
    assert!(link.driven.most_held <= MOST, "{} bytes were held", link.driven.most_held);
}
