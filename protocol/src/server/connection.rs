//! The server's state machine: its states and commands.

mod answering;
mod receiving;

use super::event::{Event, InputStream};
use super::response::ResponseWriter;
use crate::ipc::{EncodedSchema, Metadata, Outbox, ReadError, Reader};
use crate::memory::Account;
use crate::shm::Pointer;
use crate::wire::error::RpcError;
use crate::wire::log::LogMessage;
use crate::wire::request::Request;
use crate::{CommandError, ConnectionError, IdSource, Limits, Next};
use arrow_array::RecordBatch;
use bytes::Bytes;

/// The configuration of a connection.
#[derive(Clone, Debug)]
pub struct Config {
    /// Identifies the server instance in logs and errors: 12 hex digits by convention.
    pub server_id: String,
    /// Whether errors carry a traceback. WIRE_PROTOCOL 8, "Tracebacks".
    pub include_tracebacks: bool,
    /// Bounds of what the connection accepts and holds.
    pub limits: Limits,
    /// The account in which the connection's memory is reserved.
    pub account: Account,
    /// Makes ids for requests that have none.
    pub request_ids: IdSource,
    /// Whether requests with an external batch are returned, for the caller to fetch it. Otherwise they are refused.
    /// WIRE_PROTOCOL 12.
    pub takes_pointers: bool,
}

/// One connection, from its first byte to its last. See the [module](super) for its states.
#[derive(Debug)]
pub struct Connection {
    config: Config,
    reader: Reader,
    response: ResponseWriter,
    state: State,
    /// Whether the current call's id was made here, since the request had none.
    made_id: bool,
    peer_closed: bool,
    error: Option<ConnectionError>,
    /// The pointers of skipped inputs.
    passed_over: Vec<Pointer>,
}

const ABANDON_MISUSE: CommandError =
    CommandError::Misuse { command: "abandon", when: "while the connection reads from its peer" };

#[derive(Debug)]
enum State {
    Awaiting(Incoming),
    Answering,
    Streaming,
    /// An input was returned. After the `ended` and `cancelled` inputs only the end may be sent.
    Turn {
        ended: bool,
        cancelled: bool,
    },
    Draining,
}

/// A request that has been read in part.
#[derive(Debug, Default)]
struct Incoming {
    request: Option<Request>,
    /// The refusal to send once the stream has been skipped.
    refusal: Option<RpcError>,
    /// Whether the last call was refused and its input may follow.
    after_refusal: bool,
}

impl Incoming {
    fn after(input: InputStream) -> State {
        State::Awaiting(Self { after_refusal: input == InputStream::Possible, ..Self::default() })
    }
}

/// Getters.
impl Connection {
    /// Creates a new connection.
    pub fn new(config: Config) -> Self {
        Self {
            reader: Reader::with_account(config.limits.clone(), config.account.clone()),
            response: ResponseWriter::new(
                config.server_id.as_str().into(),
                config.include_tracebacks,
                &config.account,
            ),
            config,
            state: State::Awaiting(Incoming::default()),
            made_id: false,
            peer_closed: false,
            error: None,
            passed_over: Vec::new(),
        }
    }

    /// Takes a pointer of an input that was skipped, if pointers are accepted.
    pub(crate) fn take_passed_over(&mut self) -> Option<Pointer> {
        self.passed_over.pop()
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the id of the current call: the client's own, or one made for it.
    pub fn request_id(&self) -> &str {
        &self.response.request_id
    }

    /// Returns the id of the current call, if it was made here.
    pub(crate) fn made_request_id(&self) -> Option<&str> {
        self.made_id.then_some(self.request_id())
    }

    /// Returns whether a message has been received in part. A driver may time out such a peer.
    pub fn is_mid_message(&self) -> bool {
        self.reader.is_mid_message()
    }

    /// Returns whether the rest of a stream's input is being skipped after the stream has ended on this side.
    pub fn is_passing_over(&self) -> bool {
        matches!(self.state, State::Draining)
    }

    /// Returns whether no call is in progress and no byte of another request has been received.
    pub fn is_idle(&self) -> bool {
        matches!(&self.state, State::Awaiting(incoming) if incoming.request.is_none())
            && self.reader.is_at_boundary()
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
    }

    /// Handles that the peer has closed its sending side. Between two messages this ends the open request or input; complete
    /// messages are still answered.
    pub fn receive_eof(&mut self) {
        self.peer_closed = true;
    }
}

/// Commands. Logs may be sent at any time in a call; they precede what is sent after them.
impl Connection {
    /// Sends a log to the client, at once on an open stream and otherwise before the response. If half of the budget is in use,
    /// all but a few logs are left out, and the client is sent their number.
    pub fn log(&mut self, message: &LogMessage) {
        self.response.log(message);
    }

    /// Reports that `count` logs of the current call were left out before they were sent.
    pub(crate) fn leave_out_logs(&mut self, count: u64) {
        self.response.leave_out(count);
    }

    /// Returns the metadata of the batch of a log of the current call.
    pub(crate) fn log_metadata(&self, message: &LogMessage) -> Metadata {
        self.response.log_metadata(message)
    }

    /// Sends a log at once while a unary call is in progress. The response begins with it, so `schema` must be the one that is
    /// passed to [`respond`](Self::respond) later. Does nothing if no request is waiting for its response.
    pub fn log_now(&mut self, schema: &EncodedSchema, message: &LogMessage) {
        if self.expect_answering("log_now").is_ok() {
            if !self.response.is_open() {
                self.response.open(schema);
            }
            self.response.log(message);
        }
    }

    /// Sets the protocol and method of the current call, for the traceback of its errors.
    pub fn set_origin(&mut self, protocol: &str, method: &str) {
        self.response.set_origin(protocol, method);
    }

    /// Responds to a unary call. WIRE_PROTOCOL 6.
    ///
    /// # Errors
    /// If no request is waiting for its response, or the batch does not match the schema's types.
    pub fn respond(
        &mut self,
        schema: &EncodedSchema,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), CommandError> {
        self.expect_answering("respond")?;
        self.response.whole_stream(schema, batch, metadata)?;
        self.state = Incoming::after(InputStream::None);
        Ok(())
    }

    /// Responds to a call with an error instead of a result, a header or a stream. WIRE_PROTOCOL 13, "Error stream format".
    ///
    /// # Errors
    /// If no request is waiting for its response.
    pub fn refuse(
        &mut self,
        schema: &EncodedSchema,
        error: &RpcError,
        input: InputStream,
    ) -> Result<(), CommandError> {
        self.expect_answering("refuse")?;
        self.response.error_stream(schema, error);
        self.state = Incoming::after(input);
        Ok(())
    }

    /// Sends a stream's header, before [`open_stream`](Self::open_stream). WIRE_PROTOCOL 9, phase 1.5.
    ///
    /// # Errors
    /// If no request is waiting for its response, or the batch does not match the schema's types.
    pub fn send_header(
        &mut self,
        schema: &EncodedSchema,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), CommandError> {
        self.expect_answering("send_header")?;
        Ok(self.response.whole_stream(schema, batch, metadata)?)
    }

    /// Accepts a stream call: opens the output stream and begins to read input. WIRE_PROTOCOL 9, phase 2.
    ///
    /// # Errors
    /// If no request is waiting for its response.
    pub fn open_stream(&mut self, schema: &EncodedSchema) -> Result<(), CommandError> {
        self.expect_answering("open_stream")?;
        self.response.open(schema);
        self.state = State::Streaming;
        Ok(())
    }

    /// Answers one input with one batch.
    ///
    /// # Errors
    /// If no input is waiting for its answer, or the batch does not match the output schema's types.
    pub fn emit(&mut self, batch: &RecordBatch, metadata: &Metadata) -> Result<(), CommandError> {
        let (State::Turn { ended: false, cancelled: false }, None) = (&self.state, &self.error) else {
            return Err(CommandError::Misuse {
                command: "emit",
                when: "while an input waits for its answer",
            });
        };
        self.response.write(batch, metadata)?;
        self.state = State::Streaming;
        Ok(())
    }

    /// Ends the open stream with an error. The rest of its input is skipped.
    ///
    /// # Errors
    /// If no stream is open.
    pub fn fail(&mut self, error: &RpcError) -> Result<(), CommandError> {
        self.expect_stream("fail")?;
        self.response.write_error(error);
        self.close_output();
        Ok(())
    }

    /// Stops waiting for the rest of a peer's message: drops the part that was received, sends the error where the protocol
    /// allows one, and fails.
    ///
    /// # Errors
    /// If an event is waiting for its answer, or the connection has failed.
    pub fn abandon(&mut self, error: &RpcError) -> Result<(), CommandError> {
        match self.state {
            _ if self.error.is_some() => return Err(ABANDON_MISUSE),
            State::Answering | State::Turn { .. } => return Err(ABANDON_MISUSE),
            State::Awaiting(_) => {
                self.response.forget_call();
                self.response.error_stream(&EncodedSchema::empty(), error);
            }
            State::Streaming => self.response.error_stream(&EncodedSchema::empty(), error),
            State::Draining => {}
        }
        self.reader = Reader::with_account(self.config.limits.clone(), self.config.account.clone());
        self.error = Some(ConnectionError::Abandoned);
        Ok(())
    }

    /// Ends the open stream. The rest of its input is skipped.
    ///
    /// # Errors
    /// If no stream is open.
    pub fn finish(&mut self) -> Result<(), CommandError> {
        self.expect_stream("finish")?;
        self.close_output();
        Ok(())
    }
}

/// Events and output.
impl Connection {
    /// Returns what comes next. Call it until it returns something other than [`Next::Event`].
    ///
    /// # Errors
    /// If the connection has failed. Every later call returns the error again. The output still contains the response for the
    /// peer.
    pub fn poll_event(&mut self) -> Result<Next<Event>, ConnectionError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        loop {
            if let State::Answering | State::Turn { .. } = self.state {
                return Ok(Next::NeedCommand);
            }
            let waiting = self.response.outbox.len();
            let is_short = waiting > 0 && self.config.account.is_exhausted();
            if is_short || waiting > self.config.limits.max_buffered_output {
                return Ok(Next::NeedDrain);
            }
            match self.reader.next_item() {
                Ok(Some(item)) => {
                    if let Some(event) = self.take_item(item) {
                        return Ok(Next::Event(event));
                    }
                }
                Ok(None) if !self.peer_closed => return Ok(Next::NeedInput),
                Ok(None) => {
                    if let Some(next) = self.end_of_input()? {
                        return Ok(next);
                    }
                }
                Err(ReadError::Message(error)) => {
                    if let Some(event) = self.refuse_message(error) {
                        return Ok(Next::Event(event));
                    }
                }
                Err(ReadError::Framing(error)) => return Err(self.lose(error)),
            }
        }
    }

    /// Returns the waiting output, if any: send it with `write_vectored` and `advance`, or take segments out.
    pub fn poll_transmit(&mut self) -> Option<&mut Outbox> {
        (!self.response.outbox.is_empty()).then_some(&mut self.response.outbox)
    }
}
