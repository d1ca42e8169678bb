//! Measures the cost of spans and metrics for a call, in instructions: `cargo run --release -p vgi-rpc-otel --example
//! instructions_per_call`.
//!
//! Counts instructions with valgrind's callgrind, which must be on PATH, because unlike times they are the same in every run.
//! Runs this program for each case with two numbers of calls; the difference is the cost of the additional calls. Nothing is
//! exported.

use arrow_array::{RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use bytes::{Buf, Bytes};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use vgi_rpc_otel::{Otel, OtelConfig};
use vgi_rpc_protocol::client::{Call, CallKind, Connection};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::service::{Method, Peer, Protocol, Responder, Service, TransportKind};
use vgi_rpc_protocol::{IdSource, Limits, Next};

const PROTOCOL: &str = "bench.Otel.v1";
const CASES: [&str; 4] = ["nothing", "metrics", "spans", "both"];

/// Creates a service with small unary calls.
fn service(case: &str) -> Result<Arc<Service>, Box<dyn Error>> {
    let echo = Method::new("echo")
        .param("value", DataType::Utf8)
        .returns(DataType::Utf8)
        .unary(|args, _| Ok(args.column("value")?.clone()));
    let service = Service::builder("bench0000000").protocol(Protocol::new(PROTOCOL).method(echo));
    if case == "nothing" {
        return Ok(Arc::new(service.build()?));
    }
    let config = OtelConfig::new()
        .tracer_provider(&SdkTracerProvider::builder().build())
        .meter_provider(&SdkMeterProvider::builder().build())
        .enable_tracing(case != "metrics")
        .enable_metrics(case != "spans");
    Ok(Arc::new(service.hook(Otel::new(config).server()).build()?))
}

fn request() -> Result<Bytes, Box<dyn Error>> {
    let schema = Arc::new(Schema::new(vec![Field::new("value", DataType::Utf8, false)]));
    let row = RecordBatch::try_new(schema.clone(), vec![Arc::new(StringArray::from(vec!["hello world"]))])?;
    let call = Call {
        protocol: PROTOCOL,
        method: "echo",
        protocol_version: None,
        request_id: Some("0123456789abcdef"),
        kind: CallKind::Unary,
        metadata: Metadata::new(),
    };
    let mut client = Connection::new(Limits::default());
    client.call(&call, &EncodedSchema::new(schema)?, &row)?;
    let outbox = client.poll_transmit().ok_or("a request waits to be sent")?;
    Ok(outbox.copy_to_bytes(outbox.remaining()))
}

fn run(case: &str, calls: usize) -> Result<(), Box<dyn Error>> {
    let (service, request) = (service(case)?, request()?);
    let peer = Peer::new(TransportKind::Pipe, service.server_id().clone());
    let mut responder = Responder::new(service, peer, Limits::default(), IdSource::seeded(1));
    for _ in 0..calls {
        responder.receive(request.clone());
        while let Next::Event(work) = responder.poll_work()? {
            responder.complete(work.run())?;
        }
        while let Some(outbox) = responder.poll_transmit() {
            outbox.advance(outbox.remaining());
        }
    }
    Ok(())
}

/// Returns the instructions per call.
fn instructions(case: &str) -> Result<u64, Box<dyn Error>> {
    let total = |calls: u64| -> Result<u64, Box<dyn Error>> {
        let mut counted = Command::new("valgrind");
        counted.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        let output = counted.arg(std::env::current_exe()?).args([case, &calls.to_string()]).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let count = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
        Ok(count.ok_or_else(|| said.into_owned())?)
    };
    const MORE: u64 = 100;
    Ok(total(20 + MORE)?.saturating_sub(total(20)?) / MORE)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [case, calls] = &arguments[..] {
        return run(case, calls.parse()?);
    }
    for case in CASES {
        println!("{case}: {} instructions", instructions(case)?);
    }
    Ok(())
}
