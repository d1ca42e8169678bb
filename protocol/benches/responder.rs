//! Calls through a [`Responder`] in process: one `Bytes` in, a list of slices out, no I/O and no copy of a body.
//!
//! `cargo bench -p vgi-rpc-protocol`. The requests are made here; with `VGI_RPC_BENCH_REQUESTS=DIR` they are read
//! from `DIR/echo_string.bin` and `DIR/echo_bytes_{1k,1m,64m}.bin` instead, so that another implementation can be
//! given the same bytes in the same run.
//!
//! A small unary call takes 8 allocations through a warm responder, a producer's turn 6; `tests/core/allocations.rs`
//! counts them.

#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a benchmark is no part of the core")]

use arrow_array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use bytes::{Buf, Bytes};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use vgi_rpc_protocol::client::{Call, CallKind, Connection};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::service::{Method, Peer, Protocol, Responder, Service, TransportKind};
use vgi_rpc_protocol::{IdSource, Limits, Next};

const PROTOCOL: &str = "ConformanceService";

fn service() -> Service {
    let echo = |name: &str, param: &'static str, data_type: DataType| {
        Method::new(name)
            .param(param, data_type.clone())
            .returns(data_type)
            .unary(move |args, _| Ok(args.column(param)?.clone()))
    };
    let protocol = Protocol::new(PROTOCOL)
        .version("2.0.0")
        .method(echo("echo_string", "value", DataType::Utf8))
        .method(echo("echo_bytes", "data", DataType::Binary));
    Service::builder("bench0000000").protocol(protocol).build().expect("the service is well-formed")
}

/// Returns a request as the client machine writes it.
fn request(method: &str, param: &str, column: ArrayRef) -> Bytes {
    let schema = Arc::new(Schema::new(vec![Field::new(param, column.data_type().clone(), false)]));
    let row = RecordBatch::try_new(schema.clone(), vec![column]).expect("one column of one row");
    let call = Call {
        protocol: PROTOCOL,
        method,
        protocol_version: Some("2.0.0"),
        request_id: Some("0123456789abcdef"),
        kind: CallKind::Unary,
        metadata: Metadata::new(),
    };
    let mut client = Connection::new(Limits::default());
    let schema = EncodedSchema::new(schema).expect("the schema can be sent");
    client.call(&call, &schema, &row).expect("the client is idle");
    let outbox = client.poll_transmit().expect("a request waits");
    outbox.copy_to_bytes(outbox.remaining())
}

fn canned(file: &str, make: impl FnOnce() -> Bytes) -> Bytes {
    match std::env::var_os("VGI_RPC_BENCH_REQUESTS") {
        Some(dir) => std::fs::read(std::path::Path::new(&dir).join(file)).expect("a canned request").into(),
        None => make(),
    }
}

fn echo_bytes(len: usize) -> Bytes {
    let data: Vec<u8> = (0..=255).cycle().take(len).collect();
    request("echo_bytes", "data", Arc::new(BinaryArray::from_iter_values([data])))
}

/// Answers one call. Returns the length of the answer.
fn call(responder: &mut Responder, request: &Bytes) -> usize {
    responder.receive(request.clone());
    while let Next::Event(work) = responder.poll_work().expect("a valid request") {
        responder.complete(work.run()).expect("the work of this responder");
    }
    let mut sent = 0;
    while let Some(outbox) = responder.poll_transmit() {
        let mut slices = [std::io::IoSlice::new(&[]); 16];
        let count = outbox.chunks_vectored(&mut slices);
        let len = slices.iter().take(count).map(|slice| black_box(slice).len()).sum();
        outbox.advance(len);
        sent += len;
    }
    sent
}

fn unary(criterion: &mut Criterion) {
    let service = Arc::new(service());
    let mut group = criterion.benchmark_group("unary");
    let requests = [
        (
            "echo_string",
            canned("echo_string.bin", || {
                request("echo_string", "value", Arc::new(StringArray::from(vec!["hello world"])))
            }),
        ),
        ("echo_bytes_1k", canned("echo_bytes_1k.bin", || echo_bytes(1 << 10))),
        ("echo_bytes_1m", canned("echo_bytes_1m.bin", || echo_bytes(1 << 20))),
        ("echo_bytes_64m", canned("echo_bytes_64m.bin", || echo_bytes(64 << 20))),
    ];
    for (name, request) in requests {
        let peer = Peer::new(TransportKind::Pipe, service.server_id().clone());
        let mut responder = Responder::new(service.clone(), peer, Limits::default(), IdSource::seeded(1));
        group.throughput(Throughput::Bytes(request.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| call(&mut responder, &request)));
    }
}

criterion_group!(benches, unary);
criterion_main!(benches);
