//! A counter in a sticky session. Sessions exist only over HTTP, so all of these methods fail on other transports.

use super::types::{Int64, optional, schema};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use vgi_rpc_protocol::service::{Args, CallContext, Exchange, Method, MethodSpec, Producer, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    vec![
        Method::new("open_counter").param("initial", Int64).returns(Int64).unary(open),
        Method::new("increment_counter").param("by", Int64).returns(Int64).unary(increment),
        Method::new("close_counter").returns(Int64).unary(close),
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

/// The state of a session.
struct Counter(i64);

fn counter(context: &mut CallContext) -> Result<&mut i64, RpcError> {
    let bound = context.session::<Counter>().map(|counter| &mut counter.0);
    bound.ok_or_else(|| RpcError::runtime_error("no sticky counter bound to this request"))
}

fn open(args: &Args, context: &mut CallContext) -> Result<i64, RpcError> {
    let initial = args.get("initial")?;
    context.open_session(Counter(initial), None)?;
    Ok(initial)
}

fn increment(args: &Args, context: &mut CallContext) -> Result<i64, RpcError> {
    let counter = counter(context)?;
    *counter += args.get::<i64>("by")?;
    Ok(*counter)
}

fn close(_: &Args, context: &mut CallContext) -> Result<i64, RpcError> {
    let last = *counter(context)?;
    context.close_session();
    Ok(last)
}

/// Increments the session's counter this many times.
#[derive(Serialize, Deserialize)]
struct SessionCounterProducer {
    count: i64,
    current: i64,
}

impl Producer for SessionCounterProducer {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.current >= self.count {
            return turn.finish();
        }
        self.current += 1;
        let counter = counter(turn)?;
        *counter += 1;
        let value = *counter;
        turn.emit_columns(vec![column(value)])
    }
}

/// Adds its input to the session's counter.
#[derive(Serialize, Deserialize)]
struct SessionCounterExchange;

impl Exchange for SessionCounterExchange {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let by: i64 = input.column(0).as_primitive::<Int64Type>().iter().flatten().sum();
        let counter = counter(turn)?;
        *counter += by;
        let value = *counter;
        turn.emit_columns(vec![column(value)])
    }
}

fn column(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}
