//! Serves one connection on blocking streams: `cargo run -p vgi-rpc-protocol --example run_loop`.

use bytes::Buf;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use vgi_rpc_protocol::service::{Method, Peer, Protocol, Responder, Service, TransportKind};
use vgi_rpc_protocol::{IdSource, Limits, Next};

fn serve(
    service: Arc<Service>,
    mut input: impl Read,
    mut output: impl Write,
) -> Result<(), Box<dyn std::error::Error>> {
    // Start-up work of the protocols, once per process.
    service.start(TransportKind::Pipe)?;
    let peer = Peer::new(TransportKind::Pipe, service.server_id().clone());
    // A driver takes the seed from the system's entropy source.
    let mut responder = Responder::new(service, peer, Limits::default(), IdSource::seeded(7));
    loop {
        // 1. Poll for work. A handler's invocation may run here, or on your own thread.
        let next = responder.poll_work();
        if let Ok(Next::Event(work)) = next {
            responder.complete(work.run())?;
            continue;
        }
        // 2. Send pending output, gathered from headers and the arrays' own memory. Also after an error: it informs the peer.
        while let Some(outbox) = responder.poll_transmit() {
            let mut slices = [IoSlice::new(&[]); 16];
            let count = outbox.chunks_vectored(&mut slices);
            match output.write_vectored(slices.get(..count).unwrap_or_default())? {
                0 => return Err("the output takes no more bytes".into()),
                written => outbox.advance(written),
            }
        }
        output.flush()?;
        // 3. Read more, directly into the machine's memory; or stop.
        match next? {
            Next::NeedInput => match input.read(responder.read_buf())? {
                0 => responder.receive_eof(),
                count => responder.advance(count),
            },
            Next::Closed => return Ok(()),
            _ => {}
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let six = Method::new("times_six")
        .param("n", arrow_schema::DataType::Int64)
        .returns(arrow_schema::DataType::Int64)
        .unary(|args, _| Ok(args.get::<i64>("n")? * 6));
    let protocol = Protocol::new("demo.Six.v1").method(six).on_serve_start(|transport| {
        eprintln!("serving over {transport:?}");
        Ok(())
    });
    let service = Service::builder("0123456789ab").protocol(protocol).build()?;
    serve(Arc::new(service), io::stdin().lock(), io::stdout().lock())
}
