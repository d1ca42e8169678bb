//! Complete exchange conversations: an init without data, then one output batch per input batch. WIRE_PROTOCOL 10, "Exchange
//! stream init response" and "Stream exchange (HTTP)".

use crate::ask::*;
use crate::common::batches::*;
use crate::common::service::{MAIN, take_cancel_hooks};
use crate::serve::*;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use vgi_rpc_protocol::ipc::Item;
use vgi_rpc_protocol::wire::keys;

fn number(batch: &RecordBatch) -> f64 {
    batch.column(0).as_primitive::<Float64Type>().value(0)
}

#[test]
fn each_input_is_answered_with_one_batch_and_the_next_cursor() {
    let server = main();
    let opened = server.send(init_scale(2.0));
    assert_eq!((opened.status, opened.told()), (200, vec!["token".into()]));
    let mut tokens = Tokens::of(&opened);
    let mut cursors = vec![tokens.cursor.clone()];
    for input in [1.0, 2.5, -3.0] {
        let answered = server.send(turn("scale", value(input), &tokens));
        let data = answered.data();
        assert_eq!((data.len(), number(&data[0].0)), (1, input * 2.0));
        assert!(data[0].1.contains_key(keys::STREAM_STATE), "the data carries the cursor");
        tokens.follow(&answered);
        cursors.push(tokens.cursor.clone());
    }
    cursors.sort();
    cursors.dedup();
    assert_eq!(cursors.len(), 4, "every response has its own cursor");
}

#[test]
fn a_header_comes_ahead_of_the_tokens() {
    let opened = main().send(init("scale_with_header", row([("factor", floats([4.0]))])));
    assert_eq!(opened.told(), ["data 4.0", "token"]);
    let ends = opened.items().iter().filter(|item| matches!(item, Item::EndOfStream)).count();
    assert_eq!(ends, 2);
    let answered = main().send(init("scale", row([("factor", floats([4.0]))])));
    assert_eq!(answered.items().iter().filter(|item| matches!(item, Item::EndOfStream)).count(), 1);
}

#[test]
fn metadata_goes_both_ways_without_the_transports() {
    let server = main();
    let tokens = Tokens::of(&server.send(init("dynamic", no_columns(1))));
    let input = row([("x", ints32([1, 2]))]);
    let answered = server.send(turn_of((MAIN, "dynamic"), input, &tokens, &[("mark", "m")]));
    assert_eq!(answered.told()[0], "INFO 2 rows");
    let (batch, metadata) = answered.data().remove(0);
    assert_eq!((batch.num_rows(), metadata.get_str("mark")), (2, Some("m")));
    let cursors = metadata.iter().filter(|(key, _)| *key == keys::STREAM_STATE.as_bytes()).count();
    assert_eq!(cursors, 1, "the answer's own cursor, not the input's");
    assert_ne!(metadata.get_str(keys::STREAM_STATE), tokens.cursor.as_deref());
    assert!(!metadata.contains_key(keys::CALL_STATE));
}

#[test]
fn an_input_that_does_not_fit_ends_the_stream() {
    let server = main();
    let tokens = Tokens::of(&server.send(init_scale(1.0)));
    let answered = server.send(turn("scale", row([("other", text("x"))]), &tokens));
    assert_eq!((answered.status, answered.is_marked()), (200, true));
    assert_eq!((answered.error().error_type(), answered.cursor()), ("TypeError", None));
}

#[test]
fn a_turn_that_fails_leaves_no_cursor() {
    for (manner, error) in [("error", "RuntimeError"), ("log and error", "ValueError"), ("panic", "Panic")] {
        let server = main();
        let tokens = Tokens::of(&server.send(init_until("scale_until", 0, manner)));
        let answered = server.send(turn("scale_until", value(1.0), &tokens));
        assert_eq!((answered.status, answered.is_marked()), (200, true), "{manner}");
        assert_eq!((answered.error().error_type(), answered.cursor()), (error, None), "{manner}");
        let repeated = server.send(turn("scale_until", value(1.0), &tokens));
        assert_eq!(repeated.error().error_type(), error, "the state is that before the turn");
    }
}

#[test]
fn an_exchange_cannot_finish() {
    let server = main();
    let tokens = Tokens::of(&server.send(init_until("scale_until", 0, "finish")));
    assert!(server.send(turn("scale_until", value(1.0), &tokens)).is_marked());
}

#[test]
fn a_cancel_ends_it() {
    let server = main();
    take_cancel_hooks();
    let tokens = Tokens::of(&server.send(init_scale(1.0)));
    let answered = server.send(cancel("scale", &tokens));
    assert_eq!((answered.status, answered.is_marked(), answered.told()), (200, false, vec![]));
    assert_eq!(take_cancel_hooks(), 1);
}

#[test]
fn a_pointer_is_not_taken_for_data() {
    let server = main();
    let tokens = Tokens::of(&server.send(init_scale(1.0)));
    let empty = RecordBatch::new_empty(value(1.0).schema());
    for key in [keys::LOCATION, keys::SHM_OFFSET] {
        let pointer = turn_of((MAIN, "scale"), empty.clone(), &tokens, &[(key, "https://example.com/x")]);
        let answered = server.send(pointer);
        assert_eq!((answered.status, answered.is_marked(), answered.cursor()), (200, true, None), "{key}");
    }
    let rows = server.send(turn("scale", empty, &tokens));
    assert!(!rows.is_marked(), "an empty input is an input");
}

#[test]
fn a_turn_without_a_readable_input_is_a_bad_request() {
    let server = main();
    let tokens = Tokens::of(&server.send(init_scale(1.0)));
    let (_, body) = turn("scale", value(1.0), &tokens).into_parts();
    for length in [0, 1, 8, body.len() / 2, body.len() - 9] {
        let answered = server.send(post("/vgi/test.Main.v1/scale/exchange", body.slice(..length)));
        assert_eq!((answered.status, answered.is_marked()), (400, false), "{length} bytes");
    }
    assert_eq!(number(&server.send(turn("scale", value(1.0), &tokens)).data()[0].0), 1.0);
}
