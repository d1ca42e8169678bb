//! How connections end: with TLS's close notice, without it, and if a peer breaks the protocol.

use crate::authority::Pair;
use crate::conversation::request;
use crate::link::{Driven, End, Link, try_both};
use std::io::Write;
use vgi_rpc_reactor::{Expiry, Machine, Phase};

fn open() -> Link {
    let pair = Pair::new();
    try_both(&pair.client(), &pair.open()).map_err(|(error, _)| error).unwrap()
}

#[test]
fn the_end_of_the_input_is_told_when_tls_says_it() {
    let mut link = open();
    link.client.writer().write_all(&request(b'g', 3)).unwrap();
    link.client.send_close_notify();
    link.settle().unwrap();
    assert_eq!(link.driven.world.events(), ["end of input"]);
    assert_eq!(link.received, [0; 3], "earlier requests are still answered");
    assert!(link.is_told, "the server sends its own close notice");
    assert_eq!(link.driven.end, Some(End::Close));
}

#[test]
fn an_end_that_tls_does_not_say_is_no_end_of_input() {
    // Between requests nothing is lost, and nothing is reported.
    let mut link = open();
    link.driven.end_input();
    assert_eq!(link.driven.world.events(), [""; 0]);

    // Within a request, the connection has broken off.
    for in_request in [&request(b'e', 10)[..], &request(b'e', 10)[..4]] {
        let mut link = open();
        link.send(in_request).unwrap();
        link.driven.end_input();
        assert_eq!(link.driven.world.events(), ["hung up"], "{in_request:?}");
    }

    // Within a record as well.
    let mut link = open();
    link.driven.feed(&[23, 3, 3, 1], 1);
    link.driven.end_input();
    assert_eq!(link.driven.world.events(), ["hung up"]);
}

#[test]
fn a_request_that_tls_ends_in_the_middle_of_has_broken_off() {
    // The inner machine is notified of the end; this one still expects the rest.
    let mut link = open();
    link.send(&request(b'e', 10)).unwrap();
    link.client.send_close_notify();
    link.settle().unwrap();
    assert_eq!(link.driven.world.events(), ["end of input"]);
    assert_eq!(link.driven.end, Some(End::Close));
}

#[test]
fn the_server_says_that_it_ends() {
    for (letter, end) in [(b'c', End::Close), (b'l', End::LingeringClose)] {
        let mut link = open();
        link.send(&[request(b'g', 100_000), request(letter, 0)].concat()).unwrap();
        assert_eq!((link.received.len(), link.is_told), (100_000, true));
        assert_eq!(link.driven.end, Some(end));
        assert_eq!(link.driven.world.events(), [""; 0]);
    }
}

#[test]
fn damaged_records_break_the_connection_off() {
    let mut link = open();
    link.client.writer().write_all(&request(b'g', 3)).unwrap();
    let mut bytes = Vec::new();
    link.client.write_tls(&mut bytes).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    link.driven.feed(&bytes, usize::MAX);
    assert_eq!(link.driven.world.events(), ["hung up"]);
    assert_eq!(link.driven.end, Some(End::LingeringClose));
    let error = link.settle().unwrap_err();
    assert_eq!(error, rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac));
}

#[test]
fn who_is_told_when_time_has_passed() {
    let pair = Pair::new();
    // Nothing to wait for in the handshake: the slot is free at once.
    let mut driven = Driven::new(&pair.open());
    driven.feed(&[22, 3, 1], 1);
    driven.machine.expire(Phase::Handshake, Expiry::Timeout);
    assert!(driven.machine.poll_transmit().is_none());

    // An idle connection is closed cleanly.
    let mut link = open();
    link.driven.machine.expire(Phase::Idle, Expiry::Timeout);
    link.settle().unwrap();
    assert!(link.is_told);
    assert_eq!(link.driven.world.events(), ["expired"]);

    // An unused one is not.
    let mut link = Link::new(&pair.client(), Driven::new(&pair.open()));
    link.settle().unwrap();
    link.driven.machine.expire(Phase::Fresh, Expiry::Timeout);
    assert!(link.driven.machine.poll_transmit().is_none());
}

#[test]
fn a_connection_that_breaks_off_says_so_inside_once() {
    let mut link = open();
    link.driven.machine.hang_up();
    link.driven.machine.hang_up();
    assert_eq!(link.driven.world.events(), ["hung up"]);
}
