//! Stream methods: what their handlers return, and the turns that follow. WIRE_PROTOCOL 9.

use super::conform::conform;
use super::context::CallContext;
use crate::ipc::Metadata;
use crate::wire::error::RpcError;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::{Deref, DerefMut};

/// State of a stream on which the server alone sends data.
pub trait Producer: Send + 'static {
    /// Takes one turn: emits one batch, or finishes.
    ///
    /// # Errors
    /// Ends the stream with that error.
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError>;

    /// The client gave the stream up. Nothing may be emitted any more.
    fn on_cancel(&mut self, _context: &mut CallContext) {}
}

/// State of a stream on which each batch is answered with one.
pub trait Exchange: Send + 'static {
    /// Answers one batch of the declared input schema: emits exactly one. Columns of other types were cast to it; a cast
    /// that would take 64 MiB more than the column is refused.
    ///
    /// # Errors
    /// Ends the stream with that error.
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError>;

    /// The client gave the stream up. Nothing may be emitted any more.
    fn on_cancel(&mut self, _context: &mut CallContext) {}
}

/// What a stream method's handler returns: the state, and what differs from the method's declaration.
#[derive(Clone, Debug)]
pub struct Stream<S> {
    pub(crate) state: S,
    pub(crate) overrides: Overrides,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) output: Option<SchemaRef>,
    pub(crate) input: Option<SchemaRef>,
    pub(crate) header: Option<RecordBatch>,
}

impl<S> Stream<S> {
    /// A stream of the declared schemas.
    pub fn new(state: S) -> Self {
        Self { state, overrides: Overrides::default() }
    }

    /// Sends a header of one row ahead of the data. Required when the method declares one.
    pub fn with_header(mut self, header: RecordBatch) -> Self {
        self.overrides.header = Some(header);
        self
    }

    /// Gives this call an output schema of its own.
    pub fn with_output(mut self, schema: SchemaRef) -> Self {
        self.overrides.output = Some(schema);
        self
    }

    /// Gives this call an input schema of its own.
    pub fn with_input(mut self, schema: SchemaRef) -> Self {
        self.overrides.input = Some(schema);
        self
    }
}

/// One turn of a stream: what came with the input, and what is sent in answer. It is the call's context as well.
#[derive(Debug)]
pub struct Turn {
    context: CallContext,
    input_metadata: Metadata,
    output: SchemaRef,
    may_finish: bool,
    pub(crate) data: Option<(RecordBatch, Metadata)>,
    /// How many of the logs were given before the data.
    pub(crate) logs_before_data: usize,
    pub(crate) finished: bool,
}

impl Deref for Turn {
    type Target = CallContext;

    fn deref(&self) -> &CallContext {
        &self.context
    }
}

impl DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut CallContext {
        &mut self.context
    }
}

impl Turn {
    pub(crate) fn new(
        context: CallContext,
        input_metadata: Metadata,
        output: SchemaRef,
        may_finish: bool,
    ) -> Self {
        Self { context, input_metadata, output, may_finish, data: None, logs_before_data: 0, finished: false }
    }

    /// Metadata of this turn's tick or input batch, without what belongs to the transport.
    pub fn input_metadata(&self) -> &Metadata {
        &self.input_metadata
    }

    /// Schema that emitted batches are brought to.
    pub fn output_schema(&self) -> &SchemaRef {
        &self.output
    }

    /// Emits the turn's batch. See [`Self::emit_with`].
    ///
    /// # Errors
    /// As there.
    pub fn emit(&mut self, batch: RecordBatch) -> Result<(), RpcError> {
        self.emit_with(batch, Metadata::new())
    }

    /// Emits the turn's batch from columns of the output schema; without columns it has no rows.
    ///
    /// # Errors
    /// When they do not fit the schema, or a batch was emitted in this turn already.
    pub fn emit_columns(&mut self, columns: Vec<ArrayRef>) -> Result<(), RpcError> {
        let rows = columns.first().map_or(0, |column| column.len());
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch =
            RecordBatch::try_new_with_options(self.output.clone(), columns, &options).map_err(|error| {
                RpcError::value_error(format!("the columns do not fit the output schema: {error}"))
            })?;
        self.emit(batch)
    }

    /// Emits the turn's batch with metadata of its own. Columns beyond the output schema are dropped, and columns of
    /// another type are cast. Columns are matched by position if all names agree in order, and otherwise by name.
    ///
    /// # Errors
    /// When a column is missing, cannot be cast or has nulls that its field does not allow; when several columns have
    /// the name that is looked for; when a batch was emitted in this turn already.
    pub fn emit_with(&mut self, batch: RecordBatch, metadata: Metadata) -> Result<(), RpcError> {
        if self.data.is_some() {
            return Err(RpcError::runtime_error("expected one data batch per turn, got a second"));
        }
        let batch = conform(batch, &self.output).map_err(|error| {
            RpcError::value_error(format!("the emitted batch does not fit the output schema: {error}"))
        })?;
        self.data = Some((batch, metadata));
        self.logs_before_data = self.context.logs.len();
        Ok(())
    }

    /// Ends a producer's stream, after this turn's batch if it emitted one.
    ///
    /// # Errors
    /// On an exchange, which only the client ends.
    pub fn finish(&mut self) -> Result<(), RpcError> {
        if !self.may_finish {
            return Err(RpcError::runtime_error("finish is not for exchanges: emit one batch per turn"));
        }
        self.finished = true;
        Ok(())
    }

    pub(crate) fn into_parts(self) -> (CallContext, Option<(RecordBatch, Metadata)>, usize, bool) {
        (self.context, self.data, self.logs_before_data, self.finished)
    }
}

/// A stream's state with its type erased.
pub(crate) trait StreamState: Send {
    fn turn(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError>;
    fn on_cancel(&mut self, context: &mut CallContext);
    /// Whether the server may end the stream.
    fn may_finish(&self) -> bool;
    /// The state as bytes, for a transport that keeps none between turns. [`Restore`] is the way back.
    fn save(&self) -> Result<Vec<u8>, postcard::Error>;
}

/// Brings back what [`StreamState::save`] gave.
pub(crate) type Restore = fn(&[u8]) -> Result<Box<dyn StreamState>, postcard::Error>;

pub(crate) struct ProducerState<S>(pub(crate) S);
pub(crate) struct ExchangeState<S>(pub(crate) S);

impl<S: Producer + Serialize + DeserializeOwned> ProducerState<S> {
    pub(crate) fn restore(bytes: &[u8]) -> Result<Box<dyn StreamState>, postcard::Error> {
        Ok(Box::new(Self(restore(bytes)?)))
    }
}

impl<S: Exchange + Serialize + DeserializeOwned> ExchangeState<S> {
    pub(crate) fn restore(bytes: &[u8]) -> Result<Box<dyn StreamState>, postcard::Error> {
        Ok(Box::new(Self(restore(bytes)?)))
    }
}

/// A state and nothing after it.
fn restore<S: DeserializeOwned>(bytes: &[u8]) -> Result<S, postcard::Error> {
    match postcard::take_from_bytes(bytes)? {
        (state, []) => Ok(state),
        _ => Err(postcard::Error::DeserializeBadEncoding),
    }
}

impl<S: Producer + Serialize + DeserializeOwned> StreamState for ProducerState<S> {
    fn may_finish(&self) -> bool {
        true
    }
    fn turn(&mut self, _: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        self.0.produce(turn)
    }
    fn on_cancel(&mut self, context: &mut CallContext) {
        self.0.on_cancel(context);
    }
    fn save(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(&self.0)
    }
}

impl<S: Exchange + Serialize + DeserializeOwned> StreamState for ExchangeState<S> {
    fn may_finish(&self) -> bool {
        false
    }
    fn turn(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        self.0.exchange(input, turn)
    }
    fn on_cancel(&mut self, context: &mut CallContext) {
        self.0.on_cancel(context);
    }
    fn save(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(&self.0)
    }
}
