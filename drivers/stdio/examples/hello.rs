//! A worker and a client in one program: `cargo run -p vgi-rpc-stdio --example hello`.
//!
//! The client starts this program again as a child process, which serves on its stdin and stdout, and calls a unary method, a
//! producer and an exchange.

use serde::{Deserialize, Serialize};
use std::process::Command;
use std::sync::Arc;
use vgi_rpc_protocol::arrow::array::RecordBatch;
use vgi_rpc_protocol::service::{CallContext, Exchange, Rows, Service, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{Record, service};
use vgi_rpc_stdio::{serve_stdio, spawn};

/// Implemented by the worker, and called through `HelloClient`.
#[service(name = "demo.Hello.v1", version = "1.0.0")]
trait Hello {
    /// Returns a greeting.
    fn greet(&self, name: &str, context: &mut CallContext) -> Result<String, RpcError>;

    /// Counts down to one.
    #[method(producer, output = Number)]
    fn countdown(&self, from: i64) -> Rows<Number>;

    /// Multiplies.
    #[method(exchange, input = Number, output = Number)]
    fn scale(&self, factor: f64) -> Result<Stream<Scale>, RpcError>;
}

#[derive(Record)]
struct Number {
    x: f64,
}

fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("worker") => {
            let service = Service::builder("0123456789ab").protocol(HelloProtocol::serve(Worker)).build()?;
            Ok(serve_stdio(Arc::new(service))?)
        }
        _ => client(),
    }
}

// ---- the worker -------------------------------------------------------------------------------------------------

struct Worker;

impl Hello for Worker {
    fn greet(&self, name: &str, context: &mut CallContext) -> Result<String, RpcError> {
        context.log(LogMessage::info("somebody came by").with("name", name));
        if name.is_empty() {
            return Err(RpcError::value_error("expected a name, got an empty string"));
        }
        Ok(format!("Hello, {name}!"))
    }

    fn countdown(&self, from: i64) -> Rows<Number> {
        Rows::new((1..=from).rev().map(|n| Number { x: n as f64 }))
    }

    fn scale(&self, factor: f64) -> Result<Stream<Scale>, RpcError> {
        Ok(Stream::new(Scale { factor }))
    }
}

/// The state of an exchange. Over HTTP it is saved between two turns.
#[derive(Serialize, Deserialize)]
struct Scale {
    factor: f64,
}

impl Exchange for Scale {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let mut numbers = Number::rows_from_batch(input)?;
        numbers.iter_mut().for_each(|number| number.x *= self.factor);
        turn.emit_rows(&numbers)
    }
}

// ---- the client -------------------------------------------------------------------------------------------------

fn client() -> anyhow::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("worker");
    let client = spawn(command)?.on_log(|log| println!("   log   [{}] {}", log.level, log.message));
    let mut hello = HelloClient::new(client);

    println!("unary    greet(\"world\") = {:?}", hello.greet("world")?);

    for number in hello.countdown(3)? {
        println!("producer countdown: {}", number?.x);
    }

    let mut scale = hello.scale(2.5)?;
    for x in [1.0, 4.0] {
        for scaled in scale.send(&[Number { x }])? {
            println!("exchange {x} * 2.5 = {}", scaled.x);
        }
    }
    scale.close()?;

    match hello.greet("") {
        Ok(_) => println!("error    expected one"),
        Err(error) => println!("error    {error}"),
    }
    // Fails if the worker ends with another status.
    hello.into_caller().close()?;
    println!("closed   the worker ended with exit status: 0");
    Ok(())
}
