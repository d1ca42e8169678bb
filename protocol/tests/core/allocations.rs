//! How much memory is allocated, and how often: for a small call, and for bytes that only claim to be large.

use crate::common::batches::*;
use crate::common::columns;
use crate::common::driver::{Rest, listen, serve};
use crate::common::messages::{COMPRESSIONS, Header};
use crate::common::scenarios::{count, echo, tick};
use crate::common::service::responder;
use crate::common::streams::{END_OF_STREAM, stream_of};
use allocation_counter::{AllocationInfo, measure};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Schema};
use bytes::{Buf, Bytes};
#[cfg(feature = "http")]
use http::Request;
use std::collections::HashMap;
use std::sync::Arc;
#[cfg(feature = "http")]
use std::{task::Waker, time::Duration};
use vgi_rpc_protocol::client::{Call, CallKind, Connection};
#[cfg(feature = "http")]
use vgi_rpc_protocol::http::{Body, Endpoint, RequestOrigin, RequestStep as HttpNext};
use vgi_rpc_protocol::ipc::{EncodedSchema, Item, MessageError, Metadata, ReadError, Reader, decode_batch};
use vgi_rpc_protocol::service::{Method, Peer, Protocol, Responder, Service, TransportKind};
use vgi_rpc_protocol::{IdSource, Limits, Next};

/// Allocations of one `echo_string` call through a responder that has answered such calls before.
const ALLOCATIONS_OF_A_SMALL_CALL: u64 = 8;
/// Like [`ALLOCATIONS_OF_A_SMALL_CALL`], through an endpoint.
#[cfg(feature = "http")]
const ALLOCATIONS_OF_A_SMALL_HTTP_CALL: u64 = 22;
/// Allocations of one turn of a producer that emits one number, on an open stream.
const ALLOCATIONS_OF_A_SMALL_TURN: u64 = 6;

const MIB: u64 = 1 << 20;

/// Returns the service and the request of the benchmark.
fn echo_string() -> (Responder, Bytes) {
    let method = Method::new("echo_string").param("value", DataType::Utf8).returns(DataType::Utf8);
    let protocol = Protocol::new("ConformanceService")
        .version("2.0.0")
        .method(method.unary(|args, _| Ok(args.column("value")?.clone())));
    let service = Arc::new(Service::builder("bench0000000").protocol(protocol).build().unwrap());
    let peer = Peer::new(TransportKind::Pipe, service.server_id().clone());
    let row = row([("value", text("hello world"))]);
    let call = Call {
        protocol: "ConformanceService",
        method: "echo_string",
        protocol_version: Some("2.0.0"),
        request_id: Some("0123456789abcdef"),
        kind: CallKind::Unary,
        metadata: Metadata::new(),
    };
    let mut client = Connection::new(Limits::default());
    client.call(&call, &EncodedSchema::new(row.schema()).unwrap(), &row).unwrap();
    let outbox = client.poll_transmit().unwrap();
    let request = outbox.copy_to_bytes(outbox.remaining());
    (Responder::new(service, peer, Limits::default(), IdSource::seeded(1)), request)
}

/// Answers one request. Returns the length of the answer.
fn answer(server: &mut Responder, request: &Bytes) -> usize {
    server.receive(request.clone());
    let mut sent = 0;
    while let Ok(Next::Event(work)) = server.poll_work() {
        server.complete(work.run()).unwrap();
    }
    if let Some(outbox) = server.poll_transmit() {
        sent += outbox.len();
        outbox.advance(outbox.len());
    }
    sent
}

/// Returns the allocations of a call once the machine is warm: the same each time.
fn steady(mut call: impl FnMut()) -> AllocationInfo {
    for _ in 0..10 {
        call();
    }
    let first = measure(&mut call);
    for _ in 0..10 {
        assert_eq!(measure(&mut call).count_total, first.count_total, "a warm machine allocates the same");
    }
    first
}

#[test]
fn a_small_call_takes_few_allocations() {
    let (mut server, request) = echo_string();
    let taken = steady(|| assert!(answer(&mut server, &request) > 200));
    println!("{} allocations, {} bytes, for a small call", taken.count_total, taken.bytes_total);
    assert!(taken.count_total <= ALLOCATIONS_OF_A_SMALL_CALL, "{}", taken.count_total);
    assert_eq!(taken.count_current, 0, "nothing is kept");
    assert!(taken.bytes_total < 16 << 10, "{} bytes", taken.bytes_total);
}

#[cfg(feature = "http")]
#[test]
fn a_small_call_over_http_takes_few_allocations() {
    let (server, request) = echo_string();
    let endpoint = Endpoint::builder(server.service().clone(), |memory| memory.fill(7)).build().unwrap();
    let head = Request::post("/ConformanceService/echo_string")
        .header("content-type", "application/vnd.apache.arrow.stream")
        .header("accept-encoding", "zstd")
        .header("x-request-id", "0123456789abcdef")
        .body(())
        .unwrap();
    let mut heads: Vec<_> = (0..40).map(|_| head.clone().into_parts().0).collect();
    let taken = steady(|| {
        let head = heads.pop().unwrap();
        let arrival = RequestOrigin { now: Duration::from_secs(1_800_000_000), ..RequestOrigin::default() };
        let mut transaction = endpoint.begin(head, arrival);
        transaction.receive_body(Body::Whole(request.clone())).unwrap();
        loop {
            match transaction.poll(Duration::from_secs(1_800_000_000), Waker::noop()) {
                HttpNext::Work(work) => {
                    transaction.complete(work.run(&|| Duration::from_secs(1_800_000_000))).unwrap();
                }
                HttpNext::Answer(answer) => return assert_eq!(answer.response.status(), 200),
                other => panic!("{other:?}"),
            }
        }
    });
    println!("{} allocations, {} bytes, for a small call over HTTP", taken.count_total, taken.bytes_total);
    assert!(taken.count_total <= ALLOCATIONS_OF_A_SMALL_HTTP_CALL, "{}", taken.count_total);
}

#[test]
fn a_small_turn_takes_few_allocations() {
    let mut server = responder(Limits::default());
    let mut client = Connection::new(Limits::default());
    let mut request = |command: crate::common::driver::Command| {
        command.issue(&mut client).unwrap();
        let outbox = client.poll_transmit().unwrap();
        outbox.copy_to_bytes(outbox.remaining())
    };
    let (open, first, tick) = (request(count(i64::MAX)), request(tick()), request(tick()));
    answer(&mut server, &open);
    answer(&mut server, &first);
    let taken = steady(|| assert!(answer(&mut server, &tick) > 50));
    println!("{} allocations, {} bytes, for a small turn", taken.count_total, taken.bytes_total);
    assert!(taken.count_total <= ALLOCATIONS_OF_A_SMALL_TURN, "{}", taken.count_total);
    assert_eq!(taken.count_current, 0, "nothing is kept");
}

#[test]
fn a_call_takes_no_more_after_a_thousand() {
    let (mut server, request) = echo_string();
    let taken = measure(|| {
        for _ in 0..1000 {
            answer(&mut server, &request);
        }
    });
    assert!(taken.bytes_current < 16 << 10, "{} bytes are kept", taken.bytes_current);
    assert!(taken.bytes_max < 32 << 10, "{} bytes at once", taken.bytes_max);
}

#[test]
fn a_large_body_in_one_piece_is_not_copied() {
    let method = Method::new("echo").param("value", DataType::Binary).returns(DataType::Binary);
    let protocol = Protocol::new("p").method(method.unary(|args, _| Ok(args.column("value")?.clone())));
    let service = Arc::new(Service::builder("s").protocol(protocol).build().unwrap());
    let value = vec![7; 8 * MIB as usize];
    let row = row([("value", Arc::new(arrow_array::BinaryArray::from_vec(vec![&value])))]);
    let metadata = [("vgi_rpc.method", "echo"), ("vgi_rpc.protocol", "p"), ("vgi_rpc.request_version", "1")];
    let request = stream_of(&[(row, metadata.into_iter().collect())]);
    let mut server =
        Responder::new(service, Peer::new(TransportKind::Pipe, "s"), Limits::default(), IdSource::seeded(1));
    let taken = measure(|| assert!(answer(&mut server, &request) > value.len()));
    assert!(taken.bytes_total < 64 << 10, "{} bytes for a body of {}", taken.bytes_total, value.len());
}

fn numbers() -> Bytes {
    EncodedSchema::new(schema([("value", DataType::Int64)])).unwrap().message().clone()
}

/// Returns a stream whose one batch claims a body of this length, of which no byte follows.
fn claim(len: i64) -> Bytes {
    let batch = Header::with_body(len).batch(len / 8, &[(len / 8, 0)], &[(0, 0), (0, len)]);
    [&numbers()[..], &batch].concat().into()
}

#[test]
fn a_claimed_body_takes_no_memory_before_it_comes() {
    for len in [3 << 30, (4 << 30) - 8, 1 << 40, i64::MAX - 7] {
        let bytes = claim(len);
        let taken = measure(|| {
            let mut server = responder(Limits::default());
            server.receive(bytes.clone());
            assert_eq!(serve(&mut server, usize::MAX, &mut Vec::new()), Rest::NeedInput);
            assert!(!server.read_buf().is_empty());
            let mut client = Connection::new(Limits::default());
            echo("x").issue(&mut client).unwrap();
            client.receive(bytes.clone());
            listen(&mut client, &mut Vec::new());
            assert!(!client.read_buf().is_empty());
        });
        assert!(taken.bytes_max < 4 * MIB, "{} bytes for a claim of {len}", taken.bytes_max);
    }
}

#[test]
fn a_claimed_header_takes_no_memory_before_it_comes() {
    let prefix = [&[0xff; 4][..], &(8_i32 << 20).to_le_bytes()].concat();
    let taken = measure(|| {
        let mut server = responder(Limits::default());
        server.receive(prefix.into());
        assert_eq!(serve(&mut server, usize::MAX, &mut Vec::new()), Rest::NeedInput);
        server.read_buf();
    });
    assert!(taken.bytes_max < 2 * MIB, "{} bytes", taken.bytes_max);
}

#[test]
fn memory_follows_what_has_come_of_a_claimed_body() {
    let mut reader = Reader::new(Limits::default());
    reader.receive(claim(3 << 30));
    assert!(matches!(reader.next_item(), Ok(Some(Item::Schema(_)))));
    let mut come = 0;
    let taken = measure(|| {
        while come < 20 * MIB as usize {
            assert!(matches!(reader.next_item(), Ok(None)));
            let lent = reader.read_buf().len();
            reader.advance(lent);
            come += lent;
        }
    });
    // While a buffer grows, the old and the new one both exist.
    let most = 6 * (come as u64) + MIB;
    assert!(taken.bytes_max < most, "{} bytes for {come} received", taken.bytes_max);
}

#[test]
fn a_body_that_is_refused_takes_no_memory_while_it_is_passed_over() {
    let mut limits = Limits::default();
    limits.max_body_bytes = 1000;
    let bytes = claim(64 * MIB as i64);
    let chunk = Bytes::from(vec![0; MIB as usize]);
    let mut server = responder(limits);
    let taken = measure(|| {
        server.receive(bytes);
        for _ in 0..64 {
            assert_eq!(serve(&mut server, usize::MAX, &mut Vec::new()), Rest::NeedInput);
            server.receive(chunk.clone());
        }
        server.receive(Bytes::from_static(&END_OF_STREAM));
        assert_eq!(serve(&mut server, usize::MAX, &mut Vec::new()), Rest::NeedInput);
    });
    assert!(server.is_idle());
    assert!(taken.bytes_max < 64 << 10, "{} bytes", taken.bytes_max);
}

#[test]
fn the_body_of_a_schema_takes_no_memory_beyond_the_limit() {
    let mut limits = Limits::default();
    limits.max_body_bytes = 1000;
    let bytes = Header::with_body(64 * MIB as i64).schema(&Schema::empty());
    let chunk = Bytes::from(vec![0; MIB as usize]);
    let mut server = responder(limits);
    let taken = measure(|| {
        server.receive(bytes);
        for _ in 0..64 {
            assert_eq!(serve(&mut server, usize::MAX, &mut Vec::new()), Rest::NeedInput);
            server.receive(chunk.clone());
        }
    });
    assert!(taken.bytes_max < 2 * MIB, "{} bytes", taken.bytes_max);
}

fn compressed(codec: CompressionType) -> Bytes {
    let batch = row([("value", text(&"compressible ".repeat(100)))]);
    let options = IpcWriteOptions::default().try_with_compression(Some(codec)).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap().into()
}

#[test]
fn a_claimed_uncompressed_length_takes_no_memory_that_the_bytes_cannot_fill() {
    const TRUTH: [u8; 8] = 1300_i64.to_le_bytes();
    for &codec in COMPRESSIONS {
        let mut bytes = compressed(codec).to_vec();
        // The last offset, which occurs first, has the same bytes.
        let at = bytes.windows(8).rposition(|window| window == TRUTH).expect("the length of the values");
        bytes[at..at + 8].copy_from_slice(&(3_i64 << 30).to_le_bytes());
        let bytes = Bytes::from(bytes);
        let taken = measure(|| {
            let error = decode_batch(bytes.clone(), &Limits::default()).unwrap_err();
            assert!(matches!(error, ReadError::Message(_)), "{error:?}");
        });
        assert!(taken.bytes_max < 16 * MIB, "{} bytes, {codec:?}", taken.bytes_max);
    }
}

#[test]
fn shared_parts_of_a_header_do_not_multiply() {
    // Many fields, each with its own metadata, as most writers encode it: the decoded size is about the received size.
    let metadata = |n: usize| HashMap::from([(format!("key {n}"), "v".repeat(1000))]);
    let field = |n: usize| {
        arrow_schema::Field::new(format!("field {n}"), DataType::Int64, true).with_metadata(metadata(n))
    };
    let schema = Schema::new((0..1000).map(field).collect::<Vec<_>>());
    let bytes = Header::default().schema(&schema);
    let mut reader = Reader::new(Limits::default());
    let taken = measure(|| {
        reader.receive(bytes.clone());
        assert!(matches!(reader.next_item(), Ok(Some(Item::Schema(_)))));
    });
    assert!(taken.bytes_max < 6 * bytes.len() as u64, "{} bytes of {}", taken.bytes_max, bytes.len());
}

/// Rows whose columns have no bytes are only claims as well.
#[test]
fn claimed_rows_take_no_memory() {
    let rows = i64::from(i32::MAX);
    let null = EncodedSchema::new(schema([("value", DataType::Null)])).unwrap();
    let streams = [
        [&EncodedSchema::empty().message()[..], &Header::default().batch(rows, &[], &[])].concat(),
        [&null.message()[..], &Header::default().batch(rows, &[(rows, rows)], &[])].concat(),
    ];
    for bytes in streams {
        let bytes = Bytes::from(bytes);
        let taken = measure(|| {
            let (batch, _) = decode_batch(bytes.clone(), &Limits::default()).unwrap();
            assert_eq!(batch.num_rows(), rows as usize);
        });
        assert!(taken.bytes_max < MIB, "{} bytes", taken.bytes_max);
    }
    let many = Header::default().batch(rows + 1, &[], &[]);
    let bytes = [&EncodedSchema::empty().message()[..], &many].concat();
    let error = decode_batch(bytes.into(), &Limits::default()).unwrap_err();
    assert!(matches!(error, ReadError::Message(MessageError::Inconsistent { .. })), "{error}");
}

/// Damage to a small message must not become a large allocation.
#[test]
fn damaged_messages_take_little_memory() {
    let mut streams: Vec<_> = columns::all()
        .into_iter()
        .step_by(3)
        .map(|column| stream_of(&[(columns::batch(column.slice(0, 3)), Metadata::new())]))
        .collect();
    streams.extend(COMPRESSIONS.iter().copied().map(compressed));
    for bytes in streams {
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= [1, 0x80, 0x40, 0xff][at % 4];
            let damaged = Bytes::from(damaged);
            let taken = measure(|| {
                let mut reader = Reader::new(Limits::default());
                reader.receive(damaged.clone());
                while let Ok(Some(_)) = reader.next_item() {}
                reader.read_buf();
            });
            assert!(taken.bytes_max < 16 * MIB, "{} bytes, byte {at} damaged", taken.bytes_max);
        }
    }
}
