//! Both machines without a driver: `cargo run -p vgi-rpc-protocol --example embed`.
//!
//! This is what your own event loop does with the core. The "network" is two byte buffers; a real loop reads and writes sockets
//! instead, and may run each `Work` on a thread pool. The service asks before it admits a call: the loop answers the first
//! question itself, and a thread answers the second while the loop continues.
#![allow(
    clippy::disallowed_methods,
    reason = "the core starts no thread, and an example of what uses it does"
)]

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::DataType;
use bytes::{Buf, Bytes};
use std::error::Error;
use std::sync::{Arc, mpsc};
use std::thread;
use vgi_rpc_protocol::client::{self, Call, CallKind};
use vgi_rpc_protocol::effect::{Completion, Effect, EffectEvent, Failure, Question, Request};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::service::{Method, Peer, Protocol, Responder, Service, TransportKind};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{IdSource, Limits, Next};

fn main() -> Result<(), Box<dyn Error>> {
    let double = Method::new("double")
        .param("n", DataType::Int64)
        .returns(DataType::Int64)
        .unary(|args, _| Ok(args.get::<i64>("n")? * 2));
    let service = Service::builder("0123456789ab")
        .protocol(Protocol::new("demo.Math.v1").method(double))
        .admit(|call, answers| {
            let question = || Question::new(MayCall(call.method().to_owned()));
            match answers.ask("policy", question)??.value() {
                Some(true) => Ok(()),
                _ => Err(RpcError::permission_error("the policy does not allow this call").into()),
            }
        })
        .build()?;
    let peer = Peer::new(TransportKind::Pipe, service.server_id().clone());
    let mut server = Responder::new(Arc::new(service), peer, Limits::default(), IdSource::seeded(1));
    let mut client = client::Connection::new(Limits::default());

    for (number, answered) in [(21, Answered::Here), (4, Answered::ByAThread)] {
        let response = answer(&mut server, &request(&mut client, number)?, answered)?;
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
    }
    Ok(())
}

/// Issues a command to the client's machine. Returns the bytes from its outbox.
fn request(client: &mut client::Connection, number: i64) -> Result<Bytes, Box<dyn Error>> {
    let params = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![number])) as _)])?;
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
    Ok(request)
}

/// The service's question: whether the caller may call this method. The answer is a `bool`.
struct MayCall(String);

/// Where a question is answered.
#[derive(Clone, Copy, Debug)]
enum Answered {
    Here,
    ByAThread,
}

/// Passes bytes to the server's machine, here one at a time; pieces may have any size.
fn answer(server: &mut Responder, request: &Bytes, answered: Answered) -> Result<Bytes, Box<dyn Error>> {
    let (completed, completions) = mpsc::channel();
    for at in 0..request.len() {
        server.receive(request.slice(at..=at));
        loop {
            let next = server.poll_work()?;
            while let Some(event) = server.poll_effect() {
                let EffectEvent::Requested(effect) = event else { continue };
                println!("server: asks, and is answered: {answered:?}");
                match answered {
                    Answered::Here => server.complete_effect(effect.id, perform(&effect)),
                    Answered::ByAThread => {
                        let completed = completed.clone();
                        thread::spawn(move || {
                            // If the conversation has ended, nothing waits for the answer.
                            let _ = completed.send((effect.id, perform(&effect)));
                        });
                    }
                }
            }
            match next {
                Next::Event(work) => {
                    println!("server: byte {} of {} completed the call", at + 1, request.len());
                    server.complete(work.run())?;
                }
                // A loop with other connections would serve them here.
                Next::Waiting => {
                    if let Answered::ByAThread = answered {
                        let (id, completion) = completions.recv()?;
                        server.complete_effect(id, completion);
                    }
                }
                _ => break,
            }
        }
    }
    Ok(drain(server.poll_transmit()))
}

/// Performs the effect outside the core.
fn perform(effect: &Effect) -> Completion {
    match &effect.request {
        Request::Question(question) => {
            Completion::value(question.payload().is_some_and(|MayCall(method)| method == "double"))
        }
        _ => Failure::unsupported().into(),
    }
}

/// Drains an outbox. A socket would write its slices with `write_vectored` instead.
fn drain(outbox: Option<&mut vgi_rpc_protocol::ipc::Outbox>) -> Bytes {
    outbox.map_or(Bytes::new(), |outbox| outbox.copy_to_bytes(outbox.remaining()))
}
