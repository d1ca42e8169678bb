//! The [`Responder`]: a server's connection together with the service that handles its calls.

use super::attachment::Attachment;
use crate::description::{MethodInfo, MethodKind, ProtocolInfo};
use crate::effect::{Completion, EffectEvent, EffectId, Effects};
use crate::ipc::{EncodedSchema, Metadata, Outbox};
use crate::memory::Account;
use crate::server::{Config, Connection, Event, InputStream};
use crate::service::call::{Blame, Call, Carrier, Scope, Step, given_up};
use crate::service::context::{Bounds, CallContext, RequestId};
use crate::service::handler::VOID;
use crate::service::hosting::{Service, Target, resolve};
use crate::service::invocation::{Outcome, Work, WorkResult};
use crate::service::peer::{Identification, Identified, Peer};
use crate::service::record::CallRecord;
use crate::shm::{Counters, ShmOptions};
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::log::LogMessage;
use crate::wire::request::Request;
use crate::{CommandError, ConnectionError, IdSource, Limits, Next};
use arrow_array::RecordBatch;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a [`Responder`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitingFor {
    /// The next call. No byte of it has been received yet.
    Call,
    /// The rest of a request or message that the peer has begun to send.
    Message,
    /// The next input of an open stream, or the end of the input of a stream that has ended on this side. No byte of it has been
    /// received yet, and the client may send it at any time.
    Input,
    /// The [`WorkResult`] of a [`Work`] that is running: see [`Responder::complete`].
    Work,
    /// The completion of an effect: see [`Responder::complete_effect`].
    Effect,
}

/// Handles the calls of one connection with a [`Service`].
///
/// It returns each handler invocation as [`Work`] and accepts its result. The driver chooses where and when the work runs. At
/// most one invocation is running at a time. Anything that a call needs from outside is an [effect](crate::effect).
pub struct Responder {
    connection: Connection,
    service: Arc<Service>,
    peer: Arc<Peer>,
    bounds: Arc<Bounds>,
    identification: Identification,
    attachment: Attachment,
    /// The current call.
    call: Option<Call>,
    /// The context of an earlier call, whose memory the next one reuses.
    spare: Option<Box<CallContext>>,
    effects: Effects,
    /// Records of calls that have ended.
    records: VecDeque<CallRecord>,
    recording: bool,
    stream_ids: IdSource,
    now: Duration,
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder")
            .field("connection", &self.connection)
            .field("method", &self.call.as_ref().map(|call| call.method()))
            .finish_non_exhaustive()
    }
}

/// Getters.
impl Responder {
    /// Creates a responder for a new connection. `request_ids` makes ids for requests that have none.
    pub fn new(service: Arc<Service>, peer: Peer, limits: Limits, request_ids: IdSource) -> Self {
        let stream_ids = IdSource::seeded(request_ids.clone().next_u64());
        let limits = Arc::new(limits);
        let config = Config {
            server_id: service.server_id().to_string(),
            include_tracebacks: service.include_tracebacks(),
            limits: Limits::clone(&limits),
            account: Account::default(),
            request_ids,
            takes_pointers: service.fetch.is_some(),
        };
        Self {
            connection: Connection::new(config),
            identification: Identification::new(service.peers.as_ref()),
            attachment: Attachment::default(),
            service,
            peer: Arc::new(peer),
            bounds: Arc::new(Bounds::new(limits, Account::default())),
            call: None,
            spare: None,
            effects: Effects::default(),
            records: VecDeque::new(),
            recording: false,
            stream_ids,
            now: Duration::ZERO,
        }
    }

    /// Reserves the connection's memory in this account. Call it before any bytes are received.
    pub fn with_account(mut self, account: Account) -> Self {
        self.bounds = Arc::new(Bounds::new(self.bounds.limits.clone(), account.clone()));
        let config = Config { account, ..self.connection.config().clone() };
        self.connection = Connection::new(config);
        self
    }

    /// Enables shared memory. A client may then name a segment, which the driver
    /// [attaches](crate::effect::Request::AttachSegment); large batches of both sides are written to it. Call this before
    /// anything is received, and only if the client is on the same machine. By default a batch that points into shared memory is
    /// refused. WIRE_PROTOCOL 11.
    pub fn with_shared_memory(mut self, options: ShmOptions, counters: Counters) -> Self {
        self.attachment.enable(options, counters);
        let config = Config { takes_pointers: true, ..self.connection.config().clone() };
        self.connection = Connection::new(config);
        self
    }

    /// Declares that the driver receives descriptors over the socket, so that a client may pass its segment by descriptor.
    /// `EXTENSION.md` of [`crate::shm`].
    pub fn with_shared_descriptors(mut self) -> Self {
        self.attachment.take_descriptors();
        self
    }

    /// Returns the service.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Returns whether a message has been received in part. A driver may time out such a peer.
    pub fn is_mid_message(&self) -> bool {
        self.connection.is_mid_message()
    }

    /// Returns what the connection waits for. Drivers choose their timeouts by it.
    pub fn waiting_for(&self) -> WaitingFor {
        match &self.call {
            Some(call) if call.is_running() => WaitingFor::Work,
            Some(call) if call.is_waiting() => WaitingFor::Effect,
            None if self.identification.is_asking() || self.attachment.is_asking() => WaitingFor::Effect,
            _ if self.connection.is_mid_message() => WaitingFor::Message,
            Some(call) if call.is_between() => WaitingFor::Input,
            _ if self.connection.is_idle() => WaitingFor::Call,
            _ if self.connection.is_passing_over() => WaitingFor::Input,
            _ => WaitingFor::Message,
        }
    }

    /// Returns whether no call is in progress and no byte of another request has been received.
    pub fn is_idle(&self) -> bool {
        self.connection.is_idle()
    }
}

/// Bytes in.
impl Responder {
    /// Receives bytes without copying: columns of a batch may refer to them.
    pub fn receive(&mut self, bytes: Bytes) {
        self.connection.receive(bytes);
    }

    /// Returns memory to read into, never empty: that of a large body, or a scratch buffer. Call [`advance`](Self::advance) with
    /// the number of bytes read.
    pub fn read_buf(&mut self) -> &mut [u8] {
        self.connection.read_buf()
    }

    /// Receives the first `count` bytes of the memory that [`read_buf`](Self::read_buf) returned.
    pub fn advance(&mut self, count: usize) {
        self.connection.advance(count);
    }

    /// Releases memory that is cached for later input. A driver calls this when a connection stays idle.
    pub fn release_memory(&mut self) {
        self.connection.release_memory();
        self.attachment.release_memory();
        self.spare = None;
    }

    /// Handles that the peer has closed its sending side. Between two messages this ends the open request or input; complete
    /// messages are still answered.
    pub fn receive_eof(&mut self) {
        self.connection.receive_eof();
    }

    /// Receives a part of an effect's data, before the effect is [completed](Self::complete_effect).
    pub fn receive_effect_data(&mut self, id: EffectId, data: Bytes) {
        self.effects.receive(id, data, &self.bounds.account);
    }
}

/// Commands.
impl Responder {
    /// Enables a [`CallRecord`] for every call from now on. Take them with [`poll_record`](Self::poll_record).
    pub fn record_calls(&mut self) {
        self.recording = true;
    }

    /// Sets the current time, measured from any fixed moment. Records have the time that was set last.
    pub fn tell_time(&mut self, now: Duration) {
        self.now = now;
    }

    /// Stops waiting for a peer's message, or for the effect of a call. See [`Connection::abandon`]. Give the reason as an
    /// `RpcError::status` with `DeadlineExceeded` or `ResourceExhausted`.
    ///
    /// # Errors
    /// As [`Connection::abandon`].
    pub fn abandon(&mut self, error: RpcError) -> Result<(), CommandError> {
        if let Some(call) = self.call.as_mut().filter(|call| call.is_waiting()) {
            call.refuse_waiting(error, &mut self.connection);
            self.end_call();
            return Ok(());
        }
        if self.identification.give_up() || self.attachment.give_up() {
            self.effects.withdraw_all();
            self.refuse_request(&error);
            return Ok(());
        }
        self.connection.abandon(&error)?;
        self.break_off(&error);
        Ok(())
    }

    /// Handles that the peer is gone, so that nothing more can be sent: ends the current call, even while an invocation or an
    /// effect is running. Then take its record with [`poll_record`](Self::poll_record) and drop the responder.
    pub fn hang_up(&mut self) {
        self.bounds.client_gone();
        if self.identification.give_up() || self.attachment.give_up() {
            self.effects.withdraw_all();
        }
        self.break_off(&given_up());
    }

    /// Accepts the result of an invocation, and sends its response.
    ///
    /// # Errors
    /// If no invocation of this responder is running.
    pub fn complete(&mut self, done: WorkResult) -> Result<(), CommandError> {
        let misuse = CommandError::Misuse {
            command: "complete",
            when: "while an invocation of this responder is out",
        };
        if !done.context.is_within(&self.bounds) {
            return Err(misuse);
        }
        match &done.outcome {
            Outcome::Answered(_) | Outcome::Invalid(_) | Outcome::Refused(_) | Outcome::Opened { .. } => {
                self.connection.expect_answering("complete")?;
            }
            _ => self.connection.expect_stream("complete")?,
        }
        let Some(call) = self.call.as_mut().filter(|call| call.is_running()) else {
            return Err(misuse);
        };
        call.complete(done, &mut self.connection);
        if call.is_over() {
            self.end_call();
        }
        Ok(())
    }

    /// Handles that the running invocation was dropped without a result: its call fails with an error. Does nothing if none is
    /// running.
    pub fn lose_work(&mut self) {
        if let Some(call) = self.call.as_mut().filter(|call| call.is_running()) {
            call.lose_work(&mut self.connection);
            self.end_call();
        }
    }

    /// Sends a log of the running invocation before its response, as received from [`Work::run_with_logs`]. Does nothing if no
    /// unary call is running.
    pub fn log(&mut self, message: &LogMessage) {
        self.bounds.log_room.give_back(message.held_bytes());
        if let Some(call) = &self.call
            && call.is_running()
            && call.method().info.kind == MethodKind::Unary
        {
            self.connection.log_now(&call.method().result, message);
        }
    }

    /// Completes an effect. Does nothing if it is no longer pending.
    pub fn complete_effect(&mut self, id: EffectId, completion: Completion) {
        self.effects.complete(id, completion);
    }
}

/// Work, effects and output.
impl Responder {
    /// Returns what comes next. Call it until it returns something other than [`Next::Event`].
    ///
    /// # Errors
    /// If the connection has failed. Every later call returns the error again. The output still contains the response for the
    /// peer.
    pub fn poll_work(&mut self) -> Result<Next<Work>, ConnectionError> {
        loop {
            if let Some(call) = &mut self.call {
                match call.poll(&mut self.connection, &mut self.effects) {
                    Step::Work(work) => return Ok(Next::Event(work)),
                    Step::Waiting if call.is_running() => return Ok(Next::NeedCommand),
                    Step::Waiting => return Ok(Next::Waiting),
                    Step::NeedTurn => {}
                    Step::Over => self.end_call(),
                }
            }
            if self.identification.is_asking() {
                let peers = self.service.peers.as_ref();
                match self.identification.poll(peers, &mut self.peer, &mut self.effects) {
                    Identified::Waiting => return Ok(Next::Waiting),
                    identified => {
                        if let Some(work) = self.take_identified(identified) {
                            return Ok(Next::Event(work));
                        }
                        continue;
                    }
                }
            }
            if self.attachment.is_asking() {
                let Bounds { limits, account, .. } = &*self.bounds;
                let Some(request) = self.attachment.poll(limits, account, &mut self.effects) else {
                    return Ok(Next::Waiting);
                };
                if let Some(work) = self.take_request(request) {
                    return Ok(Next::Event(work));
                }
                continue;
            }
            let polled = self.connection.poll_event();
            while let Some(pointer) = self.connection.take_passed_over() {
                self.attachment.discard(pointer);
            }
            match polled {
                Ok(Next::Event(Event::Request(request))) => {
                    let identified = self.identification.begin(request);
                    if let Some(work) = identified.and_then(|identified| self.take_identified(identified)) {
                        return Ok(Next::Event(work));
                    }
                }
                Ok(Next::Event(event)) => self.take_event(event),
                Ok(next) => return Ok(next.without_event()),
                Err(error) => {
                    if self.call.is_some() {
                        self.break_off(&RpcError::runtime_error(error.to_string()));
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Returns the next event of an effect. Call it after [`poll_work`](Self::poll_work) until it returns `None`.
    pub fn poll_effect(&mut self) -> Option<EffectEvent> {
        self.effects.poll()
    }

    /// Returns the record of a call that has ended, once per call. Take it before the output of
    /// [`poll_transmit`](Self::poll_transmit) is sent, so that a client that has its response finds the call in the log.
    pub fn poll_record(&mut self) -> Option<CallRecord> {
        self.records.pop_front()
    }

    /// Returns the waiting output, if any: send it with `write_vectored` and `advance`, or take segments out.
    pub fn poll_transmit(&mut self) -> Option<&mut Outbox> {
        self.connection.poll_transmit()
    }
}

impl Responder {
    /// Handles any event except a request.
    fn take_event(&mut self, event: Event) {
        match (event, &mut self.call) {
            (Event::Input(batch, metadata), Some(call)) => call.input(batch, metadata, &mut self.connection),
            (Event::Cancelled, Some(call)) => call.cancel(),
            (Event::InputEnded, Some(call)) => call.input_ended(&mut self.connection),
            (Event::Refused(error), Some(_)) => self.break_off(&error),
            (Event::Refused(_), None) | (Event::Request(_), _) => {}
            (Event::Input(..) | Event::Cancelled | Event::InputEnded, None) => {
                debug_assert!(false, "a stream that is open has a call");
                self.connection.end();
            }
        }
    }

    /// Continues with a request whose peer is identified, or refuses it.
    fn take_identified(&mut self, identified: Identified) -> Option<Work> {
        match identified {
            Identified::Call(request) => {
                let user = self.peer.credentials.map(|credentials| credentials.uid);
                let request = self.attachment.begin(request, user, &mut self.effects)?;
                self.take_request(request)
            }
            Identified::Refused(error) => {
                self.refuse_request(&error);
                None
            }
            Identified::Waiting => None,
        }
    }

    /// Refuses the current request, which was not resolved to a method.
    fn refuse_request(&mut self, error: &RpcError) {
        let (schema, input) = (EncodedSchema::empty(), InputStream::Possible);
        Carrier::refuse(&mut self.connection, Blame::Request, &schema, input, error);
    }

    fn take_request(&mut self, request: Request) -> Option<Work> {
        let service = self.service.clone();
        let (hosted, method) = match resolve(&service, &request) {
            Ok(Target::Method(hosted, method)) => (hosted, method),
            Ok(Target::TransportOptions) => {
                self.answer_transport_options(&request);
                return None;
            }
            Err(error) => {
                drop(self.attachment.access(&request.batch, &request.metadata));
                self.refuse_request(&error);
                return None;
            }
        };
        self.connection.set_origin(method.protocol(), &method.info().name);
        let made_id = self.connection.made_request_id().map(RequestId::new);
        let Request { batch, metadata } = request;
        let shared = self.attachment.access(&batch, &metadata);
        let mut context = match self.spare.take() {
            Some(mut spare) => {
                spare.begin_anew(&method.declaration, made_id, metadata);
                spare
            }
            None => {
                let (peer, bounds) = (self.peer.clone(), self.bounds.clone());
                Box::new(CallContext::new(method.declaration.clone(), peer, made_id, metadata, bounds))
            }
        };
        context.shared = shared;
        let scope = Scope::begin(&service, self.recording, &context, || {
            let MethodInfo { name, kind, .. } = method.info();
            let (id, ids) = (self.connection.request_id(), &mut self.stream_ids);
            begin_record(&hosted.info, name, *kind, &self.peer, &batch, id, ids, self.now)
        });
        let (call, work) = Call::open(service.clone(), hosted, method, batch, context, scope);
        self.call = Some(call);
        work
    }

    /// Reports the capabilities of this server's transport. WIRE_PROTOCOL 15.
    fn answer_transport_options(&mut self, request: &Request) {
        let mut metadata: Metadata = [
            (keys::TRANSPORT_SHM, if self.attachment.is_enabled() { "true" } else { "false" }),
            (keys::REQUEST_VERSION, keys::REQUEST_VERSION_VALUE),
            (keys::SERVER_ID, self.service.server_id()),
        ]
        .into_iter()
        .collect();
        if self.attachment.takes_descriptors() {
            metadata.push(keys::TRANSPORT_SHM_DESCRIPTOR, "true");
        }
        self.attachment.answer_offer(&request.metadata, &mut metadata);
        let Some(primary) = self.service.protocols().next() else { return };
        let mut scope = Scope::unheard(&self.service, self.recording, || {
            let (name, id) = (request.method(), self.connection.request_id());
            let (kind, ids) = (MethodKind::Unary, &mut self.stream_ids);
            begin_record(primary, name, kind, &self.peer, &request.batch, id, ids, self.now)
        });
        let answered = self.connection.respond(&EncodedSchema::empty(), &VOID, &metadata);
        debug_assert!(answered.is_ok(), "a request waits for its answer");
        self.records.extend(scope.end(self.now));
    }

    /// Ends the current call without a response: its client has it already, or cannot be reached.
    fn break_off(&mut self, error: &RpcError) {
        if let Some(call) = &mut self.call {
            call.break_off(error);
            self.end_call();
        }
    }

    fn end_call(&mut self) {
        if let Some(call) = &mut self.call {
            self.effects.withdraw_all();
            // Work that was lost may have left some.
            self.bounds.log_room.clear();
            self.spare = call.take_spare();
            if let Some(record) = call.scope.end(self.now) {
                self.records.push_back(record);
            }
            self.call = None;
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "what a record begins with, from fields that are borrowed apart"
)]
fn begin_record(
    protocol: &ProtocolInfo,
    method: &str,
    kind: MethodKind,
    peer: &Arc<Peer>,
    batch: &RecordBatch,
    request_id: &str,
    stream_ids: &mut IdSource,
    now: Duration,
) -> CallRecord {
    let mut record = CallRecord::begin(protocol, method, kind, peer, batch, now);
    record.request_id = request_id.to_owned();
    if kind != MethodKind::Unary {
        let mut id = String::with_capacity(32);
        stream_ids.next_into(&mut id);
        stream_ids.next_into(&mut id);
        record.stream_id = Some(id);
    }
    record
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.bounds.client_gone();
    }
}
