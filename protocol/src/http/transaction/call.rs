//! A call, from the request's body to the response. This runs on a worker thread.

use super::body::read;
use super::carrier::ResponseBody;
use super::response::{RecordedResponse, Unsent};
use super::resume_stream::{Recovered, recover};
use super::running_call::RunningCall;
use crate::effect::Effects;
use crate::http::endpoint::Endpoint;
use crate::http::refusal::{Refusal, bad_request};
use crate::http::request_context::RequestContext;
use crate::http::response_draft::ResponseDraft;
use crate::http::routes::Part;
use crate::http::session::CallSession;
use crate::http::token::Binding;
use crate::ipc::{EncodedSchema, Metadata};
use crate::memory::{Account, Reservation};
use crate::service::call::{Call, Scope, Step};
use crate::service::context::Bounds;
use crate::service::declare::Hosted;
use crate::service::invocation::{Work, application_metadata};
use crate::service::{CallContext, CallRecord, HttpRecord, Method, MethodKind};
use crate::wire::error::{RpcError, kind};
use crate::wire::keys;
use crate::wire::request::Request;
use arrow_array::RecordBatch;
use bytes::Bytes;
use http::StatusCode;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Returns the time since the Unix epoch.
pub type Clock<'a> = &'a dyn Fn() -> Duration;

/// A call in progress.
pub(super) struct Calling {
    endpoint: Arc<Endpoint>,
    request: Box<RequestContext>,
    method: Arc<Method>,
    part: Part,
    session: Option<Box<CallSession>>,
    pub(super) effects: Effects,
    stage: Stage,
    /// The reservation for the received tokens, until the response is created.
    tokens: Reservation,
}

#[expect(clippy::large_enum_variant, reason = "a call in progress is already boxed")]
enum Stage {
    Body(Bytes),
    Called(Call, ResponseBody),
    Answered(Box<Unsent>),
    Over,
}

impl fmt::Debug for Calling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calling")
            .field("request", &self.request)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl Calling {
    /// Creates a call. `body` is the body as sent, with its content coding.
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        request: Box<RequestContext>,
        method: Arc<Method>,
        part: Part,
        session: Option<Box<CallSession>>,
        body: Bytes,
    ) -> Self {
        let (effects, tokens) = (Effects::default(), Reservation::default());
        Self { endpoint, request, method, part, session, effects, stage: Stage::Body(body), tokens }
    }

    /// Whether it is the call of the request with these bounds.
    pub(super) fn is_within(&self, bounds: &Arc<Bounds>) -> bool {
        Arc::ptr_eq(&self.request.bounds, bounds)
    }

    pub(super) fn account(&self) -> &Account {
        &self.request.account
    }

    /// Whether the call can continue, because an effect that it waits for has been completed.
    pub(super) fn can_go_on(&self, effects: &Effects) -> bool {
        effects.has_completed()
    }

    /// Takes the response, if there is one.
    pub(super) fn take_answer(&mut self) -> Option<Box<Unsent>> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Answered(answer) => Some(answer),
            stage => {
                self.stage = stage;
                None
            }
        }
    }

    /// Ends the call if it has no response yet, and returns its record if it had begun.
    pub(super) fn give_up(
        &mut self,
        error: &RpcError,
        status: StatusCode,
        now: Duration,
    ) -> Option<CallRecord> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Called(mut call, _) => {
                call.break_off(error);
                if let Some(http) = call.scope.record_mut().and_then(|record| record.http.as_deref_mut()) {
                    http.status = status.as_u16();
                }
                call.scope.end(now)
            }
            Stage::Answered(answer) => answer.into_record(error, status),
            Stage::Body(_) | Stage::Over => None,
        }
    }

    /// Runs until the call has a response or waits for an effect. If the call has listeners or a record, `on_call` receives it
    /// before its handler runs.
    pub(super) fn run(&mut self, clock: Clock<'_>, on_call: &mut dyn FnMut(RunningCall)) {
        let mut first = None;
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Body(body) => match self.open(body) {
                Ok((call, response, work)) => {
                    self.stage = Stage::Called(call, response);
                    first = work;
                }
                Err(refused) => return self.refuse(refused, clock),
            },
            // A call that had waited for an effect continues.
            stage => self.stage = stage,
        }
        let Stage::Called(call, response) = &mut self.stage else { return };
        if let Some(record) = call.scope.record_mut().cloned() {
            on_call(RunningCall::new(record, call.scope.scopes()));
        }
        loop {
            response.now = clock();
            match first.take().map_or_else(|| call.poll(response, &mut self.effects), Step::Work) {
                // A producer with all of its turns in this response would continue for a disconnected client.
                Step::Work(_) if self.request.bounds.is_client_gone() => return,
                Step::Work(mut work) => {
                    // The call may have been parked since its request was received.
                    work.context.now = Some(response.now);
                    if let Some(session) = &mut work.context.session {
                        session.tell_time(response.now);
                    }
                    let done = work.run();
                    response.now = clock();
                    call.complete(done, response);
                }
                Step::Waiting => return,
                Step::NeedTurn | Step::Over => break,
            }
        }
        if let Stage::Called(call, response) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.answer(call, response, clock);
        }
    }
}

/// A call, the body for its output, and its first work, if any.
type Opened = (Call, ResponseBody, Option<Work>);

/// From the request's body to the call.
impl Calling {
    fn open(&mut self, body: Bytes) -> Result<Opened, Refused> {
        let endpoint = self.endpoint.clone();
        let name = &self.method.info().name;
        let (kind, expected) = match (self.method.info().kind, self.part) {
            (MethodKind::Unary, Part::Unary) | (MethodKind::Stream(_), Part::Init | Part::Exchange) => {
                (self.method.info().kind, None)
            }
            (kind, Part::Unary) => (kind, Some("a stream and needs the path /init or /exchange")),
            (kind, Part::Init) => (kind, Some("unary and has no /init path")),
            (kind, Part::Exchange) => (kind, Some("unary and has no /exchange path")),
        };
        if let Some(expected) = expected {
            return Err(bad_request(RpcError::type_error(format!("{name:?} is {expected}"))).into());
        }
        let Some(hosted) = endpoint.service().hosted(self.method.protocol()) else {
            let error = RpcError::runtime_error("the method's protocol is no longer hosted");
            return Err((StatusCode::NOT_FOUND, error).into());
        };
        let body = endpoint.decode(&self.request, body)?;
        let (batch, metadata) = read(&endpoint, body, &self.request.account)?;
        match self.part {
            Part::Unary | Part::Init => self.begin(hosted, batch, metadata, kind),
            Part::Exchange => self.resume(hosted, batch, metadata, kind),
        }
    }

    /// Begins a unary call, or opens a stream.
    fn begin(
        &mut self,
        hosted: &Hosted,
        batch: RecordBatch,
        metadata: Metadata,
        kind: MethodKind,
    ) -> Result<Opened, Refused> {
        let request = Request { batch, metadata };
        let validated = match self.endpoint.service().fetch {
            Some(_) => request.validate_or_pointer(),
            None => request.validate(),
        };
        validated.map_err(bad_request)?;
        self.check_carriage(hosted, &request.metadata).map_err(bad_request)?;
        let Request { batch, metadata } = request;
        let mut response = self.response(hosted);
        if let MethodKind::Stream(_) = kind {
            response.expect_stream(self.binding(hosted), self.endpoint.random_hex());
        }
        let context = self.context(metadata, &response);
        let scope = Scope::begin(self.endpoint.service(), self.endpoint.records_calls(), &context, || {
            self.record(hosted, &batch, kind, &response)
        });
        let service = self.endpoint.service().clone();
        let (call, work) = Call::open(service, hosted, self.method.clone(), batch, context, scope);
        Ok((call, response, work))
    }

    /// Begins a further turn of a stream, or cancels it.
    fn resume(
        &mut self,
        hosted: &Hosted,
        batch: RecordBatch,
        metadata: Metadata,
        kind: MethodKind,
    ) -> Result<Opened, Refused> {
        let binding = self.binding(hosted);
        let recovered = recover(&self.endpoint, &self.request, &binding, &metadata)?;
        let Recovered { call_id, call, stream, memory } = recovered;
        self.tokens = memory;
        let mut response = self.response(hosted);
        response.resume(binding, call_id, &call);
        let context = self.context(application_metadata(metadata.clone()), &response);
        let recording = self.endpoint.records_calls();
        let record = || {
            let mut record = self.record(hosted, &batch, kind, &response);
            record.is_continuation = true;
            record.request_fields.clear();
            // Only an input is counted as one.
            record.statistics.input = Default::default();
            if let Some(http) = &mut record.http {
                http.request_state_bytes = metadata.get(keys::STREAM_STATE).map(|token| token.len() as u64);
            }
            record
        };
        let is_cancelled = metadata.contains_key(keys::CANCEL);
        let scope = if is_cancelled {
            Scope::unheard(self.endpoint.service(), recording, record)
        } else {
            Scope::begin(self.endpoint.service(), recording, &context, record)
        };
        let service = self.endpoint.service().clone();
        let mut call = Call::resume(service, self.method.clone(), stream, context, scope);
        if is_cancelled {
            call.cancel();
        } else {
            call.input(batch, metadata, &mut response);
        }
        Ok((call, response, None))
    }

    /// Checks that a request's routing keys match its path. WIRE_PROTOCOL 3.1, "Carriage".
    fn check_carriage(&self, hosted: &Hosted, metadata: &Metadata) -> Result<(), RpcError> {
        let (protocol, method) = (&hosted.info.name, &self.method.info().name);
        if metadata.get(keys::METHOD) != Some(method.as_bytes()) {
            return Err(RpcError::type_error(format!(
                "expected {:?} to be {method:?}, as the path says",
                keys::METHOD
            )));
        }
        match metadata.get(keys::PROTOCOL) {
            // The path alone suffices, as it does for the reference.
            None | Some([]) => Ok(()),
            Some(name) if name == protocol.as_bytes() => Ok(()),
            Some(_) => Err(RpcError::of_kind(
                kind::PROTOCOL_NOT_SUPPORTED,
                "ProtocolNotSupportedError",
                format!("expected {:?} to be {protocol:?}, as the path says", keys::PROTOCOL),
            )),
        }
    }

    /// Returns the binding of the call's tokens.
    fn binding(&self, hosted: &Hosted) -> Binding {
        // The hash covers the protocol's name and methods, but not its version. Only the part of the version that matters to
        // callers is included, because patch versions interoperate. The hash contains no bar, so the separator is unambiguous.
        let version = hosted.info.version.map(|version| (version.major, version.minor));
        let protocol = format!("{}|{version:?}", hosted.info.hash);
        Binding::stream(&self.request.identity(), &protocol, &self.method.info().name)
    }

    fn response(&self, hosted: &Hosted) -> ResponseBody {
        let name = &self.method.info().name;
        let writer = self.endpoint.writer(&self.request, &hosted.info.name, name);
        let error_schema = match self.method.info().kind {
            MethodKind::Unary => self.method.declaration.result.clone(),
            MethodKind::Stream(_) => EncodedSchema::empty(),
        };
        let (endpoint, account) = (self.endpoint.clone(), self.request.account.clone());
        ResponseBody::new(endpoint, writer, account, self.method.clone(), self.request.budget, error_schema)
    }

    fn context(&mut self, metadata: Metadata, response: &ResponseBody) -> Box<CallContext> {
        let RequestContext { bounds, peer, request_id, .. } = &*self.request;
        let made_id = Some(request_id.clone());
        let mut context = CallContext::new(
            self.method.declaration.clone(),
            peer.clone(),
            made_id,
            metadata,
            bounds.clone(),
        );
        context.budget = response.budget();
        context.session = self.session.take().map(|session| session as Box<_>);
        Box::new(context)
    }

    fn record(
        &self,
        hosted: &Hosted,
        batch: &RecordBatch,
        kind: MethodKind,
        response: &ResponseBody,
    ) -> CallRecord {
        let RequestContext { peer, now, request_id, request_bytes, .. } = &*self.request;
        let name = &self.method.info().name;
        let mut record = CallRecord::begin(&hosted.info, name, kind, peer, batch, *now);
        record.request_id = request_id.as_str().to_owned();
        record.stream_id = response.stream_id().map(str::to_owned);
        record.http = Some(Box::new(HttpRecord { request_bytes: *request_bytes, ..HttpRecord::default() }));
        record
    }
}

/// From the call to the response.
impl Calling {
    fn answer(&mut self, call: Call, mut response: ResponseBody, clock: Clock<'_>) {
        let (session, mut scope) = call.into_session();
        let mut draft = match response.commit() {
            Ok((draft, None)) => draft,
            Ok((draft, Some(too_large))) => {
                scope.note_error(&too_large);
                draft
            }
            Err((status, error)) => self.endpoint.refusal(&self.request, status, &error),
        };
        let mut session = session.and_then(|session| session.into_any().downcast::<CallSession>().ok());
        let told = session.as_mut().map(|session| session.finish(&mut draft));
        // Any other reservation is released now.
        let opened = session.filter(|session| session.is_new());
        let (response_, memory) = self.endpoint.finish(&self.request, draft);
        if let Some(http) = scope.record_mut().and_then(|record| record.http.as_deref_mut()) {
            http.status = response_.status().as_u16();
            http.response_bytes = response_.body().iter().map(|segment| segment.len() as u64).sum();
            http.response_state_bytes = response.token_bytes();
            if let Some((action, id)) = told {
                http.session_action = Some(action);
                http.session_id = id;
            }
        }
        self.endpoint.keep_writer(response.into_writer());
        let record = scope.end(clock());
        self.tokens = Reservation::default();
        let answer = RecordedResponse { response: response_, memory, record };
        self.stage = Stage::Answered(Box::new(Unsent { answer, opened }));
    }

    /// Creates the response to a request that did not become a call.
    fn refuse(&mut self, refused: Refused, _: Clock<'_>) {
        let mut draft = match refused {
            Refused::Error((status, error)) => self.endpoint.refusal(&self.request, status, &error),
            Refused::Draft(draft) => *draft,
        };
        if let Some(mut session) = self.session.take() {
            session.finish(&mut draft);
        }
        let (response, memory) = self.endpoint.finish(&self.request, draft);
        self.stage = Stage::Answered(Box::new(RecordedResponse { response, memory, record: None }.into()));
    }
}

/// Why a request did not become a call.
enum Refused {
    Error(Refusal),
    Draft(Box<ResponseDraft>),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Error(refusal)
    }
}

impl From<Box<ResponseDraft>> for Refused {
    fn from(draft: Box<ResponseDraft>) -> Self {
        Self::Draft(draft)
    }
}
