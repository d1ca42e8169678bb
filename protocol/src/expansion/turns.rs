//! What is done around the functions of a trait that take the turns of its streams.

use crate::service::{Stream, Turn};
use crate::values::Record;
use crate::wire::error::RpcError;
use arrow_array::RecordBatch;

/// A stream of this state, from the state alone or from a stream that has more to say.
pub fn opened<S, T: Into<Stream<S>>>(opened: T) -> Stream<S> {
    opened.into()
}

/// Emits the rows of a producer's turn; no rows end the stream.
pub fn produce_rows<R: Record>(rows: &[R], turn: &mut Turn) -> Result<(), RpcError> {
    if rows.is_empty() { turn.finish() } else { turn.emit_rows(rows) }
}

/// Emits the rows that answer an exchange's turn.
pub fn answer_rows<R: Record>(rows: &[R], turn: &mut Turn) -> Result<(), RpcError> {
    turn.emit_rows(rows)
}

/// The rows that were sent to an exchange.
pub fn input_rows<R: Record>(input: &RecordBatch) -> Result<Vec<R>, RpcError> {
    Ok(R::rows_from_batch(input)?)
}
