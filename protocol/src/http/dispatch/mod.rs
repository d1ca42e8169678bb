//! Calls over HTTP: from a request's body to a reply's, one handler invocation at most in between.
//!
//! | file | subject |
//! | --- | --- |
//! | `body` | reading the request's Arrow stream |
//! | `unary` | unary calls |
//! | `init` | opening streams, a producer's first turn included |
//! | `exchange`, `recover` | further turns, cancels; what tokens bring back |
//! | `upload` | vending URLs for large inputs |
//!
//! A call that was refused before its handler ran is answered with the status that says so; one that a handler
//! failed with 200 and a mark, because intermediaries drop the bodies of other statuses. WIRE_PROTOCOL 13, "HTTP
//! status code mapping".

mod body;
mod exchange;
mod init;
mod recover;
mod unary;
pub(crate) mod upload;

use super::budget;
use super::endpoint::Endpoint;
use super::reply::Reply;
use super::route::Part;
use super::session::CallSession;
use super::token::Binding;
use super::visit::Visit;
use crate::ipc::{EncodedSchema, Metadata};
use crate::memory::OverBudget;
use crate::server::ResponseWriter;
use crate::service::context::Bounds;
use crate::service::work::{Done, Emission, Outcome, split_logs};
use crate::service::{CallContext, CallRecord, HttpRecord, Method, MethodInfo, ResponseBudget, hooks};
use crate::service::{MethodKind, protocol::Hosted};
use crate::wire::error::{RpcError, kind};
use crate::wire::keys;
use crate::wire::log::LogMessage;
use arrow_array::RecordBatch;
use bytes::Bytes;
use http::StatusCode;
use std::cell::OnceCell;
use std::sync::Arc;

/// What a call came to: the reply, and the record of it if it got as far as a method.
#[derive(Debug)]
pub(crate) struct Dispatched {
    pub(crate) reply: Reply,
    pub(crate) record: Option<Box<CallRecord>>,
}

impl From<Reply> for Dispatched {
    fn from(reply: Reply) -> Self {
        Self { reply, record: None }
    }
}

/// One request of a call to a method that exists.
pub(crate) struct Dispatch<'a> {
    endpoint: &'a Endpoint,
    visit: &'a Visit,
    hosted: &'a Hosted,
    method: Arc<Method>,
    budget: ResponseBudget,
    /// What its handlers may make the process hold.
    bounds: Arc<Bounds>,
    writer: ResponseWriter,
    /// The sticky session, while no handler has it.
    session: Option<CallSession>,
    record: Option<Box<CallRecord>>,
    /// What the call's tokens are bound to, once that was asked.
    binding: OnceCell<Binding>,
}

/// Why a request was not dispatched.
type Refusal = (StatusCode, RpcError);

/// A request that the memory budget has no room for.
fn no_room(error: OverBudget) -> Refusal {
    (StatusCode::SERVICE_UNAVAILABLE, error.into())
}

fn bad_request(error: RpcError) -> Refusal {
    (StatusCode::BAD_REQUEST, error)
}

impl<'a> Dispatch<'a> {
    /// Answers one request. `body` is what was sent, its content coding undone.
    pub(crate) fn run(
        endpoint: &'a Endpoint,
        visit: &'a Visit,
        (hosted, method): (&'a Hosted, Arc<Method>),
        part: Part,
        session: Option<CallSession>,
        body: Bytes,
    ) -> Dispatched {
        let budget = visit.budget;
        let writer = endpoint.writer(visit, hosted.info.name.as_str(), &method.info().name);
        let bounds = Arc::new(Bounds { limits: endpoint.shared_limits(), account: visit.account.clone() });
        let (record, binding) = (None, OnceCell::new());
        let mut dispatch =
            Self { endpoint, visit, hosted, method, budget, bounds, writer, session, record, binding };
        let answered = match part {
            Part::Unary => dispatch.unary(body),
            Part::Init => dispatch.init(body),
            Part::Exchange => dispatch.exchange(body),
        };
        let mut reply = match answered {
            Ok(reply) => reply,
            Err((status, error)) => {
                let reply = endpoint.refusal(visit, status, &error);
                dispatch.note_error(error);
                reply
            }
        };
        if let Some(session) = dispatch.session.take() {
            let (action, id) = session.finish(&mut reply);
            if let Some(http) = dispatch.http_record() {
                http.session_action = Some(action);
                http.session_id = id;
            }
        }
        Dispatched { reply, record: dispatch.record }
    }

    fn info(&self) -> &MethodInfo {
        self.method.info()
    }

    /// Begins the call's record and tells the hooks of calls that are about to run.
    fn begin_record(&mut self, batch: &RecordBatch, kind: MethodKind) {
        let service = self.endpoint.service();
        if !self.endpoint.records_calls() && service.hooks.is_empty() {
            return;
        }
        let Visit { peer, now, request_id, .. } = self.visit;
        let name = &self.method.info().name;
        let mut record = CallRecord::begin(&self.hosted.info, name, kind, peer, batch, *now);
        record.request_id = request_id.clone();
        record.http =
            Some(Box::new(HttpRecord { request_bytes: self.visit.request_bytes, ..HttpRecord::default() }));
        self.record = Some(Box::new(record));
    }

    fn http_record(&mut self) -> Option<&mut HttpRecord> {
        self.record.as_mut()?.http.as_deref_mut()
    }

    fn note_error(&mut self, error: RpcError) {
        if let Some(record) = &mut self.record {
            record.error = Some(error);
        }
    }

    fn note_output(&mut self, batch: &RecordBatch) {
        if let Some(record) = &mut self.record {
            record.statistics.output.add(batch);
        }
    }

    /// The context of a handler's invocation.
    fn context(&mut self, metadata: Metadata) -> CallContext {
        let made_id = Some(self.visit.request_id.as_str().into());
        let mut context = CallContext::new(
            self.method.clone(),
            self.visit.peer.clone(),
            made_id,
            metadata,
            self.bounds.clone(),
        );
        context.budget = self.budget;
        context.session = self.session.take().map(|session| Box::new(session) as Box<_>);
        context
    }

    /// Tells the hooks that a handler is about to be invoked.
    fn announce(&self, context: &CallContext) {
        hooks::start(&self.endpoint.service().hooks, context);
    }

    fn log_all(&mut self, logs: &[LogMessage]) {
        logs.iter().for_each(|log| self.writer.log(log));
    }

    /// Writes a turn's logs and batch on the open stream. An error is one of the batch, which is the handler's.
    fn emit(&mut self, logs: &[LogMessage], data: &Emission, metadata: &Metadata) -> Result<(), RpcError> {
        let (before, after) = split_logs(logs, data.logs_before);
        self.log_all(before);
        self.writer
            .write(&data.batch, metadata)
            .map_err(|error| RpcError::unsendable("the emitted batch", error))?;
        self.note_output(&data.batch);
        self.log_all(after);
        Ok(())
    }

    /// The answer to a call that its handler failed, or that could not be answered as the handler meant. What was
    /// written so far stays, and an open stream ends with the error.
    fn fail(&mut self, schema: &EncodedSchema, error: RpcError) -> Reply {
        self.writer.error_stream(schema, &error);
        self.note_error(error);
        Reply::arrow(StatusCode::OK, self.writer.take_segments()).failed()
    }

    /// The answer to a call that went well, unless it is too large. `schema` is that of the error then.
    fn succeed(&mut self, schema: &EncodedSchema) -> Reply {
        let reply = Reply::arrow(StatusCode::OK, self.writer.take_segments());
        match budget::check(self.budget, &self.method.info().name, reply.len()) {
            Ok(()) => reply,
            Err(error) => {
                if let Some(http) = self.http_record() {
                    http.response_state_bytes = None;
                }
                self.fail(schema, error)
            }
        }
    }

    /// What a request's routing keys must say, beside its path. WIRE_PROTOCOL 3.1, "Carriage".
    fn check_carriage(&self, metadata: &Metadata) -> Result<(), RpcError> {
        let (protocol, method) = (&self.hosted.info.name, &self.info().name);
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

    fn not_of_kind(&self, expected: &str) -> Refusal {
        let name = &self.info().name;
        bad_request(RpcError::type_error(format!("{name:?} is {expected}")))
    }

    /// Splits what an invocation gave, taking back the session that its context was lent.
    fn settle(&mut self, done: Done) -> (Outcome, CallContext, Vec<LogMessage>) {
        let Done { outcome, mut context } = done;
        let session = context.session.take().map(|session| session.into_any().downcast::<CallSession>());
        self.session = session.and_then(Result::ok).map(|session| *session);
        let logs = std::mem::take(&mut context.logs);
        (outcome, context, logs)
    }
}
