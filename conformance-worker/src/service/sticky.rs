//! A counter in a sticky session. Sessions are HTTP's, so that elsewhere every one of these methods fails.

use super::types::{Int64, optional, schema};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};
use vgi_rpc_protocol::service::{Args, CallContext, Exchange, Method, MethodSpec, Producer, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    vec![
        Method::new("open_counter").param("initial", Int64).returns(Int64).unary(open),
        Method::new("increment_counter").param("by", Int64).returns(Int64).unary(use_bound),
        Method::new("close_counter").returns(Int64).unary(use_bound),
        Method::new("stream_session_counter").param("count", Int64).output(value()).producer(|args, _| {
            Ok(Stream::new(SessionCounterProducer { count: args.get("count")?, current: 0 }))
        }),
        Method::new("exchange_session_counter")
            .input(schema(vec![optional("by", Int64)]))
            .output(value())
            .exchange(|_, _| Ok(Stream::new(SessionCounterExchange))),
    ]
}

fn value() -> SchemaRef {
    schema(vec![optional("value", Int64)])
}

fn open(_: &Args, _: &mut CallContext) -> Result<ArrayRef, RpcError> {
    Err(RpcError::runtime_error("sticky sessions not available on this transport"))
}

fn use_bound(_: &Args, _: &mut CallContext) -> Result<ArrayRef, RpcError> {
    Err(no_counter())
}

fn no_counter() -> RpcError {
    RpcError::runtime_error("no sticky counter bound to this request")
}

/// Counts the session's counter up, so many times.
#[derive(Serialize, Deserialize)]
struct SessionCounterProducer {
    count: i64,
    current: i64,
}

impl Producer for SessionCounterProducer {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.current >= self.count { turn.finish() } else { Err(no_counter()) }
    }
}

/// Adds what it is sent to the session's counter.
#[derive(Serialize, Deserialize)]
struct SessionCounterExchange;

impl Exchange for SessionCounterExchange {
    fn exchange(&mut self, _: &RecordBatch, _: &mut Turn) -> Result<(), RpcError> {
        Err(no_counter())
    }
}
