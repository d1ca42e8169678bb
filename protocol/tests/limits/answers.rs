//! Answers that exceed the limits: their call fails, and the connection remains usable.

use super::*;

#[test]
fn a_result_over_a_limit_fails_its_call_alone() {
    let mut pair = client_with(|limits| limits.max_body_bytes = 2000);
    assert_over_limit(&mut pair, echo(&"x".repeat(5000)), "body bytes of at most 2000");
    let mut pair = client_with(|limits| limits.max_schema_depth = 2);
    assert_over_limit(&mut pair, unary("echo_matrix", row([("value", matrix([[1]]))])), "schema depth");
}

#[test]
fn an_output_over_a_limit_ends_its_stream_alone() {
    let mut pair = client_with(|limits| limits.max_body_bytes = 2000);
    pair.play(stream("large", row([("rows", int(1000))])));
    assert_over_limit(&mut pair, tick(), "body bytes of at most 2000");
    let mut pair = client_with(|limits| limits.max_schema_fields = 4);
    assert_over_limit(&mut pair, stream("wide", row([("columns", int(5))])), "schema fields of at most 4");
}

#[test]
fn a_header_batch_over_a_limit_fails_its_call_alone() {
    let mut pair = client_with(|limits| limits.max_schema_fields = 1);
    let call = stream_with_header("count_with_header", row([("count", int(5))]));
    assert_over_limit(&mut pair, call, "schema fields of at most 1");
}

/// An unreadable error in place of the header: no stream follows.
#[test]
fn an_unreadable_error_in_place_of_a_header_fails_its_call_alone() {
    let mut pair = client_with(|limits| limits.max_metadata_entries = 3);
    let call = stream_with_header("no_header", no_columns(1));
    assert_over_limit(&mut pair, call, "custom metadata entries of at most 3");
}

#[test]
fn a_header_over_the_limit_is_the_end() {
    let mut client = client::Connection::new(limits(|limits| limits.max_header_bytes = 100));
    echo("x").issue(&mut client).unwrap();
    client.receive(converse(vec![echo("x")]).response());
    let rest = listen(&mut client, &mut Vec::new());
    let Rest::Failed(ConnectionError::Framing(FramingError::HeaderTooLarge { limit, .. })) = rest else {
        panic!("{rest:?}")
    };
    assert_eq!(limit, 100);
}
