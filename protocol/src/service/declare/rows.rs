//! Producers from iterators.

use super::method::{MethodBuilder, MethodSpec};
use crate::service::context::CallContext;
use crate::service::handler::{Args, Producer, Stream, Turn};
use crate::values::Record;
use crate::wire::error::RpcError;
use arrow_array::RecordBatch;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// The default number of rows of a batch.
const BATCH_ROWS: usize = 4096;

/// The rows of a producer, from an iterator.
///
/// An iterator cannot be saved. Over HTTP, where other requests continue a stream, all of its rows must fit into the response
/// that opens the stream: see [`State::unresumable_producer`](crate::service::State::unresumable_producer). To produce more, implement
/// [`Producer`] for a state that stores its position.
pub struct Rows<R> {
    rows: Box<dyn Iterator<Item = Result<R, RpcError>> + Send>,
    batch_rows: usize,
    header: Option<RecordBatch>,
}

impl<R: Record + 'static> Rows<R> {
    /// Produces these rows.
    pub fn new(rows: impl IntoIterator<Item = R, IntoIter: Send + 'static>) -> Self {
        Self::try_new(rows.into_iter().map(Ok::<R, RpcError>))
    }

    /// Produces these rows, up to the first error, with which the stream fails.
    pub fn try_new<E: Into<RpcError>>(
        rows: impl IntoIterator<Item = Result<R, E>, IntoIter: Send + 'static>,
    ) -> Self {
        let rows = rows.into_iter().map(|row| row.map_err(Into::into));
        Self { rows: Box::new(rows), batch_rows: BATCH_ROWS, header: None }
    }

    /// Sets how many rows a batch has, at least one. Default 4096.
    pub fn batch_rows(mut self, rows: usize) -> Self {
        self.batch_rows = rows.max(1);
        self
    }

    /// Sends a record as the header.
    ///
    /// # Errors
    /// If a value does not fit its column.
    pub fn with_header_record(mut self, header: &impl Record) -> Result<Self, RpcError> {
        self.header = Some(header.to_batch()?);
        Ok(self)
    }
}

impl<R> fmt::Debug for Rows<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("batch_rows", &self.batch_rows).finish_non_exhaustive()
    }
}

/// The state of a stream of [`Rows`].
struct Producing<R> {
    rows: Box<dyn Iterator<Item = Result<R, RpcError>> + Send>,
    batch_rows: usize,
    /// The error that ends the stream after the preceding rows are sent.
    failure: Option<RpcError>,
}

impl<R: Record + Send + 'static> Producer for Producing<R> {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let mut rows = Vec::new();
        for row in self.rows.by_ref().take(self.batch_rows) {
            match row {
                Ok(row) => rows.push(row),
                Err(error) if rows.is_empty() => return Err(error),
                Err(error) => {
                    self.failure = Some(error);
                    break;
                }
            }
        }
        if rows.is_empty() { turn.finish() } else { turn.emit_rows(&rows) }
    }
}

/// The return types of a producer's handler: a [`Stream`] of a state that is saved between turns, or [`Rows`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not open a producer",
    label = "not a `Stream` of a producer's state, nor `Rows` of records",
    note = "return a `Stream` of a state that implements `Producer` and serde's `Serialize` and `Deserialize`, `Rows` of \
            records, or a state whose turns a function of the trait takes: `#[method(producer, turn = function)]`"
)]
pub trait OpensProducer: Sized {
    /// Completes the method.
    fn complete(
        builder: MethodBuilder,
        open: impl Fn(&Args, &mut CallContext) -> Result<Self, RpcError> + Send + Sync + 'static,
    ) -> MethodSpec;
}

impl<S: Producer + Serialize + DeserializeOwned> OpensProducer for Stream<S> {
    fn complete(
        builder: MethodBuilder,
        open: impl Fn(&Args, &mut CallContext) -> Result<Self, RpcError> + Send + Sync + 'static,
    ) -> MethodSpec {
        builder.producer(open)
    }
}

impl<R: Record + Send + 'static> OpensProducer for Rows<R> {
    fn complete(
        builder: MethodBuilder,
        open: impl Fn(&Args, &mut CallContext) -> Result<Self, RpcError> + Send + Sync + 'static,
    ) -> MethodSpec {
        builder.unresumable_producer(move |args, context| {
            let Self { rows, batch_rows, header } = open(args, context)?;
            let stream = Stream::new(Producing { rows, batch_rows, failure: None });
            Ok(match header {
                Some(header) => stream.with_header(header),
                None => stream,
            })
        })
    }
}
