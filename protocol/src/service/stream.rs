//! Stream methods: what their handlers return, and the turns that follow. WIRE_PROTOCOL 9.

use super::conform::conform;
use super::context::CallContext;
use crate::ipc::Metadata;
use crate::values::Record;
use crate::wire::error::RpcError;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
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
    pub(crate) call_state: Option<Bytes>,
}

/// A stream of the declared schemas.
impl<S> From<S> for Stream<S> {
    fn from(state: S) -> Self {
        Self::new(state)
    }
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

    /// Sends a record as the header. See [`with_header`](Self::with_header).
    ///
    /// # Errors
    /// When a value does not fit its column.
    pub fn with_header_record(self, header: &impl Record) -> Result<Self, RpcError> {
        Ok(self.with_header(header.to_batch()?))
    }

    /// Keeps a value for the life of the stream, apart from its state: arguments and settings, which do not change.
    /// Over HTTP the client carries it in a token of its own, which is not made anew at each turn. What reads it is the
    /// `restore` of a method that is declared by [`MethodBuilder::stream`](super::MethodBuilder::stream).
    ///
    /// # Errors
    /// When the value cannot be serialised.
    pub fn with_call_state(mut self, value: &impl Serialize) -> Result<Self, RpcError> {
        self.overrides.call_state = Some(encode(value)?.into());
        Ok(self)
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
    context: Box<CallContext>,
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
        context: Box<CallContext>,
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

    /// Emits the turn's batch from records, a row for each.
    ///
    /// # Errors
    /// When a value does not fit its column, and as for [`emit`](Self::emit).
    pub fn emit_rows<R: Record>(&mut self, rows: &[R]) -> Result<(), RpcError> {
        self.emit(R::rows_to_batch(rows)?)
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

    pub(crate) fn into_parts(self) -> (Box<CallContext>, Option<(RecordBatch, Metadata)>, usize, bool) {
        (self.context, self.data, self.logs_before_data, self.finished)
    }
}

/// A stream's state with its type erased.
pub(crate) trait StreamState: Send {
    fn turn(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError>;
    fn on_cancel(&mut self, context: &mut CallContext);
    /// Whether the server alone sends data, and may end the stream.
    fn is_producer(&self) -> bool;
    /// Whether [`save`](Self::save) gives what brings it back.
    fn can_resume(&self) -> bool;
    /// The state as bytes, for a transport that keeps none between turns. [`Restore`] is the way back.
    #[cfg(feature = "http")]
    fn save(&self) -> Result<Vec<u8>, RpcError>;
}

/// The state of a stream that is a producer's or an exchange's, as its handler decides for each call.
pub struct State(pub(crate) Box<dyn StreamState>);

impl State {
    /// A producer's state. Over HTTP it is saved between turns, and comes back by way of the method's `restore`.
    pub fn producer<S: Producer + Serialize>(state: S) -> Self {
        Self(Box::new(Resumable(ProducerState(state))))
    }

    /// An exchange's state, saved as a [producer's](Self::producer).
    pub fn exchange<S: Exchange + Serialize>(state: S) -> Self {
        Self(Box::new(Resumable(ExchangeState(state))))
    }

    /// A producer's state that cannot be saved, such as an open file. Over HTTP it produces all of its output in one
    /// response, as one batch with the metadata of all, since clients take no more from the response that opens a stream.
    /// The call fails when that exceeds the response limit, or 256 MiB where there is none.
    pub fn unresumable_producer<S: Producer>(state: S) -> Self {
        Self(Box::new(ProducerState(state)))
    }

    /// An exchange's state that cannot be saved. Over HTTP the call fails when it is opened.
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

/// What a stream was saved as at the end of a turn: what its method's `restore` makes a [`State`] of.
#[derive(Clone, Copy)]
pub struct Saved<'a> {
    pub(crate) is_producer: bool,
    pub(crate) state: &'a [u8],
    pub(crate) call_state: &'a [u8],
}

impl Saved<'_> {
    /// Whether the state was a producer's, else it was an exchange's.
    pub fn is_producer(&self) -> bool {
        self.is_producer
    }

    /// The state of the last turn.
    ///
    /// # Errors
    /// When it is not an `S`: another build of the service may have saved it.
    pub fn state<S: DeserializeOwned>(&self) -> Result<S, RpcError> {
        decode(self.state)
    }

    /// What [`Stream::with_call_state`] was given when the stream was opened.
    ///
    /// # Errors
    /// As for [`state`](Self::state).
    pub fn call_state<S: DeserializeOwned>(&self) -> Result<S, RpcError> {
        decode(self.call_state)
    }
}

impl fmt::Debug for Saved<'_> {
    /// Leaves the bytes out: they are sealed on their way so that nobody reads them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saved")
            .field("is_producer", &self.is_producer)
            .field("state_bytes", &self.state.len())
            .field("call_state_bytes", &self.call_state.len())
            .finish()
    }
}

/// Brings back what [`StreamState::save`] gave.
#[cfg(feature = "http")]
pub(crate) type Restore =
    dyn Fn(Saved<'_>, &mut CallContext) -> Result<Box<dyn StreamState>, RpcError> + Send + Sync;

/// A producer that stays where it is.
pub(crate) struct ProducerState<S>(S);
/// An exchange that stays where it is.
pub(crate) struct ExchangeState<S>(S);
/// Either of the two, which can be saved.
pub(crate) struct Resumable<T>(T);

/// A producer that can be saved, with its type erased.
pub(crate) fn producer<S: Producer + Serialize>(state: S) -> Box<dyn StreamState> {
    Box::new(Resumable(ProducerState(state)))
}

/// An exchange that can be saved, with its type erased.
pub(crate) fn exchange<S: Exchange + Serialize>(state: S) -> Box<dyn StreamState> {
    Box::new(Resumable(ExchangeState(state)))
}

/// Stands in for a state that was dropped. It takes no memory of the heap.
pub(crate) fn dropped() -> Box<dyn StreamState> {
    Box::new(ProducerState(Dropped))
}

struct Dropped;

impl Producer for Dropped {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        turn.finish()
    }
}

/// A state and nothing after it.
fn decode<S: DeserializeOwned>(bytes: &[u8]) -> Result<S, RpcError> {
    match postcard::take_from_bytes(bytes) {
        Ok((state, [])) => Ok(state),
        _ => Err(RpcError::runtime_error(
            "the stream's state cannot be read: it was saved as another type, not saved at all, or saved by another build \
             of the service",
        )),
    }
}

/// A state as [`decode`] reads it.
fn encode<S: Serialize>(state: &S) -> Result<Vec<u8>, RpcError> {
    postcard::to_stdvec(state)
        .map_err(|error| RpcError::type_error(format!("the stream's state cannot be serialised: {error}")))
}

/// What kind of a state there is, apart from whether it can be saved.
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
