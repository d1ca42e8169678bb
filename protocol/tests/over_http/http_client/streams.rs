//! Streams: one request per turn, each with both tokens.

use super::pair::*;
use crate::common::batches::*;
use crate::common::service::{MAIN, take_cancel_hooks};
use bytes::Bytes;
use vgi_rpc_protocol::client::Call;
use vgi_rpc_protocol::client::ResumeToken;
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata, encode_batch};
use vgi_rpc_protocol::wire::keys;

#[test]
fn a_producer_is_opened_and_gone_on_with() {
    let mut pair = pair();
    assert_eq!(pair.call("count", STREAM, &row([("count", int(2))])), ["output 0"]);
    assert_eq!(pair.last().path, "/vgi/test.Main.v1/count/init");
    assert_eq!(pair.tick(), ["output 1"]);
    assert_eq!(pair.last().path, "/vgi/test.Main.v1/count/exchange");
    assert_eq!(pair.last().request("x-request-id"), Some("r-1"));
    assert_eq!(pair.tick(), ["finished"]);
    assert!(pair.caller.is_idle());
}

#[test]
fn a_batch_that_waits_answers_the_tick() {
    let mut pair = pair();
    pair.try_call("count", STREAM, &row([("count", int(2))])).unwrap();
    // Nothing was read yet: the tick returns the first batch.
    assert_eq!(pair.tick(), ["output 0"]);
    assert_eq!(pair.exchanged.len(), 1);
    assert_eq!(pair.tick(), ["output 1"]);
    assert_eq!(pair.tick(), ["finished"]);
    assert_eq!(pair.exchanged.len(), 3);
}

#[test]
fn headers_logs_and_last_batches_come_in_order() {
    let mut pair = pair();
    let told = pair.call("count_with_header", STREAM_WITH_HEADER, &row([("count", int(1))]));
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], "log ahead of the header");
    assert!(told[1].starts_with("header ") && told[2] == "output 0", "{told:?}");
    assert_eq!(pair.tick(), ["finished"]);

    let params = row([("at", int(0)), ("manner", text("finish with data"))]);
    let told = pair.call("count_until", STREAM, &params);
    assert_eq!(told, ["log the last one", "output 0", "log after the last one", "finished"]);
}

#[test]
fn ticks_carry_metadata_and_tokens_stay_hidden() {
    let mut pair = pair();
    let told = pair.call("tick_marks", STREAM, &no_columns(1));
    assert!(told[0].starts_with("output 0 {\"mark\": \"m\""), "{told:?}");
    let metadata: Metadata = [("pushed", "filter")].into_iter().collect();
    pair.caller.tick(&metadata).unwrap();
    pair.go().unwrap();
    assert_eq!(pair.told(), ["output 1 {\"pushed\": \"filter\", \"turn\": \"1\"}"]);
}

#[test]
fn an_exchange_goes_back_and_forth() {
    let mut pair = pair();
    assert_eq!(pair.call("scale", STREAM, &row([("factor", floats([2.0]))])), Vec::<String>::new());
    for value in [1.0, 2.5] {
        let told = pair.send(&row([("value", floats([value]))]));
        assert_eq!(told, [format!("output {:.1}", value * 2.0)]);
    }
    let told = pair.send(&row([("value", floats([]))]));
    assert_eq!(told, ["no rows {}"], "an answer may have no rows");
    pair.caller.close().unwrap();
    assert_eq!(pair.told(), ["finished"]);
    assert_eq!(pair.exchanged.len(), 4, "closing sends nothing");
}

/// The canonical server treats an exchange without input columns as a producer, and runs its first turn at once.
#[test]
fn an_output_that_waits_answers_an_input_without_columns() {
    let mut pair = pair();
    pair.try_call("count", STREAM, &row([("count", int(2))])).unwrap();
    let input = no_columns(0);
    let mark: Metadata = [("mark", "x")].into_iter().collect();
    assert!(pair.caller.send(&encoded(&input), &input, &mark).is_err(), "its metadata would be lost");
    assert_eq!(pair.send(&input), ["output 0"]);
    assert_eq!(pair.exchanged.len(), 1);
    assert_eq!(pair.send(&input), ["output 1"]);
    assert_eq!(pair.exchanged.len(), 2);
}

#[test]
fn another_caller_resumes_a_stream_by_its_token() {
    let mut pair = pair();
    assert_eq!(pair.caller.resume_token(), None);
    pair.try_call("count_with_header", STREAM_WITH_HEADER, &row([("count", int(3))])).unwrap();
    assert_eq!(pair.caller.resume_token(), None, "an output is pending");
    assert_eq!(pair.told().last().unwrap(), "output 0");
    let token = pair.caller.resume_token().unwrap();
    assert_eq!(pair.tick(), ["output 1"]);

    let read = ResumeToken::from_bytes(&token.to_bytes()).unwrap();
    pair.caller = pair.caller.another();
    let call = Call {
        protocol: MAIN,
        method: "count_with_header",
        protocol_version: None,
        request_id: None,
        kind: STREAM_WITH_HEADER,
        metadata: Metadata::new(),
    };
    pair.caller.resume(&call, read.clone()).unwrap();
    assert!(pair.caller.resume(&call, read).is_err(), "a stream is open");
    assert_eq!(pair.tick(), ["output 1"]);
    assert_ne!(pair.caller.resume_token(), Some(token));
    assert_eq!(pair.tick(), ["output 2"]);
    assert_eq!(pair.tick(), ["finished"]);
    assert_eq!(pair.caller.resume_token(), None);
}

#[test]
fn every_worker_can_go_on_even_if_it_remembers_nothing() {
    for cached in [0, 4096] {
        let worker = || endpoint(|builder| builder.cached_calls(cached));
        let mut pair = Pair::new(unlimited(), vec![worker(), worker()]);
        assert_eq!(pair.call("count", STREAM, &row([("count", int(5))])), ["output 0"]);
        for next in 1..5 {
            assert_eq!(pair.tick(), [format!("output {next}")]);
        }
        assert_eq!(pair.tick(), ["finished"]);
        pair.call("scale_with_header", STREAM_WITH_HEADER, &row([("factor", floats([3.0]))]));
        for value in [1.0, 2.0, 3.0] {
            let told = pair.send(&row([("value", floats([value]))]));
            assert_eq!(told, [format!("output {:.1}", value * 3.0)]);
        }
        take_cancel_hooks();
        pair.caller.cancel().unwrap();
        pair.go().unwrap();
        assert_eq!((pair.told(), take_cancel_hooks()), (vec!["finished".to_owned()], 1));
    }
}

#[test]
fn errors_end_a_stream_wherever_they_come() {
    let mut pair = pair();
    let params = |at| row([("at", int(at)), ("manner", text("error"))]);
    assert_eq!(
        pair.call("count_until", STREAM, &params(-1)),
        ["log opening", "failed RuntimeError: failed to open", "finished"]
    );
    assert_eq!(
        pair.call("count_until", STREAM, &params(0)),
        ["failed RuntimeError: failed in a turn", "finished"]
    );
    assert_eq!(pair.call("count_until", STREAM, &params(1)), ["output 0"]);
    assert_eq!(pair.tick(), ["failed RuntimeError: failed in a turn", "finished"]);
    assert!(pair.caller.is_idle());

    let told = pair.call("count_with_header", STREAM_WITH_HEADER, &row([("count", int(-1))]));
    assert_eq!(told.last().unwrap(), "finished");
    assert!(told.iter().any(|line| line.starts_with("failed ValueError")), "{told:?}");

    // An input to a stream that has failed is not sent: the pending events report the failure.
    pair.try_call("scale_until", STREAM, &params(-1)).unwrap();
    let sent = pair.exchanged.len();
    let told = pair.send(&row([("value", floats([1.0]))]));
    assert_eq!(told, ["failed TypeError: failed to open", "finished"]);
    assert_eq!(pair.exchanged.len(), sent);
}

#[test]
fn a_cancelled_producer_runs_its_hook_and_tells_its_logs_only() {
    let mut pair = pair();
    let params = row([("at", int(9)), ("manner", text("log in the hook"))]);
    pair.try_call("count_until", STREAM, &params).unwrap();
    take_cancel_hooks();
    pair.caller.cancel().unwrap();
    pair.go().unwrap();
    assert_eq!(pair.told(), ["log cancelled", "finished"], "the pending batch is dropped");
    assert_eq!(take_cancel_hooks(), 1);

    // A stream that has ended is not cancelled on the server.
    pair.try_call("count", STREAM, &row([("count", int(0))])).unwrap();
    let sent = pair.exchanged.len();
    pair.caller.cancel().unwrap();
    pair.go().unwrap();
    assert_eq!((pair.told(), pair.exchanged.len()), (vec!["finished".to_owned()], sent));
}

/// A body with several batches, as from servers that run several turns per request.
#[test]
fn all_batches_of_a_response_are_told_before_its_error_and_its_token() {
    let schema = EncodedSchema::new(row([("n", int(0))]).schema()).unwrap();
    let body = |tail: &[(&str, &str)]| {
        let mut batches = vec![(row([("n", int(1))]), vec![]), (row([("n", int(2))]), vec![])];
        batches.push((row([("n", ints([]))]), vec![]));
        batches.push((row([("n", ints([]))]), tail.to_vec()));
        let mut whole = Vec::new();
        for (batch, metadata) in batches {
            let metadata: Metadata = metadata.into_iter().collect();
            let one = encode_batch(&batch, &metadata).unwrap();
            // One schema, one end.
            let start = if whole.is_empty() { 0 } else { schema.message().len() };
            whole.extend_from_slice(&one[start..one.len() - 8]);
        }
        whole.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        whole
    };
    for (tail, last) in [
        (vec![(keys::STREAM_STATE, "c"), (keys::CALL_STATE, "t")], None),
        (vec![(keys::LOG_LEVEL, "EXCEPTION"), (keys::LOG_MESSAGE, "late")], Some("failed ")),
    ] {
        let mut pair = pair();
        let bytes = body(&tail);
        pair.between = Box::new(move |_, _| arrow(bytes.clone()));
        let told = pair.call("count", STREAM, &row([("count", int(5))]));
        assert_eq!(told[..3], ["output 1", "output 2", "no rows {}"]);
        match last {
            None => assert!(told.len() == 3 && !pair.caller.is_idle()),
            Some(text) => assert!(told[3].starts_with(text) && told[4] == "finished", "{told:?}"),
        }
    }
}

#[test]
fn a_producer_that_only_goes_on_is_asked_so_often_and_no_more() {
    let metadata: Metadata = [(keys::STREAM_STATE, "again")].into_iter().collect();
    let body: Bytes = encode_batch(&row([("n", ints([]))]), &metadata).unwrap();
    let mut pair = pair();
    pair.between = Box::new(move |_, _| arrow(body.to_vec()));
    assert_eq!(pair.call("count", STREAM, &row([("count", int(5))])), Vec::<String>::new());
    pair.caller.tick(&Metadata::new()).unwrap();
    let error = pair.go().unwrap_err().to_string();
    assert!(error.contains("64 turns"), "{error}");
    assert_eq!(pair.exchanged.len(), 65);
    assert!(pair.caller.is_idle());
}
