//! Stream methods: the return values of their handlers, and the turns that follow. WIRE_PROTOCOL 9.

use crate::ipc::Metadata;
use crate::service::conform::conform;
use crate::service::context::CallContext;
use crate::values::Record;
use crate::wire::error::RpcError;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// The state of a stream on which only the server sends data.
pub trait Producer: Send + 'static {
    /// Takes one turn: emits one batch, or finishes.
    ///
    /// # Errors
    /// Ends the stream with that error.
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError>;

    /// Called when the client cancels the stream. No more batches may be emitted.
    fn on_cancel(&mut self, _context: &mut CallContext) {}
}

/// The state of a stream on which each input batch is answered with one output batch.
pub trait Exchange: Send + 'static {
    /// Handles one batch of the declared input schema, and emits exactly one. Columns of other types have been cast; a cast that
    /// would use 64 MiB more than the column is refused.
    ///
    /// # Errors
    /// Ends the stream with that error.
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError>;

    /// Called when the client cancels the stream. No more batches may be emitted.
    fn on_cancel(&mut self, _context: &mut CallContext) {}
}

/// The return value of a stream method's handler: the state, and any differences from the method's declaration.
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
    pub(crate) call_state: Option<Bytes>,
}

/// A stream of the declared schemas.
impl<S> From<S> for Stream<S> {
    fn from(state: S) -> Self {
        Self::new(state)
    }
}

impl<S> Stream<S> {
    /// Creates a stream of the declared schemas.
    pub fn new(state: S) -> Self {
        Self { state, overrides: Overrides::default() }
    }

    /// Sends a header of one row before the data. Required if the method declares one.
    pub fn with_header(mut self, header: RecordBatch) -> Self {
        self.overrides.header = Some(header);
        self
    }

    /// Sends a record as the header. See [`with_header`](Self::with_header).
    ///
    /// # Errors
    /// If a value does not fit its column.
    pub fn with_header_record(self, header: &impl Record) -> Result<Self, RpcError> {
        Ok(self.with_header(header.to_batch()?))
    }

    /// Keeps a value for the life of the stream, apart from its state: arguments and settings that do not change. Over HTTP the
    /// client carries it in a separate token, which is not renewed at each turn. The `restore` of a method that is declared with
    /// [`MethodBuilder::stream`](crate::service::MethodBuilder::stream) reads it.
    ///
    /// # Errors
    /// If the value cannot be serialised.
    pub fn with_call_state(mut self, value: &impl Serialize) -> Result<Self, RpcError> {
        self.overrides.call_state = Some(encode(value)?.into());
        Ok(self)
    }

    /// Sets an output schema for this call.
    pub fn with_output(mut self, schema: SchemaRef) -> Self {
        self.overrides.output = Some(schema);
        self
    }

    /// Sets an input schema for this call.
    pub fn with_input(mut self, schema: SchemaRef) -> Self {
        self.overrides.input = Some(schema);
        self
    }
}

/// One turn of a stream: its input's metadata, and its output. It dereferences to the call's context.
#[derive(Debug)]
pub struct Turn {
    context: Box<CallContext>,
    input_metadata: Metadata,
    output: SchemaRef,
    may_finish: bool,
    pub(crate) data: Option<(RecordBatch, Metadata)>,
    /// The number of logs before the data.
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
        context: Box<CallContext>,
        input_metadata: Metadata,
        output: SchemaRef,
        may_finish: bool,
    ) -> Self {
        Self { context, input_metadata, output, may_finish, data: None, logs_before_data: 0, finished: false }
    }

    /// Returns the metadata of this turn's tick or input batch, without the transport's own keys.
    pub fn input_metadata(&self) -> &Metadata {
        &self.input_metadata
    }

    /// Returns the schema that emitted batches are converted to.
    pub fn output_schema(&self) -> &SchemaRef {
        &self.output
    }

    /// Emits the turn's batch. See [`Self::emit_with`].
    ///
    /// # Errors
    /// As [`emit_with`](Self::emit_with).
    pub fn emit(&mut self, batch: RecordBatch) -> Result<(), RpcError> {
        self.emit_with(batch, Metadata::new())
    }

    /// Emits the turn's batch from columns of the output schema. Without columns the batch has no rows.
    ///
    /// # Errors
    /// If they do not fit the schema, or a batch was already emitted in this turn.
    pub fn emit_columns(&mut self, columns: Vec<ArrayRef>) -> Result<(), RpcError> {
        let rows = columns.first().map_or(0, |column| column.len());
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch =
            RecordBatch::try_new_with_options(self.output.clone(), columns, &options).map_err(|error| {
                RpcError::value_error(format!("the columns do not fit the output schema: {error}"))
            })?;
        self.emit(batch)
    }

    /// Emits the turn's batch from records, one per row.
    ///
    /// # Errors
    /// If a value does not fit its column, and as [`emit`](Self::emit).
    pub fn emit_rows<R: Record>(&mut self, rows: &[R]) -> Result<(), RpcError> {
        self.emit(R::rows_to_batch(rows)?)
    }

    /// Emits the turn's batch with additional metadata. Columns that the output schema does not have are dropped, and columns of
    /// another type are cast. Columns are matched by position if all names agree in order, and otherwise by name.
    ///
    /// # Errors
    /// If a column is missing, cannot be cast or has nulls that its field does not allow; if several columns have a name that is
    /// looked up; or if a batch was already emitted in this turn.
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
    /// If the stream is an exchange, which only the client ends.
    pub fn finish(&mut self) -> Result<(), RpcError> {
        if !self.may_finish {
            return Err(RpcError::runtime_error("finish is not for exchanges: emit one batch per turn"));
        }
        self.finished = true;
        Ok(())
    }

    pub(crate) fn into_parts(self) -> (Box<CallContext>, Option<(RecordBatch, Metadata)>, usize, bool) {
        (self.context, self.data, self.logs_before_data, self.finished)
    }
}

/// A stream's type-erased state.
pub(crate) trait StreamState: Send {
    fn turn(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError>;
    fn on_cancel(&mut self, context: &mut CallContext);
    /// Returns whether only the server sends data, and may end the stream.
    fn is_producer(&self) -> bool;
    /// Returns whether the state can be [saved](Self::save) and restored.
    fn can_resume(&self) -> bool;
    /// Serialises the state, for a transport that keeps no state between turns. [`Restore`] is the inverse.
    #[cfg(feature = "http")]
    fn save(&self) -> Result<Vec<u8>, RpcError>;
}

/// The state of a producer or an exchange, as the handler decides for each call.
pub struct State(pub(crate) Box<dyn StreamState>);

impl State {
    /// Creates a producer's state. Over HTTP it is saved between turns, and restored by the method's `restore`.
    pub fn producer<S: Producer + Serialize>(state: S) -> Self {
        Self(Box::new(Resumable(ProducerState(state))))
    }

    /// Creates an exchange's state, saved like a [producer's](Self::producer).
    pub fn exchange<S: Exchange + Serialize>(state: S) -> Self {
        Self(Box::new(Resumable(ExchangeState(state))))
    }

    /// Creates a producer's state that cannot be saved, such as an open file. Over HTTP all of its output is sent in one
    /// response, as one batch with the metadata of all, since clients accept no more from the response that opens a stream. The
    /// call fails if that exceeds the response limit, or 256 MiB if there is none.
    pub fn unresumable_producer<S: Producer>(state: S) -> Self {
        Self(Box::new(ProducerState(state)))
    }

    /// Creates an exchange's state that cannot be saved. Over HTTP the call fails when it is opened.
    pub fn unresumable_exchange<S: Exchange>(state: S) -> Self {
        Self(Box::new(ExchangeState(state)))
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(state) = self;
        f.debug_struct("State")
            .field("is_producer", &state.is_producer())
            .field("can_resume", &state.can_resume())
            .finish_non_exhaustive()
    }
}

/// A saved stream, from which its method's `restore` makes a [`State`].
#[derive(Clone, Copy)]
pub struct Saved<'a> {
    pub(crate) is_producer: bool,
    pub(crate) state: &'a [u8],
    pub(crate) call_state: &'a [u8],
}

impl Saved<'_> {
    /// Returns whether the state was a producer's; otherwise it was an exchange's.
    pub fn is_producer(&self) -> bool {
        self.is_producer
    }

    /// Returns the state of the last turn.
    ///
    /// # Errors
    /// If it is not an `S`: another build of the service may have saved it.
    pub fn state<S: DeserializeOwned>(&self) -> Result<S, RpcError> {
        decode(self.state)
    }

    /// Returns the value that [`Stream::with_call_state`] was given when the stream was opened.
    ///
    /// # Errors
    /// As [`state`](Self::state).
    pub fn call_state<S: DeserializeOwned>(&self) -> Result<S, RpcError> {
        decode(self.call_state)
    }
}

impl fmt::Debug for Saved<'_> {
    /// Omits the bytes: they are sealed for transport because they are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saved")
            .field("is_producer", &self.is_producer)
            .field("state_bytes", &self.state.len())
            .field("call_state_bytes", &self.call_state.len())
            .finish()
    }
}

/// Restores what [`StreamState::save`] returned.
#[cfg(feature = "http")]
pub(crate) type Restore =
    dyn Fn(Saved<'_>, &mut CallContext) -> Result<Box<dyn StreamState>, RpcError> + Send + Sync;

/// A producer that stays in memory.
pub(crate) struct ProducerState<S>(S);
/// An exchange that stays in memory.
pub(crate) struct ExchangeState<S>(S);
/// A producer or an exchange that can be saved.
pub(crate) struct Resumable<T>(T);

/// Erases the type of a producer that can be saved.
pub(crate) fn producer<S: Producer + Serialize>(state: S) -> Box<dyn StreamState> {
    Box::new(Resumable(ProducerState(state)))
}

/// Erases the type of an exchange that can be saved.
pub(crate) fn exchange<S: Exchange + Serialize>(state: S) -> Box<dyn StreamState> {
    Box::new(Resumable(ExchangeState(state)))
}

/// Returns a placeholder for a dropped state. It does not allocate.
pub(crate) fn dropped() -> Box<dyn StreamState> {
    Box::new(ProducerState(Dropped))
}

struct Dropped;

impl Producer for Dropped {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        turn.finish()
    }
}

/// Decodes a state that fills the bytes exactly.
fn decode<S: DeserializeOwned>(bytes: &[u8]) -> Result<S, RpcError> {
    match postcard::take_from_bytes(bytes) {
        Ok((state, [])) => Ok(state),
        _ => Err(RpcError::runtime_error(
            "the stream's state cannot be read: it was saved as another type, not saved at all, or saved by another build \
             of the service",
        )),
    }
}

/// Encodes a state for [`decode`].
fn encode<S: Serialize>(state: &S) -> Result<Vec<u8>, RpcError> {
    postcard::to_stdvec(state)
        .map_err(|error| RpcError::type_error(format!("the stream's state cannot be serialised: {error}")))
}

/// The kind of a state, apart from whether it can be saved.
trait Kind: Send {
    type State: Send;
    const IS_PRODUCER: bool;
    #[cfg(feature = "http")]
    fn state(&self) -> &Self::State;
    fn turn(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError>;
    fn on_cancel(&mut self, context: &mut CallContext);
}

impl<S: Producer> Kind for ProducerState<S> {
    type State = S;
    const IS_PRODUCER: bool = true;
    #[cfg(feature = "http")]
    fn state(&self) -> &S {
        &self.0
    }
    fn turn(&mut self, _: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        self.0.produce(turn)
    }
    fn on_cancel(&mut self, context: &mut CallContext) {
        self.0.on_cancel(context);
    }
}

impl<S: Exchange> Kind for ExchangeState<S> {
    type State = S;
    const IS_PRODUCER: bool = false;
    #[cfg(feature = "http")]
    fn state(&self) -> &S {
        &self.0
    }
    fn turn(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        self.0.exchange(input, turn)
    }
    fn on_cancel(&mut self, context: &mut CallContext) {
        self.0.on_cancel(context);
    }
}

impl<T: Kind<State: Serialize>> StreamState for Resumable<T> {
    fn turn(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        self.0.turn(input, turn)
    }
    fn on_cancel(&mut self, context: &mut CallContext) {
        self.0.on_cancel(context);
    }
    fn is_producer(&self) -> bool {
        T::IS_PRODUCER
    }
    fn can_resume(&self) -> bool {
        true
    }
    #[cfg(feature = "http")]
    fn save(&self) -> Result<Vec<u8>, RpcError> {
        encode(self.0.state())
    }
}

impl<T: Kind> StreamState for T {
    fn turn(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        Kind::turn(self, input, turn)
    }
    fn on_cancel(&mut self, context: &mut CallContext) {
        Kind::on_cancel(self, context);
    }
    fn is_producer(&self) -> bool {
        T::IS_PRODUCER
    }
    fn can_resume(&self) -> bool {
        false
    }
    #[cfg(feature = "http")]
    fn save(&self) -> Result<Vec<u8>, RpcError> {
        Err(RpcError::runtime_error(
            "the stream cannot be continued over HTTP: its state exists only in the server's memory",
        ))
    }
}
