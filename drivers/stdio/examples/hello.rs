//! A worker and a client in one program: `cargo run -p vgi-rpc-stdio --example hello`.
//!
//! The client starts this same program as a child process, which serves on its stdin and stdout, and calls it: a
//! unary method, a producer, an exchange.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use vgi_rpc_protocol::service::{Exchange, Method, Producer, Protocol, Service, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_stdio::{Remote, serve_stdio, spawn};

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("worker") => Ok(serve_stdio(Arc::new(service()?))?),
        _ => client(),
    }
}

// ---- the worker -------------------------------------------------------------------------------------------------

fn service() -> Result<Service, Box<dyn Error>> {
    let greet =
        Method::new("greet").param("name", DataType::Utf8).returns(DataType::Utf8).unary(|args, context| {
            let name: &str = args.get("name")?;
            context.log(LogMessage::info("somebody came by").with("name", name));
            if name.is_empty() {
                return Err(RpcError::value_error("expected a name, got an empty string"));
            }
            Ok(format!("Hello, {name}!"))
        });
    let countdown = Method::new("countdown")
        .param("from", DataType::Int64)
        .output(schema("n", DataType::Int64))
        .producer(|args, _| Ok(Stream::new(Countdown { next: args.get("from")? })));
    let scale = Method::new("scale")
        .param("factor", DataType::Float64)
        .input(schema("x", DataType::Float64))
        .output(schema("x", DataType::Float64))
        .exchange(|args, _| Ok(Stream::new(Scale { factor: args.get("factor")? })));
    let protocol = Protocol::new("demo.Hello.v1").version("1.0.0").methods([greet, countdown, scale]);
    Ok(Service::builder("0123456789ab").protocol(protocol).build()?)
}

#[derive(Serialize, Deserialize)]
struct Countdown {
    next: i64,
}

impl Producer for Countdown {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.next == 0 {
            return turn.finish();
        }
        turn.emit_columns(vec![Arc::new(Int64Array::from(vec![self.next]))])?;
        self.next -= 1;
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Scale {
    factor: f64,
}

impl Exchange for Scale {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let x = input.column(0).as_primitive::<Float64Type>();
        turn.emit_columns(vec![Arc::new(x.unary::<_, Float64Type>(|x| x * self.factor))])
    }
}

fn schema(name: &str, data_type: DataType) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(name, data_type, false)]))
}

// ---- the client -------------------------------------------------------------------------------------------------

fn client() -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("worker");
    let mut client = spawn(command)?.on_log(|log| println!("   log   [{}] {}", log.level, log.message));
    let hello = Remote::new("demo.Hello.v1").version("1.0.0");

    let name = RecordBatch::try_from_iter([("name", Arc::new(StringArray::from(vec!["world"])) as _)])?;
    let greeting = client.unary(&hello.method("greet"), &name)?;
    println!("unary    greet(\"world\") = {:?}", greeting.column(0).as_string::<i32>().value(0));

    let from = RecordBatch::try_from_iter([("from", Arc::new(Int64Array::from(vec![3])) as _)])?;
    for batch in client.stream(&hello.method("countdown"), &from)? {
        println!("producer countdown: {}", batch?.column(0).as_primitive::<Int64Type>().value(0));
    }

    let factor = RecordBatch::try_from_iter([("factor", Arc::new(Float64Array::from(vec![2.5])) as _)])?;
    let mut scale = client.stream(&hello.method("scale"), &factor)?;
    for x in [1.0, 4.0] {
        let input = RecordBatch::try_from_iter([("x", Arc::new(Float64Array::from(vec![x])) as _)])?;
        let output = scale.exchange(&input)?;
        println!("exchange {x} * 2.5 = {}", output.column(0).as_primitive::<Float64Type>().value(0));
    }
    scale.close()?;

    let nobody = RecordBatch::try_from_iter([("name", Arc::new(StringArray::from(vec![""])) as _)])?;
    match client.unary(&hello.method("greet"), &nobody) {
        Ok(_) => println!("error    expected one"),
        Err(error) => println!("error    {error}"),
    }
    // Fails if the worker ends with another status.
    client.close()?;
    println!("closed   the worker ended with exit status: 0");
    Ok(())
}
