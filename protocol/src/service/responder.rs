//! A server's connection together with the service that answers its calls.

mod recording;

use super::context::{Bounds, CallContext, Peer};
use super::hooks;
use super::host::Service;
use super::info::{MethodInfo, MethodKind};
use super::record::CallRecord;
use super::resolve::{Target, gate_version, resolve};
use super::work::{Done, Emission, OpenStream, Outcome, Task, Work, refuse_pointer, split_logs};
use crate::ipc::{EncodedSchema, Metadata, Outbox};
use crate::memory::Account;
use crate::server::{Config, Connection, Event, InputStream};
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::log::LogMessage;
use crate::wire::request::Request;
use crate::{CommandError, ConnectionError, IdSource, Limits, Next};
use arrow_array::RecordBatch;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Answers the calls of one connection from a [`Service`].
///
/// It hands out each handler invocation as [`Work`] and takes its result back; where and when the work runs is the
/// driver's choice. One invocation is out at a time.
#[derive(Debug)]
pub struct Responder {
    connection: Connection,
    service: Arc<Service>,
    peer: Arc<Peer>,
    bounds: Arc<Bounds>,
    /// The open stream, while no turn of it is out.
    stream: Option<(Box<OpenStream>, CallContext)>,
    /// The call under way, when calls are recorded.
    record: Option<Box<CallRecord>>,
    /// Records of calls that have ended.
    records: VecDeque<CallRecord>,
    recording: bool,
    stream_ids: IdSource,
    now: Duration,
}

/// Getters.
impl Responder {
    /// A connection of which nothing has been read. `request_ids` names requests that come without an id.
    pub fn new(service: Arc<Service>, peer: Peer, limits: Limits, request_ids: IdSource) -> Self {
        let stream_ids = IdSource::seeded(request_ids.clone().next_u64());
        let limits = Arc::new(limits);
        let config = Config {
            server_id: service.server_id().to_string(),
            include_tracebacks: service.include_tracebacks(),
            limits: Limits::clone(&limits),
            account: Account::default(),
            request_ids,
        };
        Self {
            connection: Connection::new(config),
            service,
            peer: Arc::new(peer),
            bounds: Arc::new(Bounds { limits, account: Account::default() }),
            stream: None,
            record: None,
            records: VecDeque::new(),
            recording: false,
            stream_ids,
            now: Duration::ZERO,
        }
    }

    /// Reserves what the connection holds in this account. To be set before anything is received.
    pub fn with_account(mut self, account: Account) -> Self {
        self.bounds = Arc::new(Bounds { limits: self.bounds.limits.clone(), account: account.clone() });
        let config = Config { account, ..self.connection.config().clone() };
        self.connection = Connection::new(config);
        self
    }

    /// What is served.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// True when some of a message has arrived and the rest has not: the peer is in the middle of sending, and a
    /// driver may lose patience with it.
    pub fn is_mid_message(&self) -> bool {
        self.connection.is_mid_message()
    }

    /// True while a stream is open and no turn of it is out.
    pub fn is_stream_open(&self) -> bool {
        self.stream.is_some()
    }

    /// True between calls, with nothing of a further request there.
    pub fn is_idle(&self) -> bool {
        self.connection.is_idle()
    }
}

/// Bytes in.
impl Responder {
    /// Takes bytes in, sharing them: the columns of a batch that lies inside them are not copied.
    pub fn receive(&mut self, bytes: Bytes) {
        self.connection.receive(bytes);
    }

    /// Memory to read into, never empty: a large body's own, or a scratch buffer. Call
    /// [`advance`](Self::advance) with the number of bytes read.
    pub fn read_buf(&mut self) -> &mut [u8] {
        self.connection.read_buf()
    }

    /// Takes in the first `count` bytes of what [`read_buf`](Self::read_buf) lent.
    pub fn advance(&mut self, count: usize) {
        self.connection.advance(count);
    }

    /// Gives back memory that is kept for input to come, as a driver does with a connection that stays idle.
    pub fn release_memory(&mut self) {
        self.connection.release_memory();
    }

    /// The peer has closed its sending side. Between two messages this ends the request or the input that was open;
    /// what came whole is still answered.
    pub fn receive_eof(&mut self) {
        self.connection.receive_eof();
    }
}

/// Commands.
impl Responder {
    /// Has a [`CallRecord`] made of every call from now on. Take them by [`poll_record`](Self::poll_record).
    pub fn record_calls(&mut self) {
        self.recording = true;
    }

    /// Tells the time, since any moment that does not change. Records bear what was told last.
    pub fn tell_time(&mut self, now: Duration) {
        self.now = now;
    }

    /// Gives up on a peer that is to send something. See [`Connection::abandon`]. `RpcError::status` with
    /// `DeadlineExceeded` or `ResourceExhausted` says why.
    ///
    /// # Errors
    /// As there.
    pub fn abandon(&mut self, error: RpcError) -> Result<(), CommandError> {
        self.connection.abandon(&error)?;
        self.stream = None;
        self.end_record(Some(error));
        Ok(())
    }

    /// Takes back what an invocation gave, and answers with it.
    ///
    /// # Errors
    /// When no invocation is out.
    pub fn complete(&mut self, done: Done) -> Result<(), CommandError> {
        let Done { outcome, mut context } = done;
        let logs = std::mem::take(&mut context.logs);
        match &outcome {
            Outcome::Answered(_) | Outcome::Refused(_) | Outcome::Opened { .. } => {
                self.connection.expect_answering("complete")?;
            }
            _ => self.connection.expect_stream("complete")?,
        }
        let is_over = self.note(&outcome);
        let answered = self.answer(outcome, context, &logs);
        if is_over {
            self.end_record(None);
        }
        answered
    }

    fn answer(
        &mut self,
        outcome: Outcome,
        context: CallContext,
        logs: &[LogMessage],
    ) -> Result<(), CommandError> {
        match outcome {
            Outcome::Answered(batch) => {
                self.log_all(logs);
                let method = context.method.clone();
                match self.connection.respond(&method.result, &batch, &Metadata::new()) {
                    Ok(()) => Ok(()),
                    Err(error) => {
                        let error = unsendable("the result", error)?;
                        self.end_record(Some(error.clone()));
                        self.connection.refuse(&method.result, &error, InputStream::None)
                    }
                }
            }
            Outcome::Refused(error) => {
                self.log_all(logs);
                let (schema, input) = match context.method.info().kind {
                    MethodKind::Unary => (context.method.result.clone(), InputStream::None),
                    MethodKind::Stream(_) => (EncodedSchema::empty(), InputStream::Possible),
                };
                self.connection.refuse(&schema, &error, input)
            }
            Outcome::Opened { stream, header } => {
                self.log_all(logs);
                if let (Some(schema), Some(header)) = (&context.method.header, header)
                    && let Err(error) = self.connection.send_header(schema, &header)
                {
                    let error = unsendable("the header", error)?;
                    self.end_record(Some(error.clone()));
                    return self.connection.refuse(schema, &error, InputStream::Possible);
                }
                self.connection.open_stream(&stream.output)?;
                self.stream = Some((stream, context));
                Ok(())
            }
            Outcome::Emitted { stream, data } => {
                if self.emit(logs, data)? {
                    self.stream = Some((stream, context));
                }
                Ok(())
            }
            Outcome::Finished { data: Some(data) } => {
                if self.emit(logs, data)? {
                    self.connection.finish()?;
                }
                Ok(())
            }
            Outcome::Finished { data: None } | Outcome::Cancelled => {
                self.log_all(logs);
                self.connection.finish()
            }
            Outcome::OverBudget(error) => self.connection.fail(&error.into()),
            Outcome::Failed { error } => {
                self.log_all(logs);
                self.connection.fail(&error)
            }
        }
    }
}

/// Work and output.
impl Responder {
    /// What comes next. Ask until it is no work.
    ///
    /// # Errors
    /// The connection has failed. The error comes back on every further call; the output still holds the answer
    /// that tells the peer.
    pub fn poll_work(&mut self) -> Result<Next<Work>, ConnectionError> {
        loop {
            let event = match self.connection.poll_event()? {
                Next::Event(event) => event,
                Next::NeedInput => return Ok(Next::NeedInput),
                Next::NeedCommand => return Ok(Next::NeedCommand),
                Next::NeedDrain => return Ok(Next::NeedDrain),
                Next::Closed => return Ok(Next::Closed),
            };
            if let Some(work) = self.work(event) {
                return Ok(Next::Event(work));
            }
        }
    }

    /// The record of a call that has ended, once per call. Take it before what [`poll_transmit`](Self::poll_transmit)
    /// gives is sent, so that whoever has an answer finds the call in the log.
    pub fn poll_record(&mut self) -> Option<CallRecord> {
        self.records.pop_front()
    }

    /// The output that waits, if any: send it with `write_vectored` and `advance`, or take segments out.
    pub fn poll_transmit(&mut self) -> Option<&mut Outbox> {
        self.connection.poll_transmit()
    }
}

impl Responder {
    /// The work that an event asks for, unless it is answered here.
    fn work(&mut self, event: Event) -> Option<Work> {
        match event {
            Event::Request(request) => self.request(request),
            Event::Input(batch, metadata) => self.input(batch, metadata),
            Event::Cancelled => {
                let (stream, context) = self.stream.take()?;
                Some(Work { task: Task::Cancel(stream), context })
            }
            Event::InputEnded => {
                self.stream = None;
                self.end_record(None);
                let finished = self.connection.finish();
                debug_assert!(finished.is_ok(), "the end of the input leaves the stream open");
                None
            }
            Event::Refused(error) => {
                self.stream = None;
                self.end_record(Some(error));
                None
            }
        }
    }

    fn request(&mut self, request: Request) -> Option<Work> {
        let service = self.service.clone();
        let (hosted, method) = match resolve(&service, &request) {
            Ok(Target::Method(hosted, method)) => (hosted, method),
            Ok(Target::TransportOptions) => {
                if let Some(primary) = service.protocols().next() {
                    self.begin_record(primary, request.method(), MethodKind::Unary, &request);
                }
                self.answer_transport_options();
                self.end_record(None);
                return None;
            }
            Err(error) => {
                self.refuse(&EncodedSchema::empty(), &error, InputStream::Possible);
                return None;
            }
        };
        self.connection.set_origin(method.protocol(), &method.info().name);
        let MethodInfo { name, kind, .. } = method.info();
        self.begin_record(&hosted.info, name, *kind, &request);
        if let Err(error) = gate_version(hosted, &request) {
            match method.info().kind {
                MethodKind::Unary => self.refuse(&method.result, &error, InputStream::None),
                MethodKind::Stream(_) => self.refuse(&EncodedSchema::empty(), &error, InputStream::Possible),
            }
            self.end_record(Some(error));
            return None;
        }
        let made_id = self.connection.made_request_id().map(Into::into);
        let context =
            CallContext::new(method, self.peer.clone(), made_id, request.metadata, self.bounds.clone());
        hooks::start(&service.hooks, &context);
        Some(Work { task: Task::Call(request.batch), context })
    }

    fn input(&mut self, batch: RecordBatch, metadata: Metadata) -> Option<Work> {
        if let Err(error) = refuse_pointer(&batch, &metadata) {
            self.stream = None;
            let failed = self.connection.fail(&error);
            debug_assert!(failed.is_ok(), "an input leaves the stream open");
            self.end_record(Some(error));
            return None;
        }
        let (stream, context) = self.stream.take()?;
        if let Some(record) = &mut self.record
            && batch.num_columns() > 0
        {
            record.statistics.input.add(&batch);
        }
        Some(Work { task: Task::Turn(stream, batch, metadata), context })
    }

    /// Tells what this server's transport can do. WIRE_PROTOCOL 15.
    fn answer_transport_options(&mut self) {
        let metadata: Metadata = [
            (keys::TRANSPORT_SHM, "false"),
            (keys::REQUEST_VERSION, keys::REQUEST_VERSION_VALUE),
            (keys::SERVER_ID, self.service.server_id()),
        ]
        .into_iter()
        .collect();
        let answered = self.connection.respond(&EncodedSchema::empty(), &super::answer::VOID, &metadata);
        debug_assert!(answered.is_ok(), "a request waits for its answer");
    }

    fn refuse(&mut self, schema: &EncodedSchema, error: &RpcError, input: InputStream) {
        let refused = self.connection.refuse(schema, error, input);
        debug_assert!(refused.is_ok(), "a request waits for its answer");
    }

    /// Sends a turn's logs and data. False when the data could not be sent, which has ended the stream.
    fn emit(&mut self, logs: &[LogMessage], data: Emission) -> Result<bool, CommandError> {
        let (before, after) = split_logs(logs, data.logs_before);
        self.log_all(before);
        match self.connection.emit(&data.batch, &data.metadata) {
            Ok(()) => {
                self.log_all(after);
                Ok(true)
            }
            Err(error) => {
                let error = unsendable("the emitted batch", error)?;
                self.end_record(Some(error.clone()));
                self.connection.fail(&error)?;
                Ok(false)
            }
        }
    }

    fn log_all(&mut self, logs: &[LogMessage]) {
        logs.iter().for_each(|log| self.connection.log(log));
    }
}

/// The error of a call whose output cannot be sent. Misuse is the driver's doing and is passed on.
fn unsendable(what: &str, error: CommandError) -> Result<RpcError, CommandError> {
    match error {
        CommandError::Encode(error) => Ok(RpcError::unsendable(what, error.into())),
        CommandError::OverBudget(error) => Ok(error.into()),
        misuse @ CommandError::Misuse { .. } => Err(misuse),
    }
}
