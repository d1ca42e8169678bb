//! Names and values from a peer, in answers and in log lines: however long they are, the output stays short, and producing it
//! takes time and memory linear in the request.

use crate::common::batches::{row, text};
use crate::common::driver::{Rest, serve};
use crate::common::scenarios::{echo, request, unary};
use crate::common::service::{MAIN, responder};
use allocation_counter::measure;
use arrow_array::{ArrayRef, Int8Array, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, Schema};
use bytes::{Buf, Bytes};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::access_log::LineFormat;
use vgi_rpc_protocol::client::{CallKind, Connection};
use vgi_rpc_protocol::service::CallRecord;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{Limits, access_log};

const MIB: usize = 1 << 20;

/// Returns the answer to a request, its record, and the peak memory.
fn call(command: crate::common::driver::Command) -> (Vec<u8>, CallRecord, usize) {
    let mut client = Connection::new(Limits::default());
    command.issue(&mut client).unwrap();
    let outbox = client.poll_transmit().unwrap();
    answer(outbox.copy_to_bytes(outbox.remaining()))
}

fn answer(request: Bytes) -> (Vec<u8>, CallRecord, usize) {
    let mut server = responder(Limits::default());
    server.record_calls();
    let mut sent = Vec::new();
    let taken = measure(|| {
        server.receive(request.clone());
        assert_eq!(serve(&mut server, usize::MAX, &mut sent), Rest::NeedInput);
    });
    (sent, server.poll_record().unwrap(), taken.bytes_max as usize)
}

/// Returns the line of a record, which must be JSON and shorter than a MiB.
#[track_caller]
fn line(record: &CallRecord) -> (usize, Value) {
    let line = access_log::line(record, Duration::ZERO, 0);
    assert!(line.len() < MIB, "{} bytes", line.len());
    (line.len(), serde_json::from_str(&line).unwrap())
}

/// Returns the line of a record within this many bytes.
fn within(record: &CallRecord, dropped: u64, bytes: usize) -> String {
    let format = LineFormat::default().max_record_bytes(bytes);
    format.line(record, Duration::ZERO, dropped).unwrap()
}

fn numbers(count: usize, name: impl Fn(usize) -> String) -> RecordBatch {
    let fields: Vec<_> = (0..count).map(|index| Field::new(name(index), DataType::Int8, false)).collect();
    let column: ArrayRef = Arc::new(Int8Array::from(vec![1]));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![column; count]).unwrap()
}

#[test]
fn an_error_that_repeats_50_mb_of_an_argument_is_answered_within_a_mib() {
    let argument = "\u{1}".repeat(50_000_000);
    let (sent, record, _) = call(unary("fail", row([("message", text(&argument))])));
    assert!(sent.len() < MIB, "{}", sent.len());
    let error = record.error.as_ref().unwrap();
    assert_eq!(error.message(), "\u{1}".repeat(32 << 10) + "…");
    let (_, line) = line(&record);
    assert_eq!(line["error_message"], error.message(), "the log repeats the whole text");
    assert_eq!(line["input_bytes"], 50_000_008);
}

#[test]
fn of_a_text_that_is_only_lent_no_more_is_copied_than_is_kept() {
    let argument = "\u{1}".repeat(10_000_000);
    let error = measure(|| drop(RpcError::value_error(&*argument).with_cause(&argument)));
    let log = measure(|| drop(LogMessage::info(&*argument).with("x", &argument[..10]).to_metadata("", None)));
    assert!(
        error.bytes_max < 256 << 10 && log.bytes_max < 256 << 10,
        "{} {}",
        error.bytes_max,
        log.bytes_max
    );
}

#[test]
fn long_and_many_names_of_columns_make_short_answers_and_lines() {
    let long = |letter: &str| row([(letter.repeat(8_000_000).as_str(), text("x"))]);
    let nested = {
        let fields: Vec<_> = (0..20_000)
            .map(|index| Field::new(format!("{}{index}", "\u{1}".repeat(40)), DataType::Int8, false))
            .collect();
        let column: ArrayRef = Arc::new(Int8Array::from(vec![1]));
        let columns = vec![column; fields.len()];
        row([("value", Arc::new(StructArray::new(fields.into(), columns, None)))])
    };
    for (what, batch) in [
        ("a long name", long("a")),
        ("a long name of control characters", long("\u{1}")),
        ("many columns", numbers(30_000, |index| format!("{}{index}", "\u{1}".repeat(40)))),
        ("a type of many names", nested),
    ] {
        let (sent, record, _) = call(unary("echo", batch));
        assert!(sent.len() < 64 << 10, "{what}: {}", sent.len());
        let (_, line) = line(&record);
        assert_eq!(line["error_message"], record.error.as_ref().unwrap().message(), "{what}");
        let text: usize = record.request_fields.iter().map(|(name, kind)| name.len() + kind.len()).sum();
        assert!(text <= 48 << 10, "{what}: {text}");
        assert!(record.request_fields.iter().any(|(name, kind)| name.contains('…') || kind.contains('…')));
    }
}

#[test]
fn columns_that_are_left_out_are_counted() {
    let (_, record, _) = call(unary("echo", numbers(30_000, |index| format!("c{index}"))));
    let shown = record.request_fields.len() - 1;
    assert_eq!(record.request_fields[0], ("c0".to_owned(), "Int8".to_owned()));
    assert_eq!(record.request_fields[shown], ("…".to_owned(), format!("{} more columns", 30_000 - shown)));
    assert!(shown > 1000, "{shown}");
}

#[test]
fn a_request_id_of_7_mb_is_not_taken_for_one() {
    let id = vec![1; 7_000_000];
    let entries: [(&str, &[u8]); 4] = [
        ("vgi_rpc.method", b"echo"),
        ("vgi_rpc.request_version", b"1"),
        ("vgi_rpc.protocol", MAIN.as_bytes()),
        ("vgi_rpc.request_id", &id),
    ];
    let (sent, record, _) = call(request(CallKind::Unary, row([("value", text("x"))]), entries));
    assert!(sent.len() < 64 << 10 && record.request_id.len() < 64, "{}", sent.len());
    line(&record);
}

/// Twice the names need at most twice the memory, and little besides the decoded schema.
#[test]
fn refusals_cost_memory_linear_in_the_request() {
    let taken = |columns: usize| call(unary("echo", numbers(columns, |index| format!("column {index}")))).2;
    let (once, twice) = (taken(10_000), taken(20_000));
    assert!(twice < 2 * once + MIB, "{once} and {twice}");
    let named = |bytes: usize| call(unary("echo", row([("\u{1}".repeat(bytes).as_str(), text("x"))]))).2;
    let (short, long) = (named(10), named(8_000_000));
    assert!(long - short < 24_000_000, "the name as received and as decoded, but not escaped: {long}");
}

#[test]
fn a_small_value_is_logged_with_its_own_bytes() {
    let (_, record, _) = call(echo(&"x".repeat(100_000)));
    let (_, line) = line(&record);
    assert_eq!((&line["input_bytes"], &line["output_bytes"]), (&100_008.into(), &100_008.into()));
}

#[test]
fn a_record_above_the_limit_keeps_what_every_record_must_have() {
    let (_, record, _) = call(unary("fail", row([("message", text(&"\u{1}".repeat(1000)))])));
    let whole = access_log::line(&record, Duration::ZERO, 7);
    let same = within(&record, 7, whole.len() - 1);
    assert_eq!(same, whole, "the limit excludes the line's end");
    let reduced = within(&record, 7, whole.len() - 2);
    let line: Value = serde_json::from_str(&reduced).unwrap();
    assert_eq!(line["truncated"], "record_too_large");
    assert_eq!((&line["dropped_records"], &line["status"]), (&7.into(), &"error".into()));
    assert_eq!(line["error_message"], "\u{1}".repeat(1000), "the whole message");
    for left_out in ["request_fields", "request_rows", "input_bytes", "request_id", "error_code"] {
        assert!(line.get(left_out).is_none(), "{left_out}");
    }
    assert!(!whole.contains("truncated"));
}

#[test]
fn a_reduced_record_of_a_stream_names_its_stream() {
    let mut server = responder(Limits::default());
    server.record_calls();
    let mut client = Connection::new(Limits::default());
    for command in [
        crate::common::scenarios::count(1),
        crate::common::scenarios::tick(),
        crate::common::scenarios::tick(),
    ] {
        command.issue(&mut client).unwrap();
        let outbox = client.poll_transmit().unwrap();
        server.receive(outbox.copy_to_bytes(outbox.remaining()));
        serve(&mut server, usize::MAX, &mut Vec::new());
    }
    let record = server.poll_record().unwrap();
    let line: Value = serde_json::from_str(&within(&record, 0, 1)).unwrap();
    assert_eq!(line["stream_id"], record.stream_id.unwrap());
}
