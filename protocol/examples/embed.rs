//! Both machines by hand, with no driver: `cargo run -p vgi-rpc-protocol --example embed`.
//!
//! This is what an event loop of your own does with the core. The "network" is two byte buffers; a real loop reads
//! and writes sockets in their place, and may run each `Work` on a thread pool.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::DataType;
use bytes::{Buf, Bytes};
use std::error::Error;
use std::sync::Arc;
use vgi_rpc_protocol::client::{self, Call, CallKind};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::service::{Method, Peer, Protocol, Responder, Service, TransportKind};
use vgi_rpc_protocol::{IdSource, Limits, Next};

fn main() -> Result<(), Box<dyn Error>> {
    let double = Method::new("double")
        .param("n", DataType::Int64)
        .returns(DataType::Int64)
        .unary(|args, _| Ok(args.get::<i64>("n")? * 2));
    let service =
        Service::builder("0123456789ab").protocol(Protocol::new("demo.Math.v1").method(double)).build()?;
    let peer = Peer::new(TransportKind::Pipe, service.server_id().clone());
    let mut server = Responder::new(Arc::new(service), peer, Limits::default(), IdSource::seeded(1));
    let mut client = client::Connection::new(Limits::default());

    // A command to the client's machine leaves bytes in its outbox.
    let params = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![21])) as _)])?;
    let call = Call {
        protocol: "demo.Math.v1",
        method: "double",
        protocol_version: None,
        request_id: Some("call-1"),
        kind: CallKind::Unary,
        metadata: Metadata::new(),
    };
    client.call(&call, &EncodedSchema::new(params.schema())?, &params)?;
    let request = drain(client.poll_transmit());
    println!("client -> server: {} bytes", request.len());

    // The server's machine takes bytes in any pieces; here one at a time.
    for at in 0..request.len() {
        server.receive(request.slice(at..=at));
        while let Next::Event(work) = server.poll_work()? {
            println!(
                "server: byte {} of {} completed the call of {}",
                at + 1,
                request.len(),
                work.context().method()
            );
            server.complete(work.run())?;
        }
    }
    let response = drain(server.poll_transmit());
    println!("server -> client: {} bytes", response.len());

    client.receive(response);
    while let Next::Event(event) = client.poll_event()? {
        match event {
            client::Event::Output(batch, _) => {
                println!("client: result {}", batch.column(0).as_primitive::<Int64Type>().value(0));
            }
            client::Event::Finished => println!("client: finished"),
            other => println!("client: {other:?}"),
        }
    }
    Ok(())
}

/// Takes everything out of an outbox. A socket would be given its slices by `write_vectored` instead.
fn drain(outbox: Option<&mut vgi_rpc_protocol::ipc::Outbox>) -> Bytes {
    outbox.map_or(Bytes::new(), |outbox| outbox.copy_to_bytes(outbox.remaining()))
}
