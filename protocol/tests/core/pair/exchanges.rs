//! Exchange streams, and how their input is handled.

use super::*;
use arrow_array::{ArrayRef, Float64Array, Int32Array, RunArray, TimestampSecondArray};
use bytes::Buf;
use std::sync::Arc;
use vgi_rpc_protocol::client::{Call, CallKind, Connection, Event};
use vgi_rpc_protocol::ipc::{BatchEncoder, Outbox};

#[test]
fn each_input_is_answered_until_the_client_ends_the_stream() {
    assert_eq!(play(scenarios::exchange()), ["output value=2.0; value=5.0", "output value=-2.0", "finished"]);
    assert_eq!(play(exchange_of_no_rows()), ["output 0 rows of 1 columns", "finished"]);
    assert_eq!(play(exchange_closed_before_the_first_input()), ["finished"]);
}

#[test]
fn a_cancel_runs_the_hook_once_and_is_no_error() {
    for script in [exchange_cancelled_before_the_first_input(), exchange_cancelled_in_the_middle()] {
        let conversation = converse(script);
        assert_eq!(conversation.cancel_hooks, 1);
        assert_eq!(conversation.turns.last().unwrap().told, [Told::Finished]);
    }
}

#[test]
fn a_header_comes_ahead_of_the_data() {
    assert_eq!(play(exchange_with_header()), ["header factor=3.0", "output value=6.0", "finished"]);
}

#[test]
fn input_that_can_be_brought_to_the_schema_is() {
    assert_eq!(play(exchange_casting_its_input()), ["output value=1.0", "output value=3.0", "finished"]);
    assert_eq!(play(exchange_casting_integers()), ["output value=6.0", "finished"]);
    assert_eq!(play(exchange_of_nullable_input_without_nulls()), ["output value=2.0", "finished"]);
    assert_eq!(play(exchange_of_reordered_columns()), ["log INFO 1 rows", "output b=x, a=1.0", "finished"]);
}

#[test]
fn input_that_cannot_be_is_a_type_error() {
    for script in [
        exchange_of_another_column(),
        exchange_of_one_column_too_many(),
        exchange_of_text_for_numbers(),
        exchange_of_null_for_a_number(),
    ] {
        assert_error(&refused(script), "TypeError", Code::Unknown, None, &["Input schema mismatch"]);
    }
}

#[test]
fn an_error_in_a_turn_ends_the_stream() {
    for (script, error_type) in [
        (exchange_error(), "RuntimeError"),
        (exchange_panic(), "Panic"),
        (exchange_silence(), "RuntimeError"),
        (exchange_two_batches(), "RuntimeError"),
        (exchange_misfit(), "ValueError"),
        (exchange_finish(), "RuntimeError"),
    ] {
        let conversation = converse(script);
        let told: Vec<_> = conversation.told().collect();
        let [Told::Output(..), Told::Failed(error), Told::Finished] = told[..] else { panic!("{told:?}") };
        assert_error(error, error_type, Code::Unknown, None, &[]);
    }
    assert_error(&refused(exchange_failing_to_open()), "TypeError", Code::Unknown, None, &["failed to open"]);
}

#[test]
fn batches_without_columns_keep_their_row_counts() {
    assert_eq!(
        play(exchange_of_no_columns()),
        [
            "log INFO 0 rows",
            "output 0 rows of 0 columns",
            "log INFO 3 rows",
            "output 3 rows of 0 columns",
            "finished"
        ]
    );
}

#[test]
fn the_handler_may_choose_the_schemas() {
    assert_eq!(play(exchange_of_dynamic_schema()), ["log INFO 2 rows", "output x=1; x=2", "finished"]);
}

#[test]
fn dictionaries_pass_in_both_directions() {
    assert_eq!(
        play(exchange_of_dictionaries()),
        [
            "log INFO 2 rows",
            "output color=red; color=blue",
            "log INFO 1 rows",
            "output color=blue",
            "log INFO 1 rows",
            "output color=blue",
            "finished"
        ]
    );
    assert_eq!(
        play(exchange_of_nested_dictionaries()),
        [
            "log INFO 1 rows",
            "output labels=[a, null], point={x: 0.5, name: null}",
            "log INFO 1 rows",
            "output labels=[b, a, b], point={x: 1.5, name: q}",
            "finished"
        ]
    );
}

#[test]
fn metadata_of_inputs_arrives_without_the_transports_own() {
    assert_eq!(
        play(exchange_input_metadata()),
        [
            "log INFO 1 rows",
            r#"output b=x, a=1.0 {"mark": "first", "mark": "twice"}"#,
            "log INFO 1 rows",
            "output b=y, a=2.0",
            "finished"
        ]
    );
}

#[test]
fn an_error_on_a_stream_of_dictionaries_is_told() {
    let script = script(stream("copy_colors", no_columns(1)), [send(row([("other", int(1))]))]);
    assert_error(&refused(script), "TypeError", Code::Unknown, None, &["Input schema mismatch"]);
}

#[test]
fn a_pointer_to_data_elsewhere_is_refused_and_not_taken_for_an_empty_batch() {
    for (key, expected) in
        [(keys::LOCATION, "this server does not fetch"), (keys::SHM_OFFSET, "this server does not share")]
    {
        let pointer = Command::Send(values([]), metadata([(key, "64")]));
        let error = refused(script(scale(2.0), [pointer]));
        assert_error(&error, "RuntimeError", Code::Unknown, None, &["the batch is a pointer", expected]);
    }
}

#[test]
fn columns_of_one_name_stay_apart() {
    let input = row([("x", ints32([1])), ("x", ints32([2]))]);
    assert_eq!(
        play(script(stream("twins", no_columns(1)), [send(input), Command::Close])),
        ["log INFO 1 rows", "output x=1, x=2", "finished"]
    );
    let input = row([("x", ints32([1])), ("y", ints32([2])), ("x", ints32([3]))]);
    let error = refused(script(stream("twins", no_columns(1)), [send(input)]));
    assert_error(&error, "TypeError", Code::Unknown, None, &["Input schema mismatch", "\"x\"", "several"]);
}

#[test]
fn what_the_reference_does_not_cast_is_a_type_error() {
    let moments: ArrayRef = Arc::new(TimestampSecondArray::from(vec![1]));
    let runs = RunArray::try_new(&Int32Array::from(vec![1]), &Float64Array::from(vec![1.0])).unwrap();
    for column in [moments, Arc::new(runs)] {
        let error = refused(script(scale(2.0), [send(row([("value", column)]))]));
        let says = ["Input schema mismatch", "to Float64 is not supported"];
        assert_error(&error, "TypeError", Code::Unknown, None, &says);
    }
    let large = row([("value", ints([(1 << 53) + 1]))]);
    let error = refused(script(scale(2.0), [send(large)]));
    assert_error(&error, "TypeError", Code::Unknown, None, &["Input schema mismatch", "9007199254740993"]);
}

#[test]
fn a_later_input_of_other_columns_is_refused_by_the_client() {
    let pairs = |names: [&'static str; 2]| {
        let column = || Arc::new(Float64Array::from(vec![1.0])) as ArrayRef;
        RecordBatch::try_from_iter(names.map(|name| (name, column()))).unwrap()
    };
    let mut client = Connection::new(Limits::default());
    let row = values([1.0]);
    let call = Call {
        protocol: "p",
        method: "m",
        protocol_version: None,
        request_id: None,
        kind: CallKind::Stream { header: false },
        metadata: Metadata::new(),
    };
    client.call(&call, &EncodedSchema::new(row.schema()).unwrap(), &row).unwrap();
    let mut send = |batch: RecordBatch| {
        client.send(&EncodedSchema::new(batch.schema()).unwrap(), &batch, &Metadata::new())
    };
    send(pairs(["a", "b"])).unwrap();
    send(pairs(["a", "b"])).unwrap();
    for other in [["b", "a"], ["a", "c"]] {
        let error = send(pairs(other)).unwrap_err().to_string();
        assert!(error.contains("(\"a\": Float64, \"b\": Float64)"), "{error}");
    }
    send(pairs(["a", "b"])).unwrap();
}

#[test]
fn a_second_batch_is_not_the_answer_to_the_next_input() {
    let number = |n: f64| {
        RecordBatch::try_from_iter([("n", Arc::new(Float64Array::from(vec![n])) as ArrayRef)]).unwrap()
    };
    let schema = EncodedSchema::new(number(0.0).schema()).unwrap();
    let (mut encoder, mut outbox) = (BatchEncoder::default(), Outbox::default());
    encoder.open(&schema, &mut outbox);
    for n in [1.0, 666.0] {
        encoder.write(&number(n), &Metadata::new(), &mut outbox).unwrap();
    }
    let kind = CallKind::Stream { header: false };
    let metadata = Metadata::new();
    let call =
        Call { protocol: "x.Y.v1", method: "swap", protocol_version: None, request_id: None, kind, metadata };
    let mut client = Connection::new(Limits::default());
    client.call(&call, &schema, &number(0.0)).unwrap();
    client.send(&schema, &number(10.0), &Metadata::new()).unwrap();
    client.receive(outbox.copy_to_bytes(outbox.len()));
    assert!(matches!(client.poll_event(), Ok(Next::Event(Event::Output(..)))));
    // Both answers arrived before this was sent.
    client.send(&schema, &number(20.0), &Metadata::new()).unwrap();
    let error = client.poll_event().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the peer broke the protocol: expected one batch for each input, got another"
    );
    assert_eq!(client.poll_event().unwrap_err().to_string(), error.to_string());
}
