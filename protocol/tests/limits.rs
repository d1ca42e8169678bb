//! What is too large, damaged or a lie: a typed answer, a connection that goes on where it can, and no panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use arrow_array::{Array, RecordBatch};
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_ipc::{CompressionType, MessageHeader, MetadataVersion};
use arrow_schema::{DataType, Field, Fields, Schema};
use bytes::Bytes;
use common::batches::*;
use common::columns;
use common::driver::*;
use common::messages::{Header, framed};
use common::scenarios::{self, *};
use common::service::{MAIN, responder};
use common::streams::{END_OF_STREAM, batches_of, stream_of};
use common::told::Told;
use std::sync::Arc;
use vgi_rpc_protocol::client;
use vgi_rpc_protocol::ipc::{
    EncodedSchema, FramingError, Item, MessageError, Metadata, ReadError, Reader, decode_batch, encode_batch,
};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::keys;
use vgi_rpc_protocol::{ConnectionError, Limits};

fn limits(set: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    set(&mut limits);
    limits
}

/// A pair of which one side has limits, which are the client's or the server's.
fn server_with(set: impl FnOnce(&mut Limits)) -> Pair {
    Pair::with_limits(Limits::default(), limits(set))
}

fn client_with(set: impl FnOnce(&mut Limits)) -> Pair {
    Pair::with_limits(limits(set), Limits::default())
}

/// The call fails with an error that names the limit, and the next one works.
#[track_caller]
fn assert_over_limit(pair: &mut Pair, command: Command, says: &str) {
    let turn = pair.play(command);
    let [.., Told::Failed(error), Told::Finished] = &turn.told[..] else { panic!("{:?}", turn.told) };
    assert!(error.message().contains("limit exceeded"), "{error}");
    assert!(error.message().contains(says), "{says:?} in {error}");
    assert_eq!(turn.rest, Rest::NeedCommand);
    pair.assert_usable();
}

fn deep(depth: usize) -> arrow_array::ArrayRef {
    let mut column = int(1);
    for _ in 1..depth {
        let field = Field::new("inner", column.data_type().clone(), false);
        column = Arc::new(arrow_array::StructArray::new(Fields::from(vec![field]), vec![column], None));
    }
    column
}

fn many_columns(count: usize) -> RecordBatch {
    let fields: Vec<_> = (0..count).map(|n| Field::new(format!("c{n}"), DataType::Int64, false)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![int(1); count]).unwrap()
}

mod requests {
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
        // The dictionary's values are a level of their own.
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

    /// WIRE_PROTOCOL leaves open what comes after a header that was not read; here it is the end.
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
        let compressed = compressed(&batch, CompressionType::ZSTD);
        assert!(compressed.len() < 2000);
        let limits = limits(|limits| limits.max_body_bytes = 50_000);
        let error = decode_batch(compressed.clone(), &limits).unwrap_err();
        let ReadError::Message(MessageError::OverLimit { what, got, limit }) = error else { panic!("{error}") };
        assert!(what.contains("decompressed") && got > 100_000 && limit == 50_000, "{what} {got}");
        assert_eq!(decode_batch(compressed, &Limits::default()).unwrap().0, batch);
    }

    #[test]
    fn dictionaries_count_against_the_body() {
        // Each dictionary fits by itself; both together, held at once, do not.
        let long = |n: usize| format!("{n}").repeat(600);
        let batch = row([("a", colors([&*long(1)])), ("b", colors([&*long(2)]))]);
        let bytes = encode_batch(&batch, &Metadata::new()).unwrap();
        let error = decode_batch(bytes.clone(), &limits(|limits| limits.max_body_bytes = 1000)).unwrap_err();
        assert!(matches!(error, ReadError::Message(MessageError::OverLimit { limit: 1000, .. })), "{error}");
        assert_eq!(decode_batch(bytes, &limits(|limits| limits.max_body_bytes = 1400)).unwrap().0, batch);
    }

    #[test]
    fn a_dictionary_that_is_replaced_does_not_count_twice() {
        let batches: Vec<_> = (0..20)
            .map(|n| (row([("a", colors([&*format!("{n:02}").repeat(300)]))]), Metadata::new()))
            .collect();
        let mut reader = Reader::new(limits(|limits| limits.max_body_bytes = 2000));
        reader.receive(stream_of(&batches));
        let mut read = 0;
        while let Some(item) = reader.next_item().unwrap() {
            read += usize::from(matches!(item, Item::Batch(..)));
        }
        assert_eq!(read, 20);
    }
}

mod streams {
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
}

mod answers {
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

    /// In place of the header comes an error that cannot be read: no stream follows.
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
}

mod lies {
    use super::*;

    /// What a responder answers to these bytes, and what it waits for then.
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
        let error = error.expect("the peer is told");
        assert!(error.message().contains(&framing.to_string()), "{error}");
    }

    /// The request is refused with a text that has this in it, and the connection goes on.
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
        assert_eq!(sent.len(), said, "the last words are said once");
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
        // The framing is sound, so the body is passed over, however long that takes.
        let (error, rest) = answer([&schema.message()[..], &batch].concat());
        assert_eq!((error.is_none(), rest), (true, Rest::NeedInput));
    }

    #[test]
    fn a_schema_with_a_body_is_refused_if_that_is_too_large() {
        let mut server = responder(limits(|limits| limits.max_body_bytes = 1000));
        let lie = Header::with_body(4096).schema(&Schema::empty());
        server.receive([&lie[..], &[0; 4096], &END_OF_STREAM].concat().into());
        let mut sent = Vec::new();
        assert_eq!(serve(&mut server, usize::MAX, &mut sent), Rest::NeedInput);
        let (_, metadata) = batches_of(&sent.into()).pop().unwrap();
        let error = RpcError::from_metadata(&metadata);
        assert!(error.message().contains("limit exceeded"), "{error}");
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
        refuse(header.batch(1, &[(1, -1)], &good), "nulls");
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
        let (answered, rest) = answer([&schema.message()[..], &header.batch(1, &[], &[]), &END_OF_STREAM].concat());
        assert_eq!((answered.map(|error| error.message().to_owned()), rest), (Some(String::new()), Rest::NeedInput));
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
}

fn compressed(batch: &RecordBatch, codec: CompressionType) -> Bytes {
    let options = IpcWriteOptions::default().try_with_compression(Some(codec)).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap().into()
}

/// Where the buffers of the last record batch lie, those that have bytes.
fn buffers(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut at, mut found) = (0, Vec::new());
    loop {
        let len = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        if len == 0 {
            return found;
        }
        let message = arrow_ipc::root_as_message(&bytes[at + 8..at + 8 + len]).unwrap();
        let body = at + 8 + len;
        if let Some(batch) = message.header_as_record_batch() {
            let buffers = batch.buffers().unwrap().iter();
            let buffers = buffers.map(|buffer| (body + buffer.offset() as usize, buffer.length() as usize));
            found = buffers.filter(|(_, len)| *len > 0).collect();
        }
        at = body + message.bodyLength() as usize;
    }
}

#[test]
fn a_lie_about_the_uncompressed_length_is_a_typed_error() {
    let text = "a text that is long enough to be compressed ".repeat(20);
    let batch = row([("value", common::batches::text(&text)), ("list", labels([Some(&text), None]))]);
    for codec in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let good = compressed(&batch, codec);
        let buffers = buffers(&good);
        assert!(buffers.len() > 3);
        let mut lies = 0;
        for (at, _) in buffers {
            let truth = i64::from_le_bytes(good[at..at + 8].try_into().unwrap());
            for lie in [truth - 1, truth + 1, truth * 2, 0, 1, 7, -2, i64::MIN, i64::MAX, 1 << 31, 1 << 40] {
                // A buffer that was left uncompressed says -1; of it nothing can be a lie but a length.
                if lie == truth || (truth == -1 && lie == 0) {
                    continue;
                }
                let mut bytes = good.to_vec();
                bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
                let mut reader = Reader::new(Limits::default());
                reader.receive(bytes.into());
                let error = loop {
                    match reader.next_item() {
                        Ok(Some(Item::EndOfStream)) => panic!("{lie} for {truth} was believed"),
                        Ok(item) => assert!(item.is_some()),
                        Err(error) => break error,
                    }
                };
                assert!(matches!(error, ReadError::Message(_)), "{error:?}");
                assert!(matches!(reader.next_item(), Ok(Some(Item::EndOfStream))), "the reader goes on");
                assert!(reader.is_at_boundary());
                lies += 1;
            }
        }
        assert!(lies > 20);
    }
}

#[test]
fn a_buffer_that_was_left_uncompressed_is_read() {
    let batch = row([("value", int(7))]);
    let bytes = compressed(&batch, CompressionType::ZSTD);
    let (at, _) = buffers(&bytes)[0];
    assert_eq!(bytes[at..at + 8], [0xff; 8]);
    assert_eq!(decode_batch(bytes, &Limits::default()).unwrap().0, batch);
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

mod dictionaries {
    use super::*;

    /// The messages of a stream, each with its body, without the end.
    fn messages(bytes: &Bytes) -> Vec<Bytes> {
        let (mut at, mut messages) = (0, Vec::new());
        loop {
            let len = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
            if len == 0 {
                return messages;
            }
            let message = arrow_ipc::root_as_message(&bytes[at + 8..at + 8 + len]).unwrap();
            let end = at + 8 + len + message.bodyLength() as usize;
            messages.push(bytes.slice(at..end));
            at = end;
        }
    }

    fn read(messages: &[&Bytes]) -> Result<Vec<Item>, ReadError> {
        let mut bytes: Vec<u8> = messages.iter().flat_map(|message| message.to_vec()).collect();
        bytes.extend_from_slice(&END_OF_STREAM);
        common::streams::items_of(&bytes.into(), &Limits::default())
    }

    #[test]
    fn a_batch_without_its_dictionary_is_refused_unless_all_is_null() {
        let bytes = stream_of(&[(row([("color", colors(["red"]))]), Metadata::new())]);
        let [schema, dictionary, batch] = &messages(&bytes)[..] else { panic!() };
        assert!(read(&[schema, dictionary, batch]).is_ok());
        assert!(matches!(read(&[schema, batch]), Err(ReadError::Message(_))));
        let nulls = fields([(
            Field::new("color", color_type(), true),
            arrow_array::new_null_array(&color_type(), 3),
        )]);
        let bytes = stream_of(&[(nulls.clone(), Metadata::new())]);
        let found = messages(&bytes);
        let (first, last) = (&found[0], &found[found.len() - 1]);
        let items = read(&[first, last]).unwrap();
        assert!(matches!(&items[1], Item::Batch(batch, _) if *batch == nulls), "{items:?}");
    }

    #[test]
    fn a_dictionary_that_the_schema_does_not_name_is_refused() {
        let bytes = stream_of(&[(row([("color", colors(["red"]))]), Metadata::new())]);
        let [_, dictionary, batch] = &messages(&bytes)[..] else { panic!() };
        let plain = EncodedSchema::new(schema([("color", DataType::Int8)])).unwrap().message().clone();
        assert!(matches!(read(&[&plain, dictionary, batch]), Err(ReadError::Message(_))));
        assert!(matches!(read(&[dictionary, batch]), Err(ReadError::Message(_))));
    }

    #[test]
    fn the_dictionaries_of_one_stream_are_not_those_of_the_next() {
        let bytes = stream_of(&[(row([("color", colors(["red"]))]), Metadata::new())]);
        let [schema, _, batch] = &messages(&bytes)[..] else { panic!() };
        let second = [&bytes[..], schema, batch, &END_OF_STREAM].concat();
        let mut reader = Reader::new(Limits::default());
        reader.receive(second.into());
        for _ in 0..4 {
            assert!(matches!(reader.next_item(), Ok(Some(_))));
        }
        assert!(matches!(reader.next_item(), Err(ReadError::Message(_))));
    }

    #[test]
    fn keys_outside_the_dictionary_are_refused() {
        let bytes = stream_of(&[(row([("color", colors(["red", "blue", "red"]))]), Metadata::new())]);
        let [schema, _, batch] = &messages(&bytes)[..] else { panic!() };
        let shorter = stream_of(&[(row([("color", colors(["red"]))]), Metadata::new())]);
        let short = &messages(&shorter)[1];
        assert!(matches!(read(&[schema, short, batch]), Err(ReadError::Message(_))));
    }
}

/// Streams that have all that a header and a body can have, small enough to be damaged at every byte.
fn small_streams() -> Vec<(&'static str, Bytes)> {
    let views = {
        let column: arrow_array::StringViewArray = ["short", "a text that does not fit into a view"].into_iter().map(Some).collect();
        row([("view", Arc::new(column) as _)])
    };
    let wide: Vec<_> = columns::all()
        .into_iter()
        .filter(|column| {
            use DataType::*;
            matches!(column.data_type(), Union(..) | RunEndEncoded(..) | ListView(_) | Map(..) | Dictionary(..))
        })
        .enumerate()
        .map(|(n, column)| (format!("c{n}"), column.slice(1, 3)))
        .collect();
    let wide = RecordBatch::try_from_iter(wide.iter().map(|(name, column)| (name, column.clone()))).unwrap();
    let plain = |batch: RecordBatch| stream_of(&[(batch, Metadata::new())]);
    let nested = row([("labels", labels([Some("a"), None])), ("point", point(0.5, None)), ("counts", counts([("k", 1)]))]);
    vec![
        ("a request", converse(vec![echo("hello")]).request),
        ("an answer", converse(vec![echo("hello")]).response()),
        ("an error", converse(scenarios::unary_error()).response()),
        ("a producer's turns", converse(scenarios::producer_to_the_end()).request),
        ("views", plain(views)),
        ("nested columns", plain(nested.clone())),
        ("compressed columns", compressed(&nested, CompressionType::LZ4_FRAME)),
        ("columns that are rare", plain(wide)),
    ]
}

/// Reads damaged bytes as every machine would, and looks at every value of what it is given.
fn survive(bytes: &Bytes) {
    let mut reader = Reader::new(Limits::default());
    reader.receive(bytes.clone());
    // A damaged stream has at most one item for each of its messages, and each has 8 bytes at least.
    for _ in 0..bytes.len() / 8 + 2 {
        match reader.next_item() {
            Ok(None) | Err(ReadError::Framing(_)) => break,
            Err(ReadError::Message(_)) => {}
            Ok(Some(Item::Batch(batch, _))) => {
                for column in batch.columns() {
                    column.to_data().validate_full().unwrap();
                }
            }
            Ok(Some(_)) => {}
        }
    }
    assert!(!matches!(reader.next_item(), Ok(Some(_))), "the items come to an end");

    let mut server = responder(Limits::default());
    server.receive(bytes.clone());
    server.receive_eof();
    let rest = serve(&mut server, usize::MAX, &mut Vec::new());
    assert!(matches!(rest, Rest::Closed | Rest::Failed(_)), "{rest:?}");

    let mut client = client::Connection::new(Limits::default());
    stream("count", row([("count", int(1))])).issue(&mut client).unwrap();
    client.receive(bytes.clone());
    client.receive_eof();
    let rest = listen(&mut client, &mut Vec::new());
    assert!(matches!(rest, Rest::Closed | Rest::Failed(_)), "{rest:?}");
}

#[test]
fn every_truncation_comes_to_an_end() {
    for (_, bytes) in small_streams() {
        let step = if bytes.len() > SHORT { 3 } else { 1 };
        for len in (0..=bytes.len()).step_by(step) {
            survive(&bytes.slice(..len));
        }
    }
}

/// Streams longer than this are damaged at every byte, but not in every way.
const SHORT: usize = 1000;

/// Damages every byte in these ways, in all of them or, in a long stream, in one or two that go around.
fn assert_survives(ways: &[fn(u8) -> u8]) {
    for (name, bytes) in small_streams() {
        for at in 0..bytes.len() {
            let some = [at % ways.len(), (at / 2 + 3) % ways.len()];
            for (index, way) in ways.iter().enumerate() {
                if bytes.len() > SHORT && !some.contains(&index) {
                    continue;
                }
                let mut damaged = bytes.to_vec();
                damaged[at] = way(damaged[at]);
                let damaged = Bytes::from(damaged);
                let survived = std::panic::catch_unwind(|| survive(&damaged));
                assert!(survived.is_ok(), "{name} with byte {at} set to {}", damaged[at]);
            }
        }
    }
}

#[test]
fn every_flipped_bit_comes_to_an_end() {
    assert_survives(&[
        |byte| byte ^ 1,
        |byte| byte ^ 1 << 1,
        |byte| byte ^ 1 << 2,
        |byte| byte ^ 1 << 3,
        |byte| byte ^ 1 << 4,
        |byte| byte ^ 1 << 5,
        |byte| byte ^ 1 << 6,
        |byte| byte ^ 1 << 7,
    ]);
}

#[test]
fn every_byte_set_to_an_extreme_comes_to_an_end() {
    assert_survives(&[|_| 0, |_| 0x7f, |_| 0x80, |_| 0xff]);
}

#[test]
fn every_message_left_out_or_repeated_comes_to_an_end() {
    for (_, bytes) in small_streams() {
        let cuts = message_ends(&bytes);
        for (index, end) in cuts.iter().enumerate() {
            let start = if index == 0 { 0 } else { cuts[index - 1] };
            survive(&[&bytes[..start], &bytes[*end..]].concat().into());
            survive(&[&bytes[..*end], &bytes[start..]].concat().into());
        }
    }
}

fn message_ends(bytes: &Bytes) -> Vec<usize> {
    let (mut at, mut ends) = (0, Vec::new());
    while at < bytes.len() {
        let len = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        at += 8 + len;
        if len > 0 {
            at += arrow_ipc::root_as_message(&bytes[at - len..at]).unwrap().bodyLength() as usize;
        }
        ends.push(at);
    }
    ends
}
