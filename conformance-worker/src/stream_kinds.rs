//! A protocol whose one stream method decides for each call whether it opens a producer or an exchange.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use vgi_rpc_protocol::service::{Exchange, Method, Producer, Protocol, Saved, State, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;

/// Returns the protocol. It has no version, so that no client is refused.
pub fn protocol() -> Protocol {
    let open = Method::new("open")
        .param("kind", DataType::Utf8)
        .param("number", DataType::Int64)
        .output(numbers())
        .doc("Counts to the number, or multiplies by it.");
    let open = open.stream(
        |args, _| {
            let number = args.get("number")?;
            match args.get("kind")? {
                "producer" => Ok(Stream::new(State::producer(Count { next: 0, end: number }))),
                "unresumable producer" => {
                    Ok(Stream::new(State::unresumable_producer(Count { next: 0, end: number })))
                }
                "exchange" => {
                    let state = State::exchange(Multiply { turns: 0, factor: number });
                    Stream::new(state).with_input(numbers()).with_call_state(&number)
                }
                other => {
                    let text =
                        format!("expected a producer, an unresumable producer or an exchange, got {other:?}");
                    Err(RpcError::value_error(text))
                }
            }
        },
        |saved: Saved<'_>, _| {
            if saved.is_producer() {
                return Ok(State::producer(saved.state::<Count>()?));
            }
            let turns = saved.state::<Turns>()?.turns;
            Ok(State::exchange(Multiply { turns, factor: saved.call_state()? }))
        },
    );
    Protocol::new("test.StreamKinds.v1").method(open)
}

fn numbers() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

#[derive(Serialize, Deserialize)]
struct Count {
    next: i64,
    end: i64,
}

impl Producer for Count {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.next >= self.end {
            return turn.finish();
        }
        let n = self.next;
        self.next += 1;
        turn.emit_columns(vec![Arc::new(Int64Array::from(vec![n]))])
    }
}

/// The part of [`Multiply`] that changes from turn to turn.
#[derive(Serialize, Deserialize)]
struct Turns {
    turns: i64,
}

/// Multiplies by the factor, and adds the number of turns. The factor is part of the call's state.
#[derive(Serialize)]
struct Multiply {
    turns: i64,
    #[serde(skip)]
    factor: i64,
}

impl Exchange for Multiply {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let values = input.column(0).as_primitive::<Int64Type>();
        let output = values.unary::<_, Int64Type>(|n| n * self.factor + self.turns);
        self.turns += 1;
        turn.emit_columns(vec![Arc::new(output)])
    }
}
