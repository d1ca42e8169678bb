//! The client's state machine.

use super::columns::expect_columns;
use super::event::{Call, CallKind, Event};
use super::state::{Input, Received, Report, State};
use crate::effect::{Completion, EffectEvent, EffectId, Effects, Request};
use crate::external::{Fetch, FetchOptions, Resolved};
use crate::ipc::{BatchEncoder, EncodedSchema, Item, MessageError, Metadata, Outbox, ReadError, Reader};
use crate::memory::Account;
use crate::shm::{Pointer, Segment, SegmentError, Stored};
use crate::wire::classify::{BatchKind, classify};
use crate::wire::code::Code;
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::log::LogMessage;
use crate::{CommandError, ConnectionError, Limits, Next};
use arrow_array::RecordBatch;
use bytes::Bytes;
use std::collections::VecDeque;

/// One connection, from its first byte to its last. See the [module](super) for its use.
///
/// A response does not state its kind, so the machine reads it as the [`CallKind`] of the call, which must be the kind that the
/// server declares. A call of the wrong kind is not always reported as an error: a unary call of a stream method waits for a
/// result while the server waits for input, and an unexpected header is read as the stream itself. Ask the server's
/// [reflection](crate::reflection) for the kind before the first call of a method, or drop the connection after a timeout: a late
/// response would be read as that of the next call. Bytes that arrive while no call is in progress are a fatal error.
#[derive(Debug)]
pub struct Connection {
    limits: Limits,
    reader: Reader,
    encoder: BatchEncoder,
    outbox: Outbox,
    state: State,
    peer_closed: bool,
    error: Option<ConnectionError>,
    account: Account,
    /// How external batches are fetched. If `None`, their pointers are returned as outputs.
    fetch: Option<FetchOptions>,
    effects: Effects,
    /// The memory segment that is shared with the server.
    segment: Option<Segment>,
    /// How this call may use the segment.
    sharing: Sharing,
    /// The batch that is being fetched. Later batches wait for it.
    fetching: Option<EffectId>,
    /// Events of a fetched object, or events that were received before an input was sent.
    fetched: VecDeque<Event>,
}

/// How a call may use the segment.
#[derive(Clone, Copy, Debug, Default)]
struct Sharing {
    /// Whether batches are sent inline, since those of an earlier call were lost, and the server may be unable to read the
    /// segment.
    rests: bool,
    /// Whether a stream's parameters are in the segment and nothing has been received since. The server may then still be in its
    /// turn, in which it frees them.
    opening: bool,
}

/// Getters.
impl Connection {
    /// Creates a connection without a memory budget.
    pub fn new(limits: Limits) -> Self {
        Self::with_account(limits, &Account::default())
    }

    /// Creates a connection whose memory is reserved in the account.
    pub fn with_account(limits: Limits, account: &Account) -> Self {
        Self {
            reader: Reader::with_account(limits.clone(), account.clone()),
            limits,
            encoder: BatchEncoder::default(),
            outbox: Outbox::with_account(account),
            state: State::Idle,
            peer_closed: false,
            error: None,
            account: account.clone(),
            fetch: None,
            effects: Effects::default(),
            segment: None,
            sharing: Sharing::default(),
            fetching: None,
            fetched: VecDeque::new(),
        }
    }

    /// Enables fetching external batches by an [effect](Self::poll_effect). By default their pointers are returned as outputs.
    /// WIRE_PROTOCOL 12.
    pub fn fetch_external(&mut self, options: FetchOptions) {
        self.fetch = Some(options);
    }

    /// Shares a segment with the server from the next call on: large batches of both sides are written to it. The server must
    /// have reported that it [can share memory](keys::TRANSPORT_SHM), and preferably that it [has
    /// attached](keys::TRANSPORT_SHM_ATTACHED) this segment. WIRE_PROTOCOL 11.
    ///
    /// Each side writes to the segment only in its own turns, so no input may be sent while an output is due. A call starts the
    /// server's turn, which ends when its first output is received. If the call's parameters are in the segment, an input that is
    /// sent earlier is sent inline.
    ///
    /// After a failed call, calls do not use the segment until the server has freed the last batch of the failed one. A server
    /// that cannot attach the segment never frees it.
    pub fn share_memory(&mut self, segment: Segment) {
        segment.count_attached();
        self.segment = Some(segment.bounded(&self.limits, &self.account));
    }

    /// Returns whether memory is shared with the server.
    pub fn shares_memory(&self) -> bool {
        self.segment.is_some()
    }

    /// Returns whether a call may be made.
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle && self.error.is_none()
    }
}

/// Bytes in.
impl Connection {
    /// Receives bytes without copying: columns of a batch may refer to them.
    pub fn receive(&mut self, bytes: Bytes) {
        self.reader.receive(bytes);
    }

    /// Returns memory to read into, never empty: that of a large body, or a scratch buffer. Call [`advance`](Self::advance) with
    /// the number of bytes read.
    pub fn read_buf(&mut self) -> &mut [u8] {
        self.reader.read_buf()
    }

    /// Receives the first `count` bytes of the memory that [`read_buf`](Self::read_buf) returned.
    pub fn advance(&mut self, count: usize) {
        self.reader.advance(count);
    }

    /// Releases memory that is cached for later input. A driver calls this when a connection stays idle.
    pub fn release_memory(&mut self) {
        self.reader.release_memory();
        if let Some(segment) = &self.segment {
            segment.release_memory();
        }
    }

    /// Swaps the table of effects with that of the machine that this one reads for.
    #[cfg(feature = "http")]
    pub(crate) fn swap_effects(&mut self, effects: &mut Effects) {
        std::mem::swap(&mut self.effects, effects);
    }

    /// Returns whether a stream is being read and is between two messages.
    #[cfg(feature = "http")]
    pub(crate) fn is_between_messages(&self) -> bool {
        !self.reader.is_mid_message() && !self.reader.is_at_boundary()
    }

    /// Handles that the peer has closed its sending side. Between two messages this ends a response whose result, header or error
    /// is complete. The outputs of a stream only end with their end marker.
    pub fn receive_eof(&mut self) {
        self.peer_closed = true;
    }
}

/// Commands.
impl Connection {
    /// Makes a call with one row of parameters. WIRE_PROTOCOL 5.
    ///
    /// # Errors
    /// If a call is in progress, or the batch does not match the schema's types.
    pub fn call(
        &mut self,
        call: &Call<'_>,
        schema: &EncodedSchema,
        params: &RecordBatch,
    ) -> Result<(), CommandError> {
        self.expect_idle("call")?;
        schema.check(params)?;
        let mut metadata = call.to_metadata();
        if let Some(segment) = &self.segment {
            // If it fails, the segment is merely fuller.
            self.sharing = Sharing { rests: !segment.begin_call().unwrap_or(true), opening: false };
            if !self.sharing.rests {
                segment.advertisement().advertise(&mut metadata);
            }
        }
        match self.store(schema, params) {
            None => self.send_request(call.kind, schema, params, &metadata),
            Some(stored) => {
                let metadata = stored.pointer().add_to(metadata);
                let pointer = RecordBatch::new_empty(schema.schema().clone());
                self.send_request(call.kind, schema, &pointer, &metadata)?;
                stored.sent();
                self.sharing.opening = matches!(call.kind, CallKind::Stream { .. });
                Ok(())
            }
        }
    }

    /// Writes a batch to the segment if there is one, it is the client's turn, the batch is large enough and there is room.
    /// Otherwise, or if the segment's header is damaged, the batch is sent inline.
    fn store(&self, schema: &EncodedSchema, batch: &RecordBatch) -> Option<Stored> {
        let segment = self.segment.as_ref().filter(|_| !self.sharing.rests && !self.sharing.opening);
        segment?.store(batch, schema, &self.account).ok().flatten()
    }

    /// Makes a call whose metadata is already complete, as an intermediary does.
    ///
    /// # Errors
    /// As [`call`](Self::call).
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
        self.state = match kind {
            CallKind::Unary => State::Result,
            CallKind::Stream { header: true } => State::Header(Input::Unopened),
            CallKind::Stream { header: false } => State::Outputs(Input::Unopened),
        };
        Ok(())
    }

    /// Sends one batch on the stream's input. The first one opens it with `schema`; later ones must have its columns, by
    /// name, type and order.
    ///
    /// # Errors
    /// If no stream is open for input, or the batch does not match the schema's types or the stream's columns. On a connection
    /// that [shares memory](Self::share_memory) also if an output is due.
    pub fn send(
        &mut self,
        schema: &EncodedSchema,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), CommandError> {
        open_input(&mut self.state, "send")?;
        self.expect_turn("send")?;
        self.expect_no_output();
        self.settle();
        let stored = self.store(schema, batch);
        let stand_in = stored.as_ref().map(|stored| {
            (RecordBatch::new_empty(schema.schema().clone()), stored.pointer().add_to(metadata.clone()))
        });
        let (batch, metadata) = match &stand_in {
            Some((batch, metadata)) => (batch, metadata),
            None => (batch, metadata),
        };
        let Self { encoder, outbox, state, .. } = self;
        let input = open_input(state, "send")?;
        match (*input, encoder.schema()) {
            (Input::Open(_), Some(opened)) => {
                // The server only sees the names of the first batch, and would use them for these columns.
                expect_columns(opened, schema)?;
            }
            _ => {
                schema.check(batch)?;
                encoder.open(schema, outbox);
                *input = Input::Open(0);
            }
        }
        encoder.write(batch, metadata, outbox)?;
        input.sent();
        if let Some(stored) = stored {
            stored.sent();
        }
        Ok(())
    }

    /// Requests a producer's next batch. WIRE_PROTOCOL 9, "Producer streams".
    ///
    /// # Errors
    /// If no stream is open for input. On a connection that [shares memory](Self::share_memory) also if an output is due.
    pub fn tick(&mut self, metadata: &Metadata) -> Result<(), CommandError> {
        self.expect_turn("tick")?;
        self.open_empty("tick")?;
        self.settle();
        self.encoder.write_empty(metadata, &mut self.outbox)?;
        if let Some(input) = self.state.input_mut() {
            input.sent();
        }
        Ok(())
    }

    /// Ends the stream's input. Everything that the server still sends is dropped except its logs.
    ///
    /// # Errors
    /// If no stream is open for input.
    pub fn close(&mut self) -> Result<(), CommandError> {
        open_input(&mut self.state, "close")?;
        self.enter(self.state.given_up());
        Ok(())
    }

    /// Frees the regions of the segment that were read and are no longer in use, if it is this side's turn.
    fn settle(&self) {
        if let Some(segment) = self.segment.as_ref().filter(|_| !self.sharing.opening) {
            // The next call frees the rest.
            let _ = segment.settle();
        }
    }

    /// Completes an effect. Does nothing if it is no longer pending.
    pub fn complete_effect(&mut self, id: EffectId, completion: Completion) {
        self.effects.complete(id, completion);
    }

    /// Cancels the stream. The server ends it without another turn. WIRE_PROTOCOL 9, "Client-initiated cancellation".
    ///
    /// # Errors
    /// If no stream is open for input.
    pub fn cancel(&mut self) -> Result<(), CommandError> {
        let cancel: Metadata = [(keys::CANCEL, "1")].into_iter().collect();
        self.open_empty("cancel")?;
        self.encoder.write_empty(&cancel, &mut self.outbox)?;
        self.enter(self.state.given_up());
        Ok(())
    }
}

/// Events and output.
impl Connection {
    /// Returns what comes next. Call it until it returns something other than [`Next::Event`].
    ///
    /// # Errors
    /// If the connection has failed. Every later call returns the error again.
    pub fn poll_event(&mut self) -> Result<Next<Event>, ConnectionError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        loop {
            if let Some(event) = self.fetched.pop_front() {
                return Ok(Next::Event(event));
            }
            if let Some(id) = self.fetching {
                let Some(completed) = self.effects.take(id) else { return Ok(Next::Waiting) };
                self.fetching = None;
                self.take_fetched(completed.completion)?;
                continue;
            }
            if self.state == State::Failed {
                self.state = State::Idle;
                return Ok(Next::Event(Event::Finished));
            }
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
                Ok(None) if self.state.waits_for_caller() => return Ok(Next::NeedCommand),
                Ok(None) => return Ok(Next::NeedInput),
                Err(error) => {
                    if let Some(event) = self.take_unreadable(error)? {
                        return Ok(Next::Event(event));
                    }
                }
            }
        }
    }

    /// Returns the next event of an effect. Call it after [`poll_event`](Self::poll_event) until it returns `None`.
    pub fn poll_effect(&mut self) -> Option<EffectEvent> {
        self.effects.poll()
    }

    /// Returns the waiting output, if any: send it with `write_vectored` and `advance`, or take segments out.
    pub fn poll_transmit(&mut self) -> Option<&mut Outbox> {
        (!self.outbox.is_empty()).then_some(&mut self.outbox)
    }

    /// Returns whether so much output is waiting that the driver should send some before the caller adds more.
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

    /// Fails permanently if bytes arrived without a call: the next call would read them as its response.
    fn expect_nothing(&mut self) -> Result<(), ConnectionError> {
        if self.reader.is_at_boundary() {
            return Ok(());
        }
        let (expected, got) = ("nothing while no call is under way", "bytes");
        Err(self.error.insert(ConnectionError::Protocol { expected, got }).clone())
    }

    /// Fails permanently if an output arrived although every input is answered: it would be read as the answer to the next one.
    /// Everything else that arrived becomes events.
    fn expect_no_output(&mut self) {
        while self.error.is_none() && self.fetching.is_none() && self.state.waits_for_caller() {
            let taken = match self.reader.next_item() {
                Ok(None) => return,
                Ok(Some(Item::Batch(batch, metadata))) if is_output(&batch, &metadata) => {
                    let (expected, got) = ("one batch for each input", "another");
                    self.error = Some(ConnectionError::Protocol { expected, got });
                    return;
                }
                Ok(Some(item)) => self.take_item(item),
                Err(error) => self.take_unreadable(error),
            };
            // The next poll returns an error.
            self.fetched.extend(taken.ok().flatten());
        }
    }

    fn take_unreadable(&mut self, error: ReadError) -> Result<Option<Event>, ConnectionError> {
        let error = match error {
            ReadError::Message(MessageError::OverBudget(error)) => error.into(),
            ReadError::Message(error) => RpcError::new("ProtocolError", error.to_string()),
            ReadError::Framing(error) => return Err(self.error.insert(error.into()).clone()),
        };
        Ok(self.fail(Received::Unacceptable, error))
    }

    fn take_item(&mut self, item: Item) -> Result<Option<Event>, ConnectionError> {
        self.sharing.opening = false;
        let (batch, metadata) = match item {
            Item::Schema(schema) => {
                if schema.schema().fields().is_empty() {
                    self.arrive(Received::EmptySchema);
                }
                return Ok(None);
            }
            Item::EndOfStream => return Ok(self.stream_ended()),
            Item::Batch(batch, metadata) => (batch, metadata),
        };
        let kind = classify(batch.num_rows(), Some(&metadata));
        match kind {
            // A log that cannot be read must not fail the call.
            BatchKind::Log => return Ok(LogMessage::from_metadata(&metadata).ok().map(Event::Log)),
            BatchKind::Error => {
                // The rest of the stream is skipped.
                self.reader.skip_stream();
                return Ok(self.fail(Received::Error, RpcError::from_metadata(&metadata)));
            }
            BatchKind::ExternalPointer if self.state.waits_for_batch() => {
                let found = self.fetch.as_ref().map_or(Ok(None), |options| {
                    Fetch::of_batch(&batch, &metadata, &self.limits, &self.account, options)
                });
                match found {
                    Ok(Some(fetch)) => {
                        let time_limit = fetch.options().time_limit;
                        self.fetching = Some(self.effects.request(Request::Fetch(fetch), time_limit, None));
                        return Ok(None);
                    }
                    Ok(None) => {}
                    Err(error) => return Ok(self.fail(Received::Unacceptable, error)),
                }
            }
            BatchKind::ShmPointer if self.state.waits_for_batch() => {
                return match self.read_shared(&batch, &metadata) {
                    Ok(Some((batch, metadata))) => self.take_batch(batch, metadata),
                    Ok(None) => self.take_batch(batch, metadata),
                    Err(error) => Ok(self.fail(Received::Unacceptable, error.into())),
                };
            }
            BatchKind::ShmPointer => self.discard_shared(&batch, &metadata),
            _ => {}
        }
        self.take_batch(batch, metadata)
    }

    /// Reads a batch from the segment, with its metadata. Returns `None` if there is no segment.
    fn read_shared(
        &self,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<Option<(RecordBatch, Metadata)>, SegmentError> {
        let Some(segment) = &self.segment else { return Ok(None) };
        let Some(pointer) = Pointer::recognise(batch.num_rows(), metadata)? else { return Ok(None) };
        let batch = segment.read(pointer, batch.schema_ref())?;
        Ok(Some((batch, Pointer::resolve(metadata.clone(), segment.name()))))
    }

    /// Frees the region of a pointer that is skipped.
    fn discard_shared(&self, batch: &RecordBatch, metadata: &Metadata) {
        if let Some(segment) = &self.segment
            && let Ok(Some(pointer)) = Pointer::recognise(batch.num_rows(), metadata)
        {
            segment.discard(pointer);
        }
    }

    /// Handles the completion of a fetch.
    fn take_fetched(&mut self, completion: Completion) -> Result<(), ConnectionError> {
        let resolved = match completion {
            Completion::Resolved(resolved) => resolved.map_err(RpcError::from),
            // The server can do what the store cannot do now: its class is not that of an error of the call.
            other => Err(other.into_error("what an object holds").with_code(Code::Unknown)),
        };
        let event = match resolved {
            Ok(Resolved { logs, batch, metadata, .. }) => {
                let logs = logs.iter().filter_map(|log| LogMessage::from_metadata(log).ok());
                self.fetched.extend(logs.map(Event::Log));
                self.take_batch(batch, metadata)?
            }
            Err(error) => self.fail(Received::Unacceptable, error),
        };
        self.fetched.extend(event);
        Ok(())
    }

    /// Handles a batch that is neither a log nor an error.
    fn take_batch(
        &mut self,
        batch: RecordBatch,
        metadata: Metadata,
    ) -> Result<Option<Event>, ConnectionError> {
        let kind = classify(batch.num_rows(), Some(&metadata));
        // For example from a process that is not a server and echoes its input.
        if matches!(self.state, State::Result | State::Header(_)) && metadata.contains_key(keys::METHOD) {
            let (expected, got) = ("an answer", "a request");
            return Err(self.error.insert(ConnectionError::Protocol { expected, got }).clone());
        }
        // A void result has no columns, and its rows have no meaning.
        let is_data = kind == BatchKind::Data && batch.num_columns() > 0;
        if self.state == State::Result && is_data && batch.num_rows() != 1 {
            let text = format!("expected a result of one row, got {}", batch.num_rows());
            return Ok(self.fail(Received::Unacceptable, RpcError::new("ProtocolError", text)));
        }
        Ok(match self.arrive(Received::Batch) {
            Report::Output => Some(Event::Output(batch, metadata)),
            Report::Header => Some(Event::Header(batch, metadata)),
            _ => None,
        })
    }

    /// Updates the state, and returns what to report to the caller.
    fn arrive(&mut self, arrival: Received) -> Report {
        let (state, told) = self.state.after(arrival);
        self.enter(state);
        told
    }

    /// Enters a state. If the input is no longer accepted, it is ended, so that the server ends its stream too.
    fn enter(&mut self, state: State) {
        let before = std::mem::replace(&mut self.state, state);
        if let (Some(input), None) = (before.input(), state.input()) {
            if input == Input::Unopened {
                self.encoder.open(&EncodedSchema::empty(), &mut self.outbox);
            }
            self.encoder.close(&mut self.outbox);
        }
        if before.input().is_some() && state.input().is_none() {
            // Of the objects fetched for a cancelled stream, only the logs are kept.
            self.fetched.retain(|event| matches!(event, Event::Log(_)));
        }
        if self.fetching.is_some() && !state.waits_for_batch() {
            // Its result would be skipped.
            self.effects.withdraw_all();
            self.fetching = None;
        }
    }

    fn fail(&mut self, arrival: Received, error: RpcError) -> Option<Event> {
        let failed = self.arrive(arrival) == Report::Failure;
        if let Some(segment) = self.segment.as_ref().filter(|_| failed) {
            segment.call_failed();
        }
        failed.then_some(Event::Failed(error))
    }

    fn stream_ended(&mut self) -> Option<Event> {
        match self.arrive(Received::End) {
            Report::Missing(what) => {
                let error = format!("expected the response stream to carry {what}, got its end");
                Some(Event::Failed(RpcError::new("ProtocolError", error)))
            }
            Report::Finished => Some(Event::Finished),
            _ => None,
        }
    }

    /// Handles the end of the input. Between two messages it ends a stream whose result, header or error is complete. It never
    /// ends the outputs of a stream: a server that was killed must not look like one that has finished.
    fn end_of_input(&mut self) -> Result<Option<Event>, ConnectionError> {
        let (expected, got) = ("the rest of the answer", "the end of the connection");
        let ended = match self.reader.truncation() {
            _ if self.state.may_end_by_closing() => self.reader.end_of_input(),
            Some(error) => Err(error),
            None => Ok(false),
        };
        match ended {
            Ok(true) => Ok(self.stream_ended()),
            Ok(false) => Err(self.error.insert(ConnectionError::Protocol { expected, got }).clone()),
            Err(error) => Err(self.error.insert(error.into()).clone()),
        }
    }

    /// Fails on a connection that shares memory if it is the server's turn.
    fn expect_turn(&self, command: &'static str) -> Result<(), CommandError> {
        let is_ahead = matches!(self.state.input(), Some(Input::Open(unanswered)) if unanswered > 0);
        if is_ahead && self.segment.is_some() {
            let when = "while no output is due, on a connection that shares memory";
            return Err(CommandError::Misuse { command, when });
        }
        Ok(())
    }

    /// Opens the stream's input for batches without columns, unless it is already open.
    fn open_empty(&mut self, command: &'static str) -> Result<(), CommandError> {
        let input = open_input(&mut self.state, command)?;
        if *input == Input::Unopened {
            self.encoder.open(&EncodedSchema::empty(), &mut self.outbox);
            *input = Input::Open(0);
        }
        Ok(())
    }
}

/// The input of a stream that still takes some.
fn is_output(batch: &RecordBatch, metadata: &Metadata) -> bool {
    !matches!(classify(batch.num_rows(), Some(metadata)), BatchKind::Log | BatchKind::Error)
}

fn open_input<'a>(state: &'a mut State, command: &'static str) -> Result<&'a mut Input, CommandError> {
    state.input_mut().ok_or(CommandError::Misuse { command, when: "on a stream that is open for input" })
}
