//! Headers with false claims.

use super::*;

/// Returns a responder's answer to these bytes, and what it then waits for.
fn answer(bytes: impl Into<Bytes>) -> (Option<RpcError>, Rest) {
    let mut server = responder(Limits::default());
    server.receive(bytes.into());
    let mut sent = Vec::new();
    let rest = serve(&mut server, usize::MAX, &mut sent);
    let answers = batches_of(&sent.into());
    assert!(answers.len() <= 1, "{answers:?}");
    let error = answers.first().map(|(_, metadata)| RpcError::from_metadata(metadata));
    if rest == Rest::NeedInput && server.is_idle() {
        server.receive(converse(vec![echo("alive")]).request);
        let mut sent = Vec::new();
        assert_eq!(serve(&mut server, usize::MAX, &mut sent), Rest::NeedInput);
        assert_eq!(batches_of(&sent.into()).len(), 1);
    }
    (error, rest)
}

#[track_caller]
fn assert_fatal(bytes: impl Into<Bytes>, expected: impl FnOnce(&FramingError) -> bool) {
    let (error, rest) = answer(bytes);
    let Rest::Failed(ConnectionError::Framing(framing)) = &rest else { panic!("{rest:?}") };
    assert!(expected(framing), "{framing:?}");
    let error = error.expect("the peer gets an error");
    assert!(error.message().contains(&framing.to_string()), "{error}");
}

/// Checks that the request is refused with a message that contains this text, and that the connection remains usable.
#[track_caller]
fn assert_refused(bytes: &[&[u8]], says: &str) {
    let (error, rest) = answer(bytes.concat());
    assert_eq!(rest, Rest::NeedInput);
    let error = error.expect("the request is refused");
    assert!(error.message().contains(says), "{says:?} in {error}");
}

#[test]
fn bytes_that_are_no_message_are_the_end() {
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 8], &[0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0]] {
        assert_fatal(garbage.to_vec(), |error| matches!(error, FramingError::NoContinuation { .. }));
    }
}

#[test]
fn a_header_of_negative_length_is_the_end() {
    for len in [-1, i32::MIN] {
        let bytes = [&[0xff; 4][..], &i32::to_le_bytes(len)].concat();
        assert_fatal(bytes, |error| *error == FramingError::NegativeHeaderLength { got: len });
    }
}

#[test]
fn a_body_of_negative_length_is_the_end() {
    for len in [-1, -8, i64::MIN] {
        let bytes = Header::with_body(len).schema(&Schema::empty());
        assert_fatal(bytes, |error| *error == FramingError::NegativeBodyLength { got: len });
    }
}

#[test]
fn a_header_that_is_no_flatbuffer_is_the_end() {
    for header in [vec![0xff; 64], vec![0x7f; 8], (0..64).collect::<Vec<u8>>()] {
        assert_fatal(framed(&header), |error| matches!(error, FramingError::InvalidHeader { .. }));
    }
}

#[test]
fn a_stream_that_ends_before_it_begins_is_the_end() {
    assert_fatal(END_OF_STREAM.to_vec(), |error| *error == FramingError::EmptyStream);
}

#[test]
fn a_fatal_error_stays() {
    let mut server = responder(Limits::default());
    server.receive(Bytes::from_static(b"garbage!"));
    let mut sent = Vec::new();
    let first = serve(&mut server, usize::MAX, &mut sent);
    let said = sent.len();
    server.receive(converse(vec![echo("x")]).request);
    assert_eq!(serve(&mut server, usize::MAX, &mut sent), first);
    assert_eq!(sent.len(), said, "the last error is sent once");
    assert!(!server.is_idle());
}

#[test]
fn a_fatal_error_in_a_stream_is_told_on_that_stream() {
    let mut pair = Pair::default();
    pair.play(count(3));
    pair.play(tick());
    pair.server.receive(Bytes::from_static(b"garbage!"));
    let mut down = Vec::new();
    assert!(matches!(serve(&mut pair.server, usize::MAX, &mut down), Rest::Failed(_)));
    let mut told = Vec::new();
    pair.client.receive(down.into());
    assert_eq!(listen(&mut pair.client, &mut told), Rest::NeedCommand);
    assert!(matches!(told[..], [Told::Failed(_), Told::Finished]), "{told:?}");
}

#[test]
fn a_body_of_a_tebibyte_is_refused_by_its_claim() {
    let schema = EncodedSchema::new(schema([("value", DataType::Int64)])).unwrap();
    let batch = Header::with_body(1 << 40).batch(1, &[(1, 0)], &[(0, 0), (0, 1 << 40)]);
    // The framing is valid, so the body is skipped, however long that takes.
    let (error, rest) = answer([&schema.message()[..], &batch].concat());
    assert_eq!((error.is_none(), rest), (true, Rest::NeedInput));
}

/// A schema message has no body. If one claims a body, it is refused or the body is skipped, and no other data is lost.
#[test]
fn a_schema_with_a_body_over_the_limit_leaves_the_connection_usable() {
    let mut pair = server_with(|limits| limits.max_body_bytes = 1000);
    let lie = Header::with_body(4096).schema(&Schema::empty());
    pair.server.receive([&lie[..], &[0; 4096], &END_OF_STREAM].concat().into());
    let mut sent = Vec::new();
    assert_eq!(serve(&mut pair.server, usize::MAX, &mut sent), Rest::NeedInput);
    let (_, metadata) = batches_of(&sent.into()).pop().unwrap();
    assert!(!RpcError::from_metadata(&metadata).message().is_empty());
    pair.assert_usable();
}

fn numbers() -> Bytes {
    EncodedSchema::new(schema([("value", DataType::Int64)])).unwrap().message().clone()
}

#[test]
fn counts_and_lengths_that_contradict_the_schema_are_refused() {
    let (schema, body, end) = (numbers(), [0; 8], END_OF_STREAM);
    let refuse = |header: Bytes, says: &str| assert_refused(&[&schema, &header, &body, &end], says);
    let header = Header::with_body(8);
    let good = [(0, 0), (0, 8)];
    refuse(header.batch(-1, &[(1, 0)], &good), "rows");
    refuse(header.batch(i64::MAX, &[(1, 0)], &good), "rows");
    refuse(header.batch(1, &[], &good), "field node");
    refuse(header.batch(1, &[(1, 0), (1, 0)], &good), "field node");
    refuse(header.batch(1, &[(2, 0)], &good), "");
    refuse(header.batch(1, &[(-1, 0)], &good), "");
    refuse(header.batch(1, &[(1, 2)], &good), "nulls");
    refuse(header.batch(1, &[(1, -2)], &good), "nulls");
    // The null count is unknown, and there is no bitmap to count from.
    refuse(header.batch(1, &[(1, -1)], &good), "a buffer of 1 bytes");
    refuse(header.batch(1, &[(1, 0)], &[(0, 0)]), "buffer");
    refuse(header.batch(1, &[(1, 0)], &[(0, 0), (0, 8), (0, 8)]), "buffer");
    refuse(header.batch(1, &[(1, 0)], &[(0, 0), (0, 9)]), "body of 8 bytes");
    refuse(header.batch(1, &[(1, 0)], &[(0, 0), (1, 8)]), "body of 8 bytes");
    refuse(header.batch(1, &[(1, 0)], &[(0, 0), (-8, 8)]), "body of 8 bytes");
    refuse(header.batch(1, &[(1, 0)], &[(0, 0), (0, -8)]), "body of 8 bytes");
    refuse(header.batch(1, &[(1, 0)], &[(0, 0), (i64::MAX, i64::MAX)]), "body of 8 bytes");
    refuse(header.batch(1, &[(1, 0)], &[(0, 0), (0, 4)]), "");
    refuse(header.batch(1, &[(1, 1)], &good), "");
}

/// Found by `tests/differential.py`: with a flipped bit in an offset, the call was made with other values.
#[test]
fn buffers_off_their_alignment_are_refused() {
    let (schema, body, end) = (numbers(), [0; 16], END_OF_STREAM);
    for offset in 1..8 {
        let batch = Header::with_body(16).batch(1, &[(1, 0)], &[(0, 0), (offset, 8)]);
        assert_refused(&[&schema, &batch, &body, &end], "aligned to 8 bytes");
        let batch = Header::with_body(16).batch(1, &[(1, 0)], &[(offset, 0), (8, 8)]);
        let mut reader = Reader::new(Limits::default());
        reader.receive([&schema[..], &batch, &body, &end].concat().into());
        assert!(matches!(reader.next_item(), Ok(Some(Item::Schema(_)))));
        let Ok(Some(Item::Batch(batch, _))) = reader.next_item() else { panic!("nothing may be anywhere") };
        assert_eq!(batch.num_rows(), 1);
    }
}

#[test]
fn messages_out_of_place_are_refused() {
    let (schema, end) = (numbers(), END_OF_STREAM);
    let batch = Header::default().batch(0, &[(0, 0)], &[(0, 0), (0, 0)]);
    assert_refused(&[&batch, &end], "expected a schema message, got a record batch");
    assert_refused(&[&schema, &schema, &end], "got a schema message");
    for claimed in [MessageHeader::Tensor, MessageHeader::SparseTensor, MessageHeader(99)] {
        let header = Header { claimed: Some(claimed), ..Header::default() };
        assert_refused(&[&schema, &header.batch(0, &[], &[]), &end], "another type");
    }
    let header = Header { claimed: Some(MessageHeader::Schema), ..Header::default() };
    let (error, rest) = answer([&header.batch(0, &[], &[])[..], &end].concat());
    assert_eq!((error.is_some(), rest), (true, Rest::NeedInput), "a batch that says it is a schema");
    let header = Header { claimed: Some(MessageHeader::RecordBatch), ..Header::default() };
    let (error, rest) = answer([&schema[..], &header.schema(&Schema::empty()), &end].concat());
    assert_eq!((error.is_some(), rest), (true, Rest::NeedInput), "a schema that says it is a batch");
}

#[test]
fn other_versions_of_the_format_are_refused() {
    for version in [MetadataVersion::V1, MetadataVersion::V3, MetadataVersion(9), MetadataVersion(-1)] {
        let batch = Header { version, ..Header::default() }.batch(1, &[(1, 0)], &[(0, 0), (0, 0)]);
        assert_refused(&[&numbers(), &batch, &END_OF_STREAM], "version");
    }
}

#[test]
fn a_request_in_the_format_of_version_4_is_read() {
    let metadata = [(keys::METHOD, "nothing"), (keys::PROTOCOL, MAIN), (keys::REQUEST_VERSION, "1")];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let header = Header { version: MetadataVersion::V4, metadata, ..Header::default() };
    let schema = EncodedSchema::empty();
    let (answered, rest) =
        answer([&schema.message()[..], &header.batch(1, &[], &[]), &END_OF_STREAM].concat());
    assert_eq!(
        (answered.map(|error| error.message().to_owned()), rest),
        (Some(String::new()), Rest::NeedInput)
    );
}

#[test]
fn a_request_stream_without_a_batch_is_refused() {
    assert_refused(&[&numbers(), &END_OF_STREAM], "one batch");
}

#[test]
fn batches_after_the_request_mean_nothing() {
    let metadata =
        metadata([(keys::METHOD, "nothing"), (keys::PROTOCOL, MAIN), (keys::REQUEST_VERSION, "1")]);
    let once = stream_of(&[(no_columns(1), metadata.clone())]);
    let thrice = stream_of(&vec![(no_columns(1), metadata); 3]);
    let answered = |bytes: Bytes| {
        let mut sent = Vec::new();
        let mut server = responder(Limits::default());
        server.receive(bytes);
        assert_eq!(serve(&mut server, usize::MAX, &mut sent), Rest::NeedInput);
        batches_of(&sent.into()).len()
    };
    assert_eq!((answered(once), answered(thrice)), (1, 1));
}
