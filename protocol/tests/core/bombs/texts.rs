//! Long texts from a peer: names in requests, JSON in errors and logs.

use super::*;
use crate::common::batches::{int, no_columns};
use crate::common::driver::{Rest, listen, serve};
use crate::common::scenarios::echo;
use crate::common::service::{MAIN, responder};
use crate::common::streams::stream_of;
use allocation_counter::measure;
use arrow_array::RecordBatch;
use bytes::Buf;
use vgi_rpc_protocol::client::{Call, CallKind, Connection};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::wire::keys;

/// Returns a client's peak memory when it receives this error or log.
fn told(entries: &[(&str, &str)]) -> u64 {
    let metadata: Metadata = entries.iter().copied().collect();
    let bytes = stream_of(&[(no_columns(0), metadata)]);
    let mut client = Connection::new(Limits::default());
    echo("x").issue(&mut client).unwrap();
    measure(|| {
        client.receive(bytes.clone());
        let mut told = Vec::new();
        assert_eq!(listen(&mut client, &mut told), Rest::NeedCommand);
        assert!(!told.is_empty());
    })
    .bytes_max
}

const SIZE: usize = 4 << 20;

fn json() -> [(&'static str, String); 4] {
    let repeat = |item: &str| format!("[{}{item}]", format!("{item},").repeat(SIZE / (item.len() + 1) - 1));
    [
        ("numbers", repeat("0")),
        ("objects", repeat("{\"\":0}")),
        ("texts", repeat("\"\"")),
        ("nested", format!("{}{}", "[".repeat(SIZE / 2), "]".repeat(SIZE / 2))),
    ]
}

#[test]
fn error_details_do_not_unfold() {
    for (what, details) in json() {
        let error =
            [(keys::LOG_LEVEL, "EXCEPTION"), (keys::LOG_MESSAGE, "m"), (keys::ERROR_DETAILS, &*details)];
        assert_below(&format!("details of {what}"), told(&error), 16 * SIZE as u64);
    }
}

#[test]
fn extras_of_logs_and_errors_do_not_unfold() {
    for (what, details) in json() {
        let extra = format!("{{\"error_details\":{details}}}");
        for level in ["INFO", "EXCEPTION"] {
            let log = [(keys::LOG_LEVEL, level), (keys::LOG_MESSAGE, "m"), (keys::LOG_EXTRA, &*extra)];
            assert_below(&format!("extras of {what}, {level}"), told(&log), 16 * SIZE as u64);
        }
    }
}

/// Sends a request. Returns the server's peak memory and the length of its answer.
fn answered(request: Bytes) -> (u64, usize) {
    let mut server = responder(Limits::default());
    let mut sent = Vec::new();
    let taken = measure(|| {
        server.receive(request.clone());
        assert_eq!(serve(&mut server, usize::MAX, &mut sent), Rest::NeedInput);
    });
    (taken.bytes_max, sent.len())
}

#[test]
fn long_names_are_not_repeated_many_times() {
    let long = "x".repeat(MIB as usize);
    let request = |row: RecordBatch, method: &str, protocol: &str| {
        let entries = [(keys::METHOD, method), (keys::PROTOCOL, protocol), (keys::REQUEST_VERSION, "1")];
        stream_of(&[(row, entries.into_iter().collect())])
    };
    let named = RecordBatch::try_from_iter([(&*long, int(1))]).unwrap();
    let names = (0..1000).map(|n| (format!("{n}{}", &long[..1000]), int(1)));
    let many = RecordBatch::try_from_iter(names).unwrap();
    let requests = [
        ("a long method", request(no_columns(1), &long, MAIN)),
        ("a long protocol", request(no_columns(1), "echo", &long)),
        ("a long parameter", request(named, "echo", MAIN)),
        ("many parameters", request(many, "echo", MAIN)),
    ];
    for (what, bytes) in requests {
        let (taken, answer) = answered(bytes.clone());
        println!("{what}: {} bytes asked, {answer} answered", bytes.len());
        assert_below(what, taken, 16 * MIB);
        assert!(answer < 8 * bytes.len(), "{answer} bytes answer {}", bytes.len());
    }
}

/// Each log of each turn repeats the id, so a long id is ignored.
#[test]
fn a_long_request_id_is_not_repeated_with_every_log() {
    let mut client = Connection::new(Limits::default());
    let mut server = responder(Limits::default());
    let long = "x".repeat(MIB as usize);
    let row = RecordBatch::try_from_iter([("count", int(1000))]).unwrap();
    let schema = EncodedSchema::new(row.schema()).unwrap();
    for (id, most) in [("an id of the usual length", 4096), (&*long, 4096)] {
        let call = Call {
            protocol: MAIN,
            method: "count_with_logs",
            protocol_version: None,
            request_id: Some(id),
            kind: CallKind::Stream { header: false },
            metadata: Metadata::new(),
        };
        client.call(&call, &schema, &row).unwrap();
        let mut sent = Vec::new();
        for turn in 0..20 {
            if turn > 0 {
                client.tick(&Metadata::new()).unwrap();
            }
            let outbox = client.poll_transmit().unwrap();
            server.receive(outbox.copy_to_bytes(outbox.len()));
            assert_eq!(serve(&mut server, usize::MAX, &mut sent), Rest::NeedInput);
        }
        assert!(sent.len() > 2000 && sent.len() < 20 * most, "{} bytes for twenty ticks", sent.len());
        client.cancel().unwrap();
        client.receive(sent.into());
        let outbox = client.poll_transmit().unwrap();
        server.receive(outbox.copy_to_bytes(outbox.len()));
        let mut rest = Vec::new();
        assert_eq!(serve(&mut server, usize::MAX, &mut rest), Rest::NeedInput);
        client.receive(rest.into());
        listen(&mut client, &mut Vec::new());
        assert!(client.is_idle() && server.is_idle());
    }
}
