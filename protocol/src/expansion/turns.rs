//! Support for the trait functions that take the turns of streams.

use crate::service::{Stream, Turn};
use crate::values::Record;
use crate::wire::error::RpcError;
use arrow_array::RecordBatch;

/// Converts a state or a stream of this state to a stream.
pub fn opened<S, T: Into<Stream<S>>>(opened: T) -> Stream<S> {
    opened.into()
}

/// The result of opening a stream whose method leaves a schema to each call: a stream, since a state alone has no schemas.
#[diagnostic::on_unimplemented(
    message = "`{Self}` gives its stream no schemas, and the method does not declare them",
    label = "not a `Stream`",
    note = "declare `output = Row`, and `input = Row` of an exchange; or return a `Stream` of the state, with `Stream::with_output` \
            and `Stream::with_input`"
)]
pub trait GivesSchemas<S> {
    fn stream(self) -> Stream<S>;
}

impl<S> GivesSchemas<S> for Stream<S> {
    fn stream(self) -> Self {
        self
    }
}

/// As [`opened`], for a method that leaves a schema to each call.
///
/// ```compile_fail,E0277
/// use vgi_rpc_protocol::prelude::*;
///
/// #[service(name = "demo.Doubles.v1")]
/// trait Doubles {
///     #[method(exchange, input = RecordBatch, output = RecordBatch, turn = take)]
///     fn double(&self) -> u64 {
///         0
///     }
///     fn take(&self, _state: &mut u64, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
///         turn.emit(input.clone())
///     }
/// }
/// ```
pub fn opened_with_schemas<S, T: GivesSchemas<S>>(opened: T) -> Stream<S> {
    opened.stream()
}

/// Emits the rows of a producer's turn. No rows end the stream.
pub fn produce_rows<R: Record>(rows: &[R], turn: &mut Turn) -> Result<(), RpcError> {
    if rows.is_empty() { turn.finish() } else { turn.emit_rows(rows) }
}

/// Emits the rows that answer an exchange's turn.
pub fn answer_rows<R: Record>(rows: &[R], turn: &mut Turn) -> Result<(), RpcError> {
    turn.emit_rows(rows)
}

/// Reads the rows that were sent to an exchange.
pub fn input_rows<R: Record>(input: &RecordBatch) -> Result<Vec<R>, RpcError> {
    Ok(R::rows_from_batch(input)?)
}
