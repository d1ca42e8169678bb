//! Inputs that exceed the limits: their stream ends, and the connection remains usable.

use super::*;

#[test]
fn an_input_over_a_limit_ends_its_stream_alone() {
    let mut pair = server_with(|limits| limits.max_body_bytes = 2000);
    pair.play(scale(2.0));
    let turn = pair.play(send(values([1.0])));
    assert_eq!(lines(&turn.told), ["output value=2.0"]);
    assert_over_limit(&mut pair, send(values([1.0; 1000])), "body bytes of at most 2000");
}

#[test]
fn a_first_input_of_too_many_columns_ends_its_stream_alone() {
    let mut pair = server_with(|limits| limits.max_schema_fields = 10);
    pair.play(scale(2.0));
    assert_over_limit(&mut pair, send(many_columns(11)), "schema fields of at most 10");
}

#[test]
fn a_tick_of_too_much_metadata_ends_its_stream_alone() {
    let mut pair = server_with(|limits| limits.max_metadata_entries = 8);
    pair.play(count(3));
    let many: Metadata = (0..9).map(|n| (format!("key {n}"), "value")).collect();
    assert_over_limit(&mut pair, Command::Tick(many), "custom metadata entries of at most 8");
}
