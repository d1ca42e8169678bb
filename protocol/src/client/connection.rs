//! The client's state machine.

use super::event::{Call, CallKind, Event};
use crate::ipc::{BatchEncoder, EncodedSchema, Item, MessageError, Metadata, Outbox, ReadError, Reader};
use crate::memory::Account;
use crate::wire::classify::{BatchKind, classify};
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::log::LogMessage;
use crate::{CommandError, ConnectionError, Limits, Next};
use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use bytes::Bytes;
use std::sync::Arc;

/// One connection, from its first byte to its last. See the [module](super) for its use.
///
/// The wire does not say of what kind an answer is, so the machine reads it as the [`CallKind`] of the call says, which
/// must be the kind that the server declares. A call of the wrong kind is not always an error here: a unary call of a
/// stream method waits for a result while the server waits for input, and a header that is not expected is read as the
/// stream itself. Ask the server's [reflection](crate::reflection) for the kind before the first call of a method, or
/// give up on the connection after a timeout: an answer that is still due would be read as that of the next call.
/// Bytes that arrive while no call is under way belong to no call, and are fatal.
#[derive(Debug)]
pub struct Connection {
    limits: Limits,
    reader: Reader,
    encoder: BatchEncoder,
    outbox: Outbox,
    state: State,
    /// The call is over, and its last event is still to be told.
    finish_due: bool,
    peer_closed: bool,
    error: Option<ConnectionError>,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// In a call, reading one of its streams.
    Reading {
        phase: Phase,
        input: Input,
        /// Inputs sent and not yet answered.
        unanswered: usize,
        /// The phase's one batch came, or the call failed.
        settled: bool,
        /// The caller gave the stream up: outputs and errors are dropped.
        discarding: bool,
    },
}

/// Which of a call's streams is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Result,
    Header,
    Output,
}

/// The call's own input stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// A unary call has none.
    None,
    Unopened,
    Open,
    Closed,
}

/// Getters.
impl Connection {
    /// A connection on which nothing was called. What it holds is reserved nowhere.
    pub fn new(limits: Limits) -> Self {
        Self::with_account(limits, &Account::default())
    }

    /// A connection on which nothing was called. What it holds is reserved in the account.
    pub fn with_account(limits: Limits, account: &Account) -> Self {
        Self {
            reader: Reader::with_account(limits.clone(), account.clone()),
            limits,
            encoder: BatchEncoder::default(),
            outbox: Outbox::with_account(account),
            state: State::Idle,
            finish_due: false,
            peer_closed: false,
            error: None,
        }
    }

    /// True when a call may be made.
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle && !self.finish_due && self.error.is_none()
    }
}

/// Bytes in.
impl Connection {
    /// Takes bytes in, sharing them: the columns of a batch that lies inside them are not copied.
    pub fn receive(&mut self, bytes: Bytes) {
        self.reader.receive(bytes);
    }

    /// Memory to read into, never empty: a large body's own, or a scratch buffer. Call
    /// [`advance`](Self::advance) with the number of bytes read.
    pub fn read_buf(&mut self) -> &mut [u8] {
        self.reader.read_buf()
    }

    /// Takes in the first `count` bytes of what [`read_buf`](Self::read_buf) lent.
    pub fn advance(&mut self, count: usize) {
        self.reader.advance(count);
    }

    /// Gives back memory that is kept for input to come, as a driver does with a connection that stays idle.
    pub fn release_memory(&mut self) {
        self.reader.release_memory();
    }

    /// True within a stream, between two of its messages.
    pub(crate) fn is_between_messages(&self) -> bool {
        !self.reader.is_mid_message() && !self.reader.is_at_boundary()
    }

    /// The peer has closed its sending side. Between two messages this ends an answer whose result, header or error has
    /// come whole; the outputs of a stream end by its end marker alone.
    pub fn receive_eof(&mut self) {
        self.peer_closed = true;
    }
}

/// Commands.
impl Connection {
    /// Makes a call with one row of parameters. WIRE_PROTOCOL 5.
    ///
    /// # Errors
    /// When a call is under way, or the batch is not of the schema's types.
    pub fn call(
        &mut self,
        call: &Call<'_>,
        schema: &EncodedSchema,
        params: &RecordBatch,
    ) -> Result<(), CommandError> {
        self.expect_idle("call")?;
        schema.check(params)?;
        let mut metadata = call.metadata.clone();
        metadata.set(keys::METHOD, call.method);
        metadata.set(keys::REQUEST_VERSION, keys::REQUEST_VERSION_VALUE);
        metadata.set(keys::PROTOCOL, call.protocol);
        if let Some(version) = call.protocol_version {
            metadata.set(keys::PROTOCOL_VERSION, version);
        }
        if let Some(id) = call.request_id {
            metadata.set(keys::REQUEST_ID, id);
        }
        self.send_request(call.kind, schema, params, &metadata)
    }

    /// Makes a call whose metadata is complete already, as an intermediary has it.
    ///
    /// # Errors
    /// As for [`call`](Self::call).
    pub fn send_request(
        &mut self,
        kind: CallKind,
        schema: &EncodedSchema,
        params: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), CommandError> {
        self.expect_idle("send_request")?;
        schema.check(params)?;
        self.encoder.open(schema, &mut self.outbox);
        self.encoder.write(params, metadata, &mut self.outbox)?;
        self.encoder.close(&mut self.outbox);
        let (phase, input) = match kind {
            CallKind::Unary => (Phase::Result, Input::None),
            CallKind::Stream { header: true } => (Phase::Header, Input::Unopened),
            CallKind::Stream { header: false } => (Phase::Output, Input::Unopened),
        };
        self.state = State::Reading { phase, input, unanswered: 0, settled: false, discarding: false };
        Ok(())
    }

    /// Sends one batch on the stream's input. The first one opens it with `schema`; later ones must have its columns, by
    /// name, type and order.
    ///
    /// # Errors
    /// When no stream is open for input, or the batch is not of the schema's types or the stream's columns.
    pub fn send(
        &mut self,
        schema: &EncodedSchema,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), CommandError> {
        let Self { encoder, outbox, state, .. } = self;
        let (input, unanswered) = open_input(state, "send")?;
        if *input == Input::Unopened {
            schema.check(batch)?;
            encoder.open(schema, outbox);
            *input = Input::Open;
        } else if let Some(opened) = encoder.schema() {
            // The server sees the names of the first batch alone, and would take these columns for those.
            expect_columns(opened, schema)?;
        }
        encoder.write(batch, metadata, outbox)?;
        *unanswered += 1;
        Ok(())
    }

    /// Asks a producer for its next batch. WIRE_PROTOCOL 9, "Producer streams".
    ///
    /// # Errors
    /// When no stream is open for input.
    pub fn tick(&mut self, metadata: &Metadata) -> Result<(), CommandError> {
        let Self { encoder, outbox, state, .. } = self;
        let (input, unanswered) = open_input(state, "tick")?;
        if *input == Input::Unopened {
            encoder.open(&EncodedSchema::empty(), outbox);
            *input = Input::Open;
        }
        encoder.write_empty(metadata, outbox)?;
        *unanswered += 1;
        Ok(())
    }

    /// Ends the stream's input; what the server still sends is dropped, its logs excepted.
    ///
    /// # Errors
    /// When no stream is open for input.
    pub fn close(&mut self) -> Result<(), CommandError> {
        self.give_up("close", None)
    }

    /// Gives the stream up. The server stops without another turn. WIRE_PROTOCOL 9, "Client-initiated
    /// cancellation".
    ///
    /// # Errors
    /// When no stream is open for input.
    pub fn cancel(&mut self) -> Result<(), CommandError> {
        let cancel: Metadata = [(keys::CANCEL, "1")].into_iter().collect();
        self.give_up("cancel", Some(cancel))
    }
}

/// Events and output.
impl Connection {
    /// What comes next. Ask until it is not an event.
    ///
    /// # Errors
    /// The connection has failed. The error comes back on every further call.
    pub fn poll_event(&mut self) -> Result<Next<Event>, ConnectionError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if std::mem::take(&mut self.finish_due) {
            return Ok(Next::Event(Event::Finished));
        }
        loop {
            if self.state == State::Idle {
                self.expect_nothing()?;
                return Ok(if self.peer_closed { Next::Closed } else { Next::NeedCommand });
            }
            match self.reader.next_item() {
                Ok(Some(item)) => {
                    if let Some(event) = self.take_item(item)? {
                        return Ok(Next::Event(event));
                    }
                }
                Ok(None) if self.peer_closed => {
                    if let Some(event) = self.end_of_input()? {
                        return Ok(Next::Event(event));
                    }
                }
                Ok(None) if self.waits_for_caller() => return Ok(Next::NeedCommand),
                Ok(None) => return Ok(Next::NeedInput),
                Err(ReadError::Message(error)) => {
                    let error = match error {
                        MessageError::OverBudget(error) => error.into(),
                        error => RpcError::new("ProtocolError", error.to_string()),
                    };
                    if let Some(event) = self.reject(error) {
                        return Ok(Next::Event(event));
                    }
                }
                Err(ReadError::Framing(error)) => return Err(self.error.insert(error.into()).clone()),
            }
        }
    }

    /// The output that waits, if any: send it with `write_vectored` and `advance`, or take segments out.
    pub fn poll_transmit(&mut self) -> Option<&mut Outbox> {
        (!self.outbox.is_empty()).then_some(&mut self.outbox)
    }

    /// True when so much output waits that the driver should send some before the caller adds to it.
    pub fn needs_drain(&self) -> bool {
        self.outbox.len() > self.limits.max_buffered_output
    }
}

impl Connection {
    fn expect_idle(&mut self, command: &'static str) -> Result<(), CommandError> {
        if !self.is_idle() {
            return Err(CommandError::Misuse { command, when: "while no call is under way" });
        }
        let when = "on a connection that has not failed";
        self.expect_nothing().map_err(|_| CommandError::Misuse { command, when })
    }

    /// Fails for good if bytes have arrived that no call asked for: the next call would take them for its answer.
    fn expect_nothing(&mut self) -> Result<(), ConnectionError> {
        if self.reader.is_at_boundary() {
            return Ok(());
        }
        let (expected, got) = ("nothing while no call is under way", "bytes");
        Err(self.error.insert(ConnectionError::Protocol { expected, got }).clone())
    }

    fn take_item(&mut self, item: Item) -> Result<Option<Event>, ConnectionError> {
        let State::Reading { phase, settled, unanswered, discarding, .. } = &mut self.state else {
            return Ok(None);
        };
        let (batch, metadata) = match item {
            Item::Schema(schema) => {
                // Errors come on the empty schema where a header was due. No output stream follows them.
                let empty = schema.schema().fields().is_empty();
                *phase = if *phase == Phase::Header && empty { Phase::Output } else { *phase };
                return Ok(None);
            }
            Item::EndOfStream => return Ok(self.stream_ended()),
            Item::Batch(batch, metadata) => (batch, metadata),
        };
        let kind = classify(batch.num_rows(), Some(&metadata));
        match kind {
            // A log that cannot be read is no reason to lose the call.
            BatchKind::Log => Ok(LogMessage::from_metadata(&metadata).ok().map(Event::Log)),
            BatchKind::Error => {
                self.reader.skip_stream();
                Ok(self.failed(RpcError::from_metadata(&metadata)))
            }
            _ => {
                let event = match phase {
                    Phase::Output => {
                        *unanswered = unanswered.saturating_sub(1);
                        Some(Event::Output(batch, metadata))
                    }
                    // Such as from a process that is no server, and sends back what it reads.
                    Phase::Result | Phase::Header if metadata.contains_key(keys::METHOD) => {
                        let (expected, got) = ("an answer", "a request");
                        return Err(self.error.insert(ConnectionError::Protocol { expected, got }).clone());
                    }
                    Phase::Result if *settled => None,
                    // A void result has no columns, and its rows mean nothing.
                    Phase::Result
                        if kind == BatchKind::Data && batch.num_columns() > 0 && batch.num_rows() != 1 =>
                    {
                        let text = format!("expected a result of one row, got {}", batch.num_rows());
                        return Ok(self.reject(RpcError::new("ProtocolError", text)));
                    }
                    Phase::Result => {
                        *settled = true;
                        Some(Event::Output(batch, metadata))
                    }
                    Phase::Header if !std::mem::replace(settled, true) => {
                        Some(Event::Header(batch, metadata))
                    }
                    Phase::Header => None,
                };
                Ok(event.filter(|_| !*discarding))
            }
        }
    }

    /// What the server sent is not acceptable here, and the server does not know: its stream is passed over, and
    /// ends because the input does.
    fn reject(&mut self, error: RpcError) -> Option<Event> {
        let State::Reading { settled, discarding, .. } = &mut self.state else { return None };
        let told = std::mem::replace(discarding, true);
        *settled = true;
        self.end_input();
        (!told).then_some(Event::Failed(error))
    }

    /// The server says that the call has failed; the rest of the stream that says so is passed over.
    fn failed(&mut self, error: RpcError) -> Option<Event> {
        let State::Reading { phase, settled, discarding, .. } = &mut self.state else { return None };
        // An error stream may stand in place of the header: no output stream follows.
        *phase = if *phase == Phase::Header { Phase::Output } else { *phase };
        *settled = true;
        (!*discarding).then_some(Event::Failed(error))
    }

    fn stream_ended(&mut self) -> Option<Event> {
        let State::Reading { phase, settled, .. } = &mut self.state else { return None };
        match (*phase, *settled) {
            (Phase::Header, true) => {
                (*phase, *settled) = (Phase::Output, false);
                None
            }
            (Phase::Header | Phase::Result, false) => {
                let what = if *phase == Phase::Header { "a header" } else { "a result" };
                let error = format!("expected the response stream to carry {what}, got its end");
                self.end_call();
                self.finish_due = true;
                Some(Event::Failed(RpcError::new("ProtocolError", error)))
            }
            (Phase::Result, true) | (Phase::Output, _) => {
                self.end_call();
                Some(Event::Finished)
            }
        }
    }

    /// The peer sends no more. Between two messages, that ends a stream whose result, header or error has come whole.
    /// It never ends the outputs of a stream: a server that was killed must not look like one that has finished.
    fn end_of_input(&mut self) -> Result<Option<Event>, ConnectionError> {
        let (expected, got) = ("the rest of the answer", "the end of the connection");
        let ended = match (&self.state, self.reader.truncation()) {
            (State::Reading { settled: true, .. }, _) => self.reader.end_of_input(),
            (_, Some(error)) => Err(error),
            (_, None) => Ok(false),
        };
        match ended {
            Ok(true) => Ok(self.stream_ended()),
            Ok(false) => Err(self.error.insert(ConnectionError::Protocol { expected, got }).clone()),
            Err(error) => Err(self.error.insert(error.into()).clone()),
        }
    }

    /// Ends the input if the call has one, and the call.
    fn end_call(&mut self) {
        self.end_input();
        self.state = State::Idle;
    }

    /// Ends the input if the call has one. A stream that was never begun is sent without a batch.
    fn end_input(&mut self) {
        let State::Reading { input, .. } = &mut self.state else { return };
        if *input == Input::Unopened {
            self.encoder.open(&EncodedSchema::empty(), &mut self.outbox);
        }
        self.encoder.close(&mut self.outbox);
        if *input != Input::None {
            *input = Input::Closed;
        }
    }

    fn waits_for_caller(&self) -> bool {
        matches!(
            self.state,
            State::Reading {
                phase: Phase::Output,
                input: Input::Unopened | Input::Open,
                unanswered: 0,
                settled: false,
                ..
            }
        )
    }

    fn give_up(&mut self, command: &'static str, last: Option<Metadata>) -> Result<(), CommandError> {
        open_input(&mut self.state, command)?;
        let Self { encoder, outbox, state, .. } = self;
        let State::Reading { input, discarding, .. } = state else { return Ok(()) };
        if let Some(metadata) = last {
            if *input == Input::Unopened {
                encoder.open(&EncodedSchema::empty(), outbox);
                *input = Input::Open;
            }
            encoder.write_empty(&metadata, outbox)?;
        }
        *discarding = true;
        self.end_input();
        Ok(())
    }
}

/// The input of a stream that still takes some.
fn open_input<'a>(
    state: &'a mut State,
    command: &'static str,
) -> Result<(&'a mut Input, &'a mut usize), CommandError> {
    if let State::Reading { input, unanswered, settled, phase, .. } = state
        && matches!(input, Input::Unopened | Input::Open)
        && (!*settled || *phase == Phase::Header)
    {
        return Ok((input, unanswered));
    }
    Err(CommandError::Misuse { command, when: "on a stream that is open for input" })
}

/// Refuses a batch that has other columns than the stream that it is for.
fn expect_columns(opened: &EncodedSchema, schema: &EncodedSchema) -> Result<(), CommandError> {
    let (expected, got) = (opened.schema(), schema.schema());
    let same = Arc::ptr_eq(expected, got)
        || (expected.fields().len() == got.fields().len()
            && expected.fields().iter().zip(got.fields()).all(|(expected, got)| {
                expected.name() == got.name() && expected.data_type() == got.data_type()
            }));
    if same {
        return Ok(());
    }
    let names = |schema: &SchemaRef| {
        let columns =
            schema.fields().iter().map(|field| format!("{:?}: {}", field.name(), field.data_type()));
        columns.collect::<Vec<_>>().join(", ")
    };
    Err(CommandError::Encode(ArrowError::SchemaError(format!(
        "expected the columns of the stream's first batch ({}), got ({})",
        names(expected),
        names(got)
    ))))
}
