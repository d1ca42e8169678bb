//! No input takes more memory than the budget, the floor and a small constant, wherever it is received.

use super::hostile_streams;
use super::{KIB, MIB};
use crate::common::batches::row;
use crate::common::driver::{Command, serve as serve_into};
use crate::common::feed::Input;
use crate::common::scenarios::scale;
use crate::common::service::responder;
use crate::common::streams::batches_of;
use allocation_counter::measure;
use arrow_array::{ArrayRef, BinaryArray};
use bytes::{Buf, Bytes};
use std::sync::Arc;
use vgi_rpc_protocol::ipc::{ReadError, Reader};
use vgi_rpc_protocol::memory::{Account, Budget};
use vgi_rpc_protocol::service::{Peer, Responder, TransportKind};
use vgi_rpc_protocol::{IdSource, Limits, Next, client};

/// Tables, headers, scratch memory: not counted by any budget.
const SMALL: usize = 512 * KIB;
const BUDGETS: [usize; 2] = [MIB, 16 * MIB];

/// Runs every hostile stream within each budget, and reports which of them took more memory.
pub fn audit(what: &str, run: impl Fn(&Account, &Bytes)) {
    audit_of(what, &hostile_streams::ALL, run);
}

pub fn audit_of(what: &str, streams: &[hostile_streams::Hostile], run: impl Fn(&Account, &Bytes)) {
    crate::common::quiet_panics();
    let mut broken = Vec::new();
    for (name, bytes) in streams {
        for limit in BUDGETS {
            let budget = Budget::new(limit);
            let account = budget.account();
            let taken = measure(|| run(&account, bytes)).bytes_max as usize;
            let line = format!("{what}, {} MiB: {} KiB for {name}", limit / MIB, taken / KIB);
            println!("{line}");
            if taken > limit + Budget::FLOOR_BYTES + SMALL {
                broken.push(line.clone());
            }
            if (budget.used(), account.held()) != (0, 0) {
                broken.push(format!("{line}: {} bytes are kept", account.held()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Reads bytes as a driver does: as many as fit, with a poll after each read, until the machine fails.
fn feed<M: Input>(machine: &mut M, bytes: &Bytes, poll: impl Fn(&mut M) -> bool) {
    let mut left = bytes.clone();
    while !left.is_empty() {
        let lent = machine.read_buf();
        let count = lent.len().min(left.len());
        left.copy_to_slice(&mut lent[..count]);
        machine.advance(count);
        if !poll(machine) {
            return;
        }
    }
}

/// Reads all available items, and keeps the last one until the next. Returns false once the framing is lost.
fn read(reader: &mut Reader) -> bool {
    let mut _last = None;
    loop {
        match reader.next_item() {
            Ok(None) => return true,
            Ok(item) => _last = item,
            Err(ReadError::Message(_)) => _last = None,
            Err(ReadError::Framing(_)) => return false,
        }
    }
}

#[test]
fn a_reader_that_is_handed_bytes_stays_within_the_budget() {
    audit("handed to a reader", |account, bytes| {
        let mut reader = Reader::with_account(Limits::default(), account.clone());
        reader.receive(bytes.clone());
        read(&mut reader);
        reader.read_buf();
    });
}

#[test]
fn a_reader_that_lends_memory_stays_within_the_budget() {
    audit("read by a reader", |account, bytes| {
        let mut reader = Reader::with_account(Limits::default(), account.clone());
        feed(&mut reader, bytes, read);
        reader.read_buf();
    });
}

/// Runs pending work and discards the output.
fn serve(server: &mut Responder) -> bool {
    loop {
        let next = server.poll_work();
        let is_sound = next.is_ok();
        if let Ok(Next::Event(work)) = next {
            server.complete(work.run()).unwrap();
        } else {
            let Some(outbox) = server.poll_transmit() else { return is_sound };
            outbox.advance(outbox.len());
        }
    }
}

#[test]
fn a_request_stays_within_the_budget() {
    audit("request", |account, bytes| {
        let mut server = responder(Limits::default()).with_account(account.clone());
        feed(&mut server, bytes, serve);
    });
}

fn sent(command: Command) -> Bytes {
    let mut client = client::Connection::new(Limits::default());
    command.issue(&mut client).unwrap();
    let outbox = client.poll_transmit().unwrap();
    outbox.copy_to_bytes(outbox.len())
}

#[test]
fn an_input_stays_within_the_budget() {
    let open = sent(scale(2.0));
    audit("input", |account, bytes| {
        let mut server = responder(Limits::default()).with_account(account.clone());
        feed(&mut server, &open, serve);
        feed(&mut server, bytes, serve);
    });
}

#[test]
fn an_answer_stays_within_the_budget() {
    audit("answer", |account, bytes| {
        let mut client = client::Connection::with_account(Limits::default(), account);
        crate::common::scenarios::echo("x").issue(&mut client).unwrap();
        client.poll_transmit().unwrap().advance(usize::MAX);
        feed(&mut client, bytes, |client| {
            loop {
                match client.poll_event() {
                    Ok(Next::Event(_)) => {}
                    other => return other.is_ok(),
                }
            }
        });
    });
}

/// Requests whose handlers run, and whose answers are as large as the requests.
#[test]
fn an_echo_stays_within_the_budget() {
    let (main, _) = super::service::service();
    for (name, _, bytes) in hostile_streams::echoed() {
        let streams = [(name, bytes)];
        // Created once, not per request.
        let peer = || Peer::new(TransportKind::Pipe, "server-1");
        let server = || Responder::new(main.clone(), peer(), Limits::default(), IdSource::seeded(7));
        audit_of("echoed on a connection", &streams, |account, bytes| {
            let mut server = server().with_account(account.clone());
            feed(&mut server, bytes, serve);
            feed(&mut server, bytes, serve);
        });
    }
}

/// Each answer repeats its request's data, if there is enough memory.
#[test]
fn echoed_requests_are_sound() {
    let (main, _) = super::service::service();
    for (name, _, bytes) in hostile_streams::echoed() {
        let peer = Peer::new(TransportKind::Pipe, "server-1");
        let mut server = Responder::new(main.clone(), peer, Limits::default(), IdSource::seeded(7));
        server.receive(bytes.clone());
        let mut answer = Vec::new();
        serve_into(&mut server, usize::MAX, &mut answer);
        let [given] = &batches_of(&bytes)[..] else { panic!("{name}") };
        let [got] = &batches_of(&answer.into())[..] else { panic!("{name}") };
        assert_eq!(got.0.column(0), given.0.column(0), "{name}");
    }
}

/// Streams in a parameter of a request are decoded like the request.
#[test]
fn a_record_stays_within_the_budget() {
    let (main, _) = super::service::service();
    let request = |bytes: &Bytes| {
        let column: ArrayRef = Arc::new(BinaryArray::from_vec(vec![bytes]));
        sent(super::service::unary("record", row([("value", column)])))
    };
    let streams: Vec<_> =
        hostile_streams::ALL.iter().map(|(name, bytes)| (name.clone(), request(bytes))).collect();
    audit_of("record", &streams, |account, bytes| {
        let peer = Peer::new(TransportKind::Pipe, "server-1");
        let server = Responder::new(main.clone(), peer, Limits::default(), IdSource::seeded(7));
        let mut server = server.with_account(account.clone());
        server.receive(bytes.clone());
        serve(&mut server);
    });
}
