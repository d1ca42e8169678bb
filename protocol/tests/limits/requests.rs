//! Requests that exceed the limits: refused, and the connection remains usable.

use super::*;

#[test]
fn a_body_over_the_limit_is_refused() {
    let mut pair = server_with(|limits| limits.max_body_bytes = 2000);
    assert_over_limit(&mut pair, echo(&"x".repeat(5000)), "body bytes of at most 2000");
    let turn = pair.play(echo(&"x".repeat(1900)));
    assert!(matches!(turn.told[..], [Told::Output(..), Told::Finished]));
}

#[test]
fn metadata_over_the_limit_is_refused() {
    let mut pair = server_with(|limits| limits.max_metadata_entries = 8);
    let many: Metadata = (0..9).map(|n| (format!("key {n}"), "value")).collect();
    let Command::Call { protocol, method, version, id, kind, row, .. } = echo("x") else { unreachable!() };
    let call = Command::Call { protocol, method, version, id, kind, row, metadata: many };
    assert_over_limit(&mut pair, call, "custom metadata entries of at most 8");
}

#[test]
fn a_schema_over_the_limit_is_refused() {
    let mut pair = server_with(|limits| limits.max_schema_fields = 10);
    assert_over_limit(&mut pair, unary("echo", many_columns(11)), "schema fields of at most 10");
    let turn = pair.play(unary("echo", many_columns(10)));
    assert_eq!(turn.told[0].error().unwrap().error_type(), "TypeError", "ten fields can be read");
    // Children count as fields.
    assert_over_limit(&mut pair, unary("echo", row([("value", deep(11))])), "schema fields of at most 10");
}

#[test]
fn a_schema_that_is_too_deep_is_refused() {
    let mut pair = server_with(|limits| limits.max_schema_depth = 4);
    assert_over_limit(&mut pair, unary("echo", row([("value", deep(5))])), "schema depth of at most 4");
    let turn = pair.play(unary("echo", row([("value", deep(4))])));
    assert_eq!(turn.told[0].error().unwrap().error_type(), "TypeError", "four levels can be read");
    // The dictionary's values count as a separate level.
    let mut pair = server_with(|limits| limits.max_schema_depth = 1);
    assert_over_limit(&mut pair, unary("echo_color", row([("value", colors(["red"]))])), "schema depth");
}

#[test]
fn more_rows_than_the_limit_are_refused() {
    let mut pair = server_with(|limits| limits.max_rows = 100);
    let turn = pair.play(unary("nothing", no_columns(101)));
    let error = turn.told[0].error().unwrap();
    assert!(error.message().contains("0 to 100 rows"), "{error}");
    pair.assert_usable();
    let turn = pair.play(unary("nothing", no_columns(100)));
    assert!(matches!(turn.told[..], [Told::Output(..), Told::Finished]));
}

/// WIRE_PROTOCOL does not define what follows an unreadable header; here the connection ends.
#[test]
fn a_header_over_the_limit_is_the_end_and_is_answered() {
    let mut server = responder(limits(|limits| limits.max_header_bytes = 1000));
    let request = converse(vec![unary("echo", many_columns(50))]).request;
    server.receive(request);
    let mut sent = Vec::new();
    let rest = serve(&mut server, usize::MAX, &mut sent);
    let too_large = |error: &FramingError| matches!(error, FramingError::HeaderTooLarge { limit: 1000, .. });
    assert!(matches!(&rest, Rest::Failed(ConnectionError::Framing(error)) if too_large(error)), "{rest:?}");
    let (_, metadata) = batches_of(&sent.into()).pop().unwrap();
    assert!(RpcError::from_metadata(&metadata).message().contains("at most 1000 bytes"));
}

#[test]
fn a_decompressed_body_over_the_limit_is_refused() {
    let batch = row([("value", text(&"x".repeat(100_000)))]);
    let compressed = compressed(&batch, CompressionType::LZ4_FRAME);
    assert!(compressed.len() < 2000);
    let limits = limits(|limits| limits.max_body_bytes = 50_000);
    let error = decode_batch(compressed.clone(), &limits).unwrap_err();
    let ReadError::Message(MessageError::OverLimit { what, got, limit }) = error else { panic!("{error}") };
    assert!(what.contains("decompressed") && got > 100_000 && limit == 50_000, "{what} {got}");
    assert_eq!(decode_batch(compressed, &Limits::default()).unwrap().0, batch);
}

#[test]
fn dictionaries_count_against_the_body() {
    // Each dictionary fits alone; both together do not.
    let long = |n: usize| format!("{n}").repeat(600);
    let batch = row([("a", colors([&*long(1)])), ("b", colors([&*long(2)]))]);
    let bytes = encode_batch(&batch, &Metadata::new()).unwrap();
    let error = decode_batch(bytes.clone(), &limits(|limits| limits.max_body_bytes = 1000)).unwrap_err();
    assert!(matches!(error, ReadError::Message(MessageError::OverLimit { limit: 1000, .. })), "{error}");
    assert_eq!(decode_batch(bytes, &limits(|limits| limits.max_body_bytes = 1400)).unwrap().0, batch);
}

#[test]
fn a_dictionary_that_is_replaced_does_not_count_twice() {
    let batches: Vec<_> =
        (0..20).map(|n| (row([("a", colors([&*format!("{n:02}").repeat(300)]))]), Metadata::new())).collect();
    let mut reader = Reader::new(limits(|limits| limits.max_body_bytes = 2000));
    reader.receive(stream_of(&batches));
    let mut read = 0;
    while let Some(item) = reader.next_item().unwrap() {
        read += usize::from(matches!(item, Item::Batch(..)));
    }
    assert_eq!(read, 20);
}

#[test]
fn repeated_schemas_are_remembered_and_forgotten_without_a_difference() {
    let streams: Vec<_> = (0..5)
        .map(|n| {
            let name = format!("column {n}");
            stream_of(&[(row([(&*name, int(n))]), Metadata::new())])
        })
        .collect();
    for remembered in [0, 1, 3, 100] {
        let mut reader = Reader::new(limits(|limits| limits.max_cached_schemas = remembered));
        for _ in 0..3 {
            for (n, stream) in streams.iter().enumerate() {
                reader.receive(stream.clone());
                let Ok(Some(Item::Schema(schema))) = reader.next_item() else { panic!() };
                assert_eq!(schema.schema().field(0).name(), &format!("column {n}"));
                assert!(matches!(reader.next_item(), Ok(Some(Item::Batch(..)))));
                assert!(matches!(reader.next_item(), Ok(Some(Item::EndOfStream))));
            }
        }
    }
}
