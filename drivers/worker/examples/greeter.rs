//! A worker with the standard flags: `greeter`, `greeter --unix PATH`, `greeter --tcp PORT`, `greeter --http PORT`, `greeter
//! --help`.

use arrow_array::Int64Array;
use arrow_schema::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;
use std::sync::Arc;
use vgi_rpc_protocol::service::{Method, Producer, Protocol, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;

/// Counts for ever.
#[derive(Serialize, Deserialize)]
struct Count(i64);

impl Producer for Count {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        self.0 += 1;
        turn.emit_columns(vec![Arc::new(Int64Array::from(vec![self.0]))])
    }
}

/// The protocol. Public for the tests, like [`main`].
pub fn protocol() -> Protocol {
    let greet =
        Method::new("greet").param("name", DataType::Utf8).returns(DataType::Utf8).unary(|args, _| {
            let name = args.get::<&str>("name")?;
            // This goes to stderr, on every transport.
            println!("greeting {name}");
            Ok(format!("Hello, {name}!"))
        });
    let numbers = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    let count = Method::new("count").output(numbers).producer(|_, _| Ok(Stream::new(Count(0))));
    Protocol::new("demo.Hello.v1").version("1.0.0").methods([greet, count])
}

/// Parses the command line and serves.
pub fn main() -> ExitCode {
    vgi_rpc_worker::run(|service| service.protocol(protocol()).build())
}
