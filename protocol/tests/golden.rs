//! Replays what the Python reference said to itself: tests/golden, whose capture.py tells what its files mean.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test, which reads files"
)]

mod common;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use bytes::{Buf, Bytes};
use common::driver::{Rest, listen};
use common::feed::drain;
use common::replay::{Seen, config};
use common::streams::{batches_of, items_of};
use common::told::{Told, rows};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use vgi_rpc_protocol::client::{self, CallKind};
use vgi_rpc_protocol::ipc::{
    BatchEncoder, EncodedSchema, Item, Metadata, Outbox, Reader, decode_batch, encode_batch,
};
use vgi_rpc_protocol::reflection::{self, ProtocolList, ServiceDescription};
use vgi_rpc_protocol::server::{self, Event, InputStream};
use vgi_rpc_protocol::wire::classify::{BatchKind, classify};
use vgi_rpc_protocol::wire::detail::{Detail, PreconditionFailure};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::keys;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{IdSource, Limits, Next};

/// One scenario of index.json with its bytes.
struct Scenario {
    name: String,
    method: String,
    kind: String,
    /// Type, code and kind of the error that the reference's client was given.
    error: Option<[String; 3]>,
    /// Who spoke when: true for the client.
    chunks: Vec<(bool, Bytes)>,
    request: Bytes,
    response: Bytes,
}

fn scenarios() -> Vec<Scenario> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let read = |name: String| Bytes::from(std::fs::read(folder.join(name)).unwrap());
    let index: Value = serde_json::from_slice(&read("index.json".into())).unwrap();
    let scenario = |(name, entry): (&String, &Value)| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let [request, response] = ["request", "response"].map(|side| read(format!("{name}.{side}.bin")));
        let (mut up, mut down) = (request.clone(), response.clone());
        let chunks = entry["chunks"].as_array().unwrap().iter().map(|chunk| {
            let (by_client, len) = (chunk[0] == "request", chunk[1].as_u64().unwrap() as usize);
            (by_client, if by_client { up.split_to(len) } else { down.split_to(len) })
        });
        let chunks = chunks.collect();
        assert!(up.is_empty() && down.is_empty(), "{name}: the chunks are all there is");
        let error = &entry["error"];
        Scenario {
            name: name.clone(),
            method: text(&entry["method"]),
            kind: text(&entry["kind"]),
            error: (!error.is_null()).then(|| ["type", "code", "kind"].map(|field| text(&error[field]))),
            chunks,
            request,
            response,
        }
    };
    let scenarios: Vec<_> = index["scenarios"].as_object().unwrap().iter().map(scenario).collect();
    assert!(scenarios.len() > 120, "the capture is there: {}", scenarios.len());
    scenarios
}

fn scenario(name: &str) -> Scenario {
    scenarios()
        .into_iter()
        .find(|scenario| scenario.name == name)
        .unwrap_or_else(|| panic!("no scenario {name}"))
}

const STREAMS_AMONG_SEVERAL: [&str; 2] = ["produce_n", "cancellable_exchange"];
const METHODS_WITH_HEADER: [&str; 6] = [
    "produce_with_header",
    "produce_with_header_and_logs",
    "produce_with_rich_header",
    "produce_dynamic_schema",
    "exchange_with_header",
    "exchange_with_rich_header",
];

impl Scenario {
    fn call_kind(&self, method: &str) -> CallKind {
        let stream = match self.kind.as_str() {
            "producer" | "exchange" => true,
            "several" => STREAMS_AMONG_SEVERAL.contains(&method),
            _ => false,
        };
        if stream {
            CallKind::Stream { header: METHODS_WITH_HEADER.contains(&method) }
        } else {
            CallKind::Unary
        }
    }
}

fn encoded(batch: &RecordBatch) -> EncodedSchema {
    EncodedSchema::new(batch.schema()).unwrap()
}

/// What a client of ours was told and sent where the reference's client had its conversation.
struct Played {
    told: Vec<Told>,
    sent: Bytes,
}

/// Gives our client the reference client's part, chunk by chunk, and the reference server's answers.
fn play_client(scenario: &Scenario) -> Played {
    let name = &scenario.name;
    let mut client = client::Connection::new(Limits::default());
    let mut reader = Reader::new(Limits::default());
    let (mut told, mut sent, mut in_input) = (Vec::new(), Vec::new(), false);
    for (by_client, bytes) in &scenario.chunks {
        if !by_client {
            client.receive(bytes.clone());
            let rest = listen(&mut client, &mut told);
            assert!(rest == Rest::NeedCommand, "{name}: {rest:?}");
        } else {
            reader.receive(bytes.clone());
            while let Some(item) = reader.next_item().unwrap() {
                match item {
                    // A stream that comes in mid-call is that call's input.
                    Item::Schema(_) => in_input = !client.is_idle(),
                    // Where there is nothing to end any more, the client has ended it by itself.
                    Item::EndOfStream if in_input => _ = client.close(),
                    Item::EndOfStream => {}
                    Item::Batch(batch, metadata) => say(&mut client, scenario, &batch, &metadata),
                }
            }
        }
        drain(client.poll_transmit(), usize::MAX, &mut sent);
    }
    assert!(client.is_idle(), "{name}: the last call is over");
    assert!(reader.is_at_boundary(), "{name}: the client said all of its part");
    assert_eq!(listen(&mut client, &mut told), Rest::NeedCommand, "{name}: nothing is left");
    client.receive_eof();
    assert_eq!(listen(&mut client, &mut told), Rest::Closed, "{name}");
    Played { told, sent: sent.into() }
}

/// Has the client say what the reference's client said.
fn say(client: &mut client::Connection, scenario: &Scenario, batch: &RecordBatch, metadata: &Metadata) {
    if client.is_idle() {
        // Input of a stream that did not open: ours sends none of it once it knows.
        if !is_input(metadata, scenario) {
            let kind = scenario.call_kind(metadata.get_str(keys::METHOD).unwrap_or_default());
            client.send_request(kind, &encoded(batch), batch, metadata).unwrap();
        }
    } else if metadata.contains_key(keys::CANCEL) {
        client.cancel().unwrap();
    } else if batch.num_columns() == 0 {
        assert_eq!(batch.num_rows(), 0, "{}: a tick has no rows", scenario.name);
        client.tick(metadata).unwrap();
    } else {
        client.send(&encoded(batch), batch, metadata).unwrap();
    }
}

/// A batch of a stream call's input, which the reference may send after the call has failed.
fn is_input(metadata: &Metadata, scenario: &Scenario) -> bool {
    scenario.kind != "by hand" && !metadata.contains_key(keys::METHOD)
}

/// The requests in a stream of bytes, and the batches of input after each.
fn calls(request: &Bytes, scenario: &Scenario) -> Vec<(Metadata, Vec<(RecordBatch, Metadata)>)> {
    let mut calls: Vec<(Metadata, Vec<_>)> = Vec::new();
    for (batch, metadata) in batches_of(request) {
        match calls.last_mut() {
            Some((_, input)) if is_input(&metadata, scenario) => input.push((batch, metadata)),
            _ => calls.push((metadata, Vec::new())),
        }
    }
    calls
}

#[test]
fn our_client_understands_every_conversation_to_its_end() {
    for scenario in scenarios() {
        let name = &scenario.name;
        let played = play_client(&scenario);
        let calls = calls(&scenario.request, &scenario).len();
        let finished = played.told.iter().filter(|told| **told == Told::Finished).count();
        assert_eq!(finished, calls, "{name}: each call ends once");
        assert_eq!(played.told.last(), Some(&Told::Finished), "{name}");

        let errors: Vec<_> = played.told.iter().filter_map(Told::error).collect();
        let expected_errors = usize::from(scenario.error.is_some() || name == "call_after_error");
        assert_eq!(errors.len(), expected_errors, "{name}: {errors:?}");
        if let Some([error_type, code, kind]) = &scenario.error {
            let error = errors[0];
            let found = [error.error_type(), error.code_name(), error.kind().unwrap_or_default()];
            assert_eq!(found, [error_type, code, kind], "{name}");
            assert_eq!(error.code().as_str(), code, "{name}");
            assert_eq!(error.request_id(), "golden-request", "{name}");
            assert_eq!(error.traceback(), "scrubbed\n", "{name}");
        }
    }
}

#[test]
fn our_client_says_what_the_references_client_says() {
    for scenario in scenarios() {
        let ours = batches_of(&play_client(&scenario).sent);
        let mut theirs = batches_of(&scenario.request);
        match scenario.name.as_str() {
            // The reference's client sends its first input before it reads that the stream did not open, and asks
            // for one more turn although the stream has ended with its last batch.
            "produce_error_on_init" | "exchange_error_on_init" | "produce_tick_metadata" => {
                drop(theirs.pop())
            }
            _ => {}
        }
        assert_eq!(ours, theirs, "{}", scenario.name);
    }
}

/// What the client is told, as lines, in the scenarios that one line can show. Values are those of scenarios.py.
const TOLD: &[(&str, &[&str])] = &[
    ("echo_string", &["output result=hello"]),
    ("echo_string_empty", &["output result="]),
    ("echo_string_unicode", &["output result=λ 🌍"]),
    ("echo_bytes", &["output result=0001ff"]),
    ("echo_int", &["output result=-9223372036854775808"]),
    ("echo_float", &["output result=3.25"]),
    ("echo_bool", &["output result=true"]),
    ("void_noop", &["output 0 rows of 0 columns"]),
    ("void_with_param", &["output 0 rows of 0 columns"]),
    ("echo_enum", &["output result=ACTIVE"]),
    ("echo_list", &["output result=[a, , c]"]),
    ("echo_list_empty", &["output result=[]"]),
    ("echo_dict", &["output result={z: 1, a: 2}"]),
    ("echo_nested_list", &["output result=[[1, 2], [], [3]]"]),
    ("echo_optional_string", &["output result=here"]),
    ("echo_optional_string_null", &["output result=null"]),
    ("echo_optional_int_null", &["output result=null"]),
    ("echo_optional_point", &["output result=<x=1.0, y=2.0>"]),
    ("echo_optional_point_null", &["output result=null"]),
    ("echo_annotated_optional_int", &["output result=17"]),
    ("echo_outer_optional_non_null", &["output result=23"]),
    ("echo_point", &["output result=<x=1.5, y=2.5>"]),
    (
        "echo_bounding_box",
        &["output result=<top_left={x: 0.0, y: 1.0}, bottom_right={x: 2.0, y: 3.0}, label=box>"],
    ),
    ("inspect_point", &["output result=Point(1.5, 2.5)"]),
    ("echo_int8", &["output result=-128"]),
    ("echo_int16", &["output result=-32768"]),
    ("echo_int32", &["output result=-2147483648"]),
    ("echo_uint8", &["output result=255"]),
    ("echo_uint16", &["output result=65535"]),
    ("echo_uint32", &["output result=4294967295"]),
    ("echo_uint64", &["output result=18446744073709551615"]),
    ("echo_float32", &["output result=0.5"]),
    ("echo_date", &["output result=2024-02-29"]),
    ("echo_timestamp", &["output result=2024-02-29T01:02:03.456789"]),
    ("echo_timestamp_utc", &["output result=2024-02-29T01:02:03.456789[UTC]"]),
    ("echo_time", &["output result=23:59:59.999999"]),
    ("echo_duration", &["output result=-PT86399.999999S"]),
    ("echo_decimal", &["output result=-12345.6789"]),
    ("echo_large_string", &["output result=large"]),
    ("echo_large_binary", &["output result=0102"]),
    ("echo_fixed_binary", &["output result=3820627974657321"]),
    (
        "echo_container_wide_types",
        &["output result=<list_decimal=[1.5000], list_date=[1970-01-01], \
           list_timestamp=[1970-01-01T00:00:00], optional_date=null, optional_decimal=2.0000, \
           optional_timestamp=null, dict_str_decimal={a: 3.2500}, frozenset_int=[4], \
           list_optional_int=[1, null]>"],
    ),
    (
        "echo_deep_nested",
        &["output result=<list_of_lists_decimal=[[1.0000], []], optional_list_date=[2024-02-29], \
           dict_encoded_string=one, list_of_dict_encoded=[one, two, one]>"],
    ),
    ("echo_dict_encoded_string", &["output result=one"]),
    ("echo_status_list", &["output result=[ACTIVE, PENDING, ACTIVE]"]),
    (
        "pack_nested_containers",
        &["output result=<statuses=[CLOSED, ACTIVE, CLOSED], points=[{x: 1.0, y: 2.0}], \
           status_by_name={a: PENDING, b: ACTIVE}, frozen_statuses=[CLOSED, ACTIVE], tagged_status=CLOSED, \
           tagged_point={x: 1.0, y: 2.0}, tagged_batch=<value=1; value=2>>"],
    ),
    ("add_floats", &["output result=3.75"]),
    ("concatenate_default", &["output result=hello-world"]),
    ("with_defaults", &["output result=required=1, optional_str=default, optional_int=42"]),
    ("raise_value_error", &["failed ValueError: golden"]),
    ("raise_runtime_error", &["failed RuntimeError: golden"]),
    ("raise_type_error", &["failed TypeError: golden"]),
    ("echo_with_info_log", &["log INFO info: lvl", "output result=lvl"]),
    (
        "echo_with_multi_logs",
        &["log DEBUG debug: lvl", "log INFO info: lvl", "log WARN warn: lvl", "output result=lvl"],
    ),
    (
        "echo_with_all_log_levels",
        &[
            "log TRACE trace: lvl",
            "log DEBUG debug: lvl",
            "log INFO info: lvl",
            "log WARN warn: lvl",
            "log ERROR error: lvl",
            "output result=lvl",
        ],
    ),
    ("secondary_echo_string", &["output result=secondary:hello"]),
    ("produce_n", &["output index=0, value=0", "output index=1, value=10", "output index=2, value=20"]),
    ("produce_empty", &[]),
    ("produce_single", &["output index=0, value=0"]),
    (
        "produce_with_logs",
        &[
            "log INFO producing batch 0",
            "output index=0, value=0",
            "log INFO producing batch 1",
            "output index=1, value=10",
        ],
    ),
    (
        "produce_error_mid_stream",
        &[
            "output index=0, value=0",
            "output index=1, value=10",
            "failed RuntimeError: intentional error after 2 batches",
        ],
    ),
    ("produce_error_on_init", &["failed RuntimeError: intentional init error"]),
    (
        "produce_with_header",
        &[
            "header total_expected=2, description=producing 2 batches",
            "output index=0, value=0",
            "output index=1, value=10",
        ],
    ),
    (
        "produce_with_header_and_logs",
        &[
            "log INFO stream init log",
            "header total_expected=2, description=producing 2 with logs",
            "output index=0, value=0",
            "output index=1, value=10",
        ],
    ),
    ("produce_tick_metadata", &["output index=0, seen=", "output index=1, seen=second"]),
    ("producer_cancel_before_tick", &[]),
    ("producer_cancel_mid_stream", &["output index=0, value=0", "output index=1, value=10"]),
    ("producer_close_before_tick", &[]),
    ("producer_close_mid_stream", &["output index=0, value=0"]),
    ("exchange_scale", &["output value=2.0; value=4.0", "output value=-6.0"]),
    ("exchange_scale_no_rows", &["output 0 rows of 1 columns"]),
    (
        "exchange_accumulate",
        &["output running_sum=3.0, exchange_count=1", "output running_sum=6.0, exchange_count=2"],
    ),
    ("exchange_with_logs", &["log INFO exchange processing", "log DEBUG exchange debug", "output value=1.0"]),
    ("exchange_error_on_nth", &["output value=1.0", "failed RuntimeError: intentional error on exchange 2"]),
    ("exchange_error_on_init", &["failed RuntimeError: intentional exchange init error"]),
    ("exchange_zero_columns", &["output 0 rows of 0 columns", "output 0 rows of 0 columns"]),
    (
        "exchange_input_metadata",
        &["output seen=first, keys=other,vgi.conformance.input", "output seen=, keys="],
    ),
    ("exchange_cast_int64", &["output value=1.0; value=2.0"]),
    ("exchange_cast_float32", &["output value=0.5"]),
    ("exchange_with_header", &["header total_expected=0, description=scale by 2.0", "output value=2.0"]),
    ("exchange_cancel_before_turn", &[]),
    ("exchange_cancel_mid_stream", &["output value=1.0"]),
    ("exchange_close_before_turn", &[]),
    ("exchange_close_mid_stream", &["output value=1.0"]),
    ("two_calls", &["output result=one", "output result=2"]),
    ("call_after_error", &["failed ValueError: golden", "output result=recovered"]),
    ("call_after_stream", &["output index=0, value=0", "output result=after"]),
    ("calls_around_cancel", &["output 0 rows of 0 columns", "output result=[0, 0, 1]"]),
    ("protocol_version_other_patch", &["output result=2.0"]),
];

#[test]
fn our_client_is_told_the_values_that_the_reference_sent() {
    let played: BTreeMap<_, _> =
        scenarios().iter().map(|scenario| (scenario.name.clone(), play_client(scenario).told)).collect();
    for (name, expected) in TOLD {
        let told: Vec<_> =
            played[*name].iter().filter(|told| **told != Told::Finished).map(Told::line).collect();
        assert_eq!(told, *expected, "{name}");
    }
    assert!(TOLD.len() > 80);
}

/// The only batch that came as a result or an output.
fn only_output(name: &str) -> RecordBatch {
    let told = play_client(&scenario(name)).told;
    let mut outputs = told.into_iter().filter_map(|told| match told {
        Told::Output(batch, _) => Some(batch),
        _ => None,
    });
    let output = outputs.next().unwrap();
    assert!(outputs.next().is_none());
    output
}

/// A record that is the result.
fn record(name: &str) -> RecordBatch {
    let bytes = only_output(name).column(0).as_binary::<i32>().value(0).to_vec();
    decode_batch(bytes.into(), &Limits::default()).unwrap().0
}

#[test]
fn records_with_every_type_are_read() {
    let all = rows(&record("echo_all_types"));
    for part in [
        "str_field=text, bytes_field=00ff, int_field=-1, float_field=0.5, bool_field=true",
        "list_of_int=[1, 2], list_of_str=[a, ], dict_field={k: 9}, enum_field=CLOSED",
        "nested_point={x: 1.0, y: 2.0}, optional_str=null, optional_int=5, optional_nested=null",
        "list_of_nested=[{x: 3.0, y: 4.0}], annotated_int32=7, annotated_float32=0.25",
        "nested_list=[[1], []], dict_str_str={a: b}",
    ] {
        assert!(all.contains(part), "{part:?} in {all}");
    }
    let wide = rows(&record("echo_wide_types"));
    for part in [
        "int8_field=-128, int16_field=-32768, int32_field=-2147483648",
        "uint8_field=255, uint16_field=65535, uint32_field=4294967295, uint64_field=18446744073709551615",
        "date_field=2024-02-29, timestamp_field=2024-02-29T01:02:03.456789",
        "timestamp_utc_field=2024-02-29T01:02:03.456789[UTC], time_field=23:59:59.999999",
        "duration_field=-PT86399.999999S, decimal_field=-1234567890123456.7891",
        "large_string_field=large, large_binary_field=0102, fixed_binary_field=3820627974657321",
    ] {
        assert!(wide.contains(part), "{part:?} in {wide}");
    }
}

#[test]
fn a_batch_and_a_schema_inside_a_record_are_read() {
    let embedded = record("echo_embedded_arrow");
    let bytes = |column: usize| Bytes::copy_from_slice(embedded.column(column).as_binary::<i32>().value(0));
    let (inner, _) = decode_batch(bytes(0), &Limits::default()).unwrap();
    assert_eq!(rows(&inner), "x=1; x=2");
    let mut reader = Reader::new(Limits::default());
    reader.receive(bytes(1));
    let Some(Item::Schema(schema)) = reader.next_item().unwrap() else { panic!() };
    assert_eq!(schema.schema().field(0).name(), "y");
}

#[test]
fn logs_carry_what_the_reference_attached() {
    let told = play_client(&scenario("echo_with_log_extras")).told;
    let [Told::Log(log), ..] = &told[..] else { panic!("{told:?}") };
    assert_eq!(log.message, "info: lvl");
    assert_eq!(log.extra["server_id"], "golden-server");
    assert_eq!(log.extra["request_id"], "golden-request");
    assert!(log.extra.len() > 2, "{:?}", log.extra);
}

#[test]
fn details_of_errors_are_read() {
    let error =
        |name: &str| play_client(&scenario(name)).told.iter().find_map(|told| told.error().cloned()).unwrap();
    let retry = error("secondary_fail_retry");
    assert!(retry.is_retryable());
    assert_eq!(retry.retry_delay(), Some(std::time::Duration::from_millis(1500)));
    let fail = error("secondary_fail");
    assert!(matches!(fail.details(), [Detail::ErrorInfo(_), Detail::Other(_)]), "{:?}", fail.details());
    assert_eq!(error("secondary_fail_oversized").details().len(), 0);
    let mismatch = error("protocol_version_mismatch");
    let detail: &PreconditionFailure = mismatch.detail().unwrap();
    assert_eq!(detail.violations[0].subject, "ConformanceService");
}

#[test]
fn large_batches_come_whole() {
    let told = play_client(&scenario("produce_large_batches")).told;
    let rows: Vec<_> = told
        .iter()
        .filter_map(|told| match told {
            Told::Output(batch, _) => Some(batch.num_rows()),
            _ => None,
        })
        .collect();
    assert_eq!(rows, [50, 50]);
}

#[test]
fn metadata_of_outputs_keeps_its_bytes() {
    let told = play_client(&scenario("produce_annotated_batches")).told;
    let labels = told.iter().filter_map(|told| match told {
        Told::Output(_, metadata) => metadata.get_str("conformance.emit_label"),
        _ => None,
    });
    assert_eq!(labels.collect::<Vec<_>>(), ["ünïcode-λ"; 2]);
}

#[test]
fn reflection_of_the_reference_is_read() {
    let payload = |name: &str| only_output(name).column(0).as_binary::<i32>().value(0).to_vec();
    let list = ProtocolList::decode(&payload("reflection_list_protocols")).unwrap();
    let names: Vec<_> = list.protocols.iter().map(|protocol| protocol.protocol.as_str()).collect();
    assert_eq!(names, ["ConformanceService", "conformance.Secondary.v1", reflection::PROTOCOL_NAME]);
    assert_eq!(list.protocols[0].protocol_version, "2.0.0");
    let secondary = ServiceDescription::decode(&payload("reflection_describe_secondary")).unwrap();
    assert_eq!(secondary.summary, list.protocols[1]);
    assert!(secondary.methods.iter().any(|method| method.name == "fail_oversized"));
    // Reflection is the same protocol everywhere, so its description is the same too.
    let theirs = ServiceDescription::decode(&payload("reflection_describe_reflection")).unwrap();
    let hash = reflection::protocol_hash(reflection::PROTOCOL_NAME, &reflection::methods()).unwrap();
    assert_eq!(theirs.summary.protocol_hash, hash);
    assert_eq!(theirs.methods.len(), 2);
}

#[test]
fn capabilities_of_the_reference_are_read() {
    let told = play_client(&scenario("transport_options")).told;
    let [Told::Output(_, metadata), Told::Finished] = &told[..] else { panic!("{told:?}") };
    assert_eq!(metadata.get_str(keys::TRANSPORT_SHM), Some("true"));
    assert_eq!(metadata.get_str(keys::SERVER_ID), Some("golden-server"));
}

/// One stream of a response.
struct ResponseStream {
    schema: EncodedSchema,
    batches: VecDeque<(RecordBatch, Metadata)>,
}

fn response_streams(response: &Bytes) -> VecDeque<ResponseStream> {
    let mut streams = VecDeque::new();
    let mut open = None;
    for item in items_of(response, &Limits::default()).unwrap() {
        match item {
            Item::Schema(schema) => {
                let schema = EncodedSchema::new(schema.schema().clone()).unwrap();
                open = Some(ResponseStream { schema, batches: VecDeque::new() });
            }
            Item::Batch(batch, metadata) => open.as_mut().unwrap().batches.push_back((batch, metadata)),
            Item::EndOfStream => streams.extend(open.take()),
        }
    }
    streams
}

impl ResponseStream {
    /// Sends the logs that come next, and gives what comes after them.
    fn next(&mut self, connection: &mut server::Connection) -> Option<(RecordBatch, Metadata)> {
        loop {
            let (batch, metadata) = self.batches.pop_front()?;
            if classify(batch.num_rows(), Some(&metadata)) != BatchKind::Log {
                return Some((batch, metadata));
            }
            connection.log(&log(&metadata));
        }
    }
}

/// A log without what the connection adds to it.
fn log(metadata: &Metadata) -> LogMessage {
    let mut log = LogMessage::from_metadata(metadata).unwrap();
    log.extra.remove("server_id");
    log.extra.remove("request_id");
    log
}

fn is_error(batch: &RecordBatch, metadata: &Metadata) -> bool {
    classify(batch.num_rows(), Some(metadata)) == BatchKind::Error
}

/// A server's connection of ours that answers the reference's client as the reference did.
struct Server<'a> {
    scenario: &'a Scenario,
    connection: server::Connection,
    answers: VecDeque<ResponseStream>,
    open: Option<ResponseStream>,
    seen: Vec<Seen>,
    sent: Vec<u8>,
}

impl<'a> Server<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let config = server::Config {
            server_id: "golden-server".into(),
            request_ids: IdSource::seeded(0),
            ..config(Limits::default())
        };
        Self {
            scenario,
            connection: server::Connection::new(config),
            answers: response_streams(&scenario.response),
            open: None,
            seen: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Answers all events that wait.
    fn answer(&mut self) {
        loop {
            match self.connection.poll_event().unwrap() {
                Next::Event(event) => self.event(event),
                Next::NeedInput => break,
                other => panic!("{}: {other:?}", self.scenario.name),
            }
        }
        drain(self.connection.poll_transmit(), usize::MAX, &mut self.sent);
    }

    fn event(&mut self, event: Event) {
        let connection = &mut self.connection;
        match &event {
            Event::Request(request) => {
                let mut answer = self.answers.pop_front().expect("the reference answered");
                match self.scenario.call_kind(request.method()) {
                    CallKind::Unary => {
                        let (batch, metadata) = answer.next(connection).unwrap();
                        if is_error(&batch, &metadata) {
                            let error = RpcError::from_metadata(&metadata);
                            connection.refuse(&answer.schema, &error, InputStream::None).unwrap();
                        } else {
                            connection.respond(&answer.schema, &batch, &metadata).unwrap();
                        }
                    }
                    CallKind::Stream { header } => {
                        let first = answer.batches.front();
                        let refused = first.is_some_and(|(batch, metadata)| is_error(batch, metadata));
                        let empty = answer.schema.schema().fields().is_empty();
                        if refused && empty && self.open.is_none() {
                            let (_, metadata) = answer.next(connection).unwrap();
                            let error = RpcError::from_metadata(&metadata);
                            connection.refuse(&answer.schema, &error, InputStream::Possible).unwrap();
                        } else {
                            if header {
                                let (batch, _) = answer.next(connection).unwrap();
                                connection.send_header(&answer.schema, &batch).unwrap();
                                answer = self.answers.pop_front().unwrap();
                            }
                            connection.open_stream(&answer.schema).unwrap();
                            self.open = Some(answer);
                        }
                    }
                }
            }
            Event::Input(..) => match self.open.as_mut().unwrap().next(connection) {
                Some((batch, metadata)) if is_error(&batch, &metadata) => {
                    connection.fail(&RpcError::from_metadata(&metadata)).unwrap();
                    self.open = None;
                }
                Some((batch, metadata)) => connection.emit(&batch, &metadata).unwrap(),
                None => {
                    connection.finish().unwrap();
                    self.open = None;
                }
            },
            Event::Cancelled | Event::InputEnded => {
                connection.finish().unwrap();
                self.open = None;
            }
            Event::Refused(_) => {
                // What the connection refuses by itself the reference has refused too.
                self.answers.pop_front().expect("the reference answered");
            }
        }
        self.seen.push(event.into());
    }
}

/// Plays the server's part, chunk by chunk.
fn play_server(scenario: &Scenario) -> Server<'_> {
    let mut server = Server::new(scenario);
    let (mut heard, mut said) = (Vec::new(), 0);
    for (by_client, bytes) in &scenario.chunks {
        if *by_client {
            server.connection.receive(bytes.clone());
            server.answer();
        } else {
            // Whatever the reference had said by now we have said: nobody waits for anybody.
            heard.extend_from_slice(bytes);
            said += said_by(&heard, &server.sent, said, scenario);
        }
    }
    server
}

/// Batches of `theirs` beyond the first `from`, each of which must be among `ours` in the same place.
fn said_by(theirs: &[u8], ours: &[u8], from: usize, scenario: &Scenario) -> usize {
    let (theirs, ours) = (open_batches(theirs), open_batches(ours));
    assert!(theirs.len() <= ours.len(), "{}: {} of {} batches", scenario.name, ours.len(), theirs.len());
    for (theirs, ours) in theirs.iter().zip(&ours).skip(from) {
        assert_same(theirs, ours, scenario);
    }
    theirs.len() - from
}

/// All batches so far, in streams that may not have ended.
fn open_batches(bytes: &[u8]) -> Vec<(RecordBatch, Metadata)> {
    let mut reader = Reader::new(Limits::default());
    reader.receive(Bytes::copy_from_slice(bytes));
    let mut batches = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        if let Item::Batch(batch, metadata) = item {
            batches.push((batch, metadata));
        }
    }
    batches
}

fn assert_same(theirs: &(RecordBatch, Metadata), ours: &(RecordBatch, Metadata), scenario: &Scenario) {
    let name = &scenario.name;
    assert_eq!(theirs.0, ours.0, "{name}");
    match classify(theirs.0.num_rows(), Some(&theirs.1)) {
        BatchKind::Log => assert_eq!(log(&theirs.1), log(&ours.1), "{name}"),
        BatchKind::Error => {
            let (theirs, ours) = (RpcError::from_metadata(&theirs.1), RpcError::from_metadata(&ours.1));
            assert_eq!(theirs.error_type(), ours.error_type(), "{name}");
            let facts =
                |error: &RpcError| (error.code(), error.kind().map(str::to_owned), error.details_json());
            assert_eq!(facts(&theirs), facts(&ours), "{name}");
            assert!(!ours.traceback().is_empty(), "{name}");
        }
        _ => assert_eq!(theirs.1, ours.1, "{name}"),
    }
}

#[test]
fn our_server_hears_every_call_and_answers_as_the_reference_did() {
    for scenario in scenarios() {
        let name = &scenario.name;
        let mut server = play_server(&scenario);
        assert!(server.connection.is_idle(), "{name}: the connection is free again");
        assert!(server.answers.is_empty(), "{name}: every answer was called for");
        server.connection.receive_eof();
        assert!(matches!(server.connection.poll_event(), Ok(Next::Closed)), "{name}");
        let (theirs, ours) = (&scenario.response, Bytes::from(server.sent));
        let schemas = |bytes: &Bytes| {
            let items = items_of(bytes, &Limits::default()).unwrap().into_iter();
            items
                .filter_map(|item| match item {
                    Item::Schema(schema) => Some(schema.schema().clone()),
                    _ => None,
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(schemas(theirs), schemas(&ours), "{name}");
        assert_eq!(batches_of(theirs).len(), batches_of(&ours).len(), "{name}");
    }
}

#[test]
fn our_server_sees_methods_rows_metadata_and_ends() {
    for scenario in scenarios() {
        let name = &scenario.name;
        let seen = play_server(&scenario).seen;
        let calls = calls(&scenario.request, &scenario);
        let begins = |seen: &Seen| matches!(seen, Seen::Request(..) | Seen::Refused(_));
        assert_eq!(seen.iter().filter(|seen| begins(seen)).count(), calls.len(), "{name}");
        let mut seen = seen.into_iter().peekable();
        for (request, input) in &calls {
            let opened = match seen.next().unwrap() {
                Seen::Request(row, metadata) => {
                    assert_eq!(metadata, *request, "{name}");
                    assert!(row.num_columns() == 0 || row.num_rows() == 1, "{name}");
                    let names: Vec<_> = scenario.method.split(", ").collect();
                    assert!(names.contains(&metadata.get_str(keys::METHOD).unwrap()), "{name}");
                    seen.peek().is_some_and(|next| !begins(next))
                }
                Seen::Refused(error) => {
                    let reference = scenario.error.as_ref().unwrap();
                    assert_eq!(error.error_type(), reference[0], "{name}");
                    false
                }
                other => panic!("{name}: {other:?}"),
            };
            if !opened {
                continue;
            }
            let mut ended = false;
            for (batch, metadata) in input {
                match seen.next_if(|seen| !begins(seen)) {
                    Some(Seen::Input(seen, with)) => assert_eq!((&seen, &with), (batch, metadata), "{name}"),
                    Some(Seen::Cancelled) => {
                        assert!(metadata.contains_key(keys::CANCEL), "{name}");
                        ended = true;
                    }
                    Some(other) => panic!("{name}: {other:?}"),
                    // The stream was over; the rest was passed over.
                    None => ended = true,
                }
            }
            let next = seen.next_if(|seen| !begins(seen));
            assert!(next.is_none() || (!ended && next == Some(Seen::InputEnded)), "{name}: {next:?}");
        }
        assert_eq!(seen.next(), None, "{name}");
    }
}

#[test]
fn our_server_tells_cancels_from_ends() {
    let last = |name: &str| play_server(&scenario(name)).seen.pop().unwrap();
    for name in [
        "producer_cancel_before_tick",
        "producer_cancel_mid_stream",
        "exchange_cancel_before_turn",
        "exchange_cancel_mid_stream",
    ] {
        assert_eq!(last(name), Seen::Cancelled, "{name}");
    }
    for name in [
        "producer_close_before_tick",
        "producer_close_mid_stream",
        "exchange_close_before_turn",
        "exchange_close_mid_stream",
    ] {
        assert_eq!(last(name), Seen::InputEnded, "{name}");
    }
}

/// Every stream of the reference, written by us and read again.
#[test]
fn what_the_reference_wrote_reads_the_same_when_we_write_it() {
    let mut batches = 0;
    for scenario in scenarios() {
        for bytes in [&scenario.request, &scenario.response] {
            let items = items_of(bytes, &Limits::default()).unwrap();
            let (mut encoder, mut outbox) = (BatchEncoder::default(), Outbox::default());
            for item in &items {
                match item {
                    Item::Schema(schema) => {
                        let schema = EncodedSchema::new(schema.schema().clone()).unwrap();
                        encoder.open(&schema, &mut outbox);
                    }
                    Item::Batch(batch, metadata) => {
                        encoder.write(batch, metadata, &mut outbox).unwrap();
                        let single = encode_batch(batch, metadata).unwrap();
                        let (same, with) = decode_batch(single, &Limits::default()).unwrap();
                        assert_eq!((&same, &with), (batch, metadata), "{}", scenario.name);
                        batches += 1;
                    }
                    Item::EndOfStream => encoder.close(&mut outbox),
                }
            }
            let written = outbox.copy_to_bytes(outbox.len());
            let again = items_of(&written, &Limits::default()).unwrap();
            assert_eq!(again.len(), items.len(), "{}", scenario.name);
            for pair in items.iter().zip(&again) {
                match pair {
                    (Item::Schema(a), Item::Schema(b)) => assert_eq!(a.schema(), b.schema()),
                    (Item::Batch(a, x), Item::Batch(b, y)) => assert_eq!((a, x), (b, y), "{}", scenario.name),
                    (Item::EndOfStream, Item::EndOfStream) => {}
                    (a, b) => panic!("{}: {a:?} and {b:?}", scenario.name),
                }
            }
        }
    }
    assert!(batches > 300, "{batches} batches");
}
