//! The hook of a service: sends events and spans of its calls.

use crate::config::SentryConfig;
use crate::{current, params};
use sentry_core::protocol::{Context, Event, Exception, Level, SpanStatus, User, Value};
use sentry_core::{Hub, Scope, TransactionContext, TransactionOrSpan};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use vgi_rpc_protocol::arrow::array::RecordBatch;
use vgi_rpc_protocol::arrow::schema::SchemaRef;
use vgi_rpc_protocol::service::{CallContext, CallHook, CallRecord, CallScope, MethodKind};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::RpcError;

/// Parameters of VGI that identify related calls, and their tags.
const IDS: [(&str, &str); 2] = [("attach_id", "vgi.attach_id"), ("transaction_id", "vgi.transaction_id")];
/// The number of hex digits of such an id's digest.
const ID_DIGITS: usize = 12;

/// Reports the failures of a service to Sentry: for `ServiceBuilder::hook`.
pub struct Sentry(Arc<SentryConfig>);

impl fmt::Debug for Sentry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sentry").field(&self.0).finish()
    }
}

impl Sentry {
    /// Creates a hook with these settings.
    pub fn new(config: SentryConfig) -> Self {
        Self(Arc::new(config))
    }
}

/// A call in progress.
struct SentryScope {
    config: Arc<SentryConfig>,
    hub: Arc<Hub>,
    /// The spans that receive data: the one around the call, and the call's own.
    around: Option<TransactionOrSpan>,
    own: Option<TransactionOrSpan>,
    /// The parameters that the method declares. Other columns of a request are not sent.
    declared: SchemaRef,
}

impl CallHook for Sentry {
    fn on_start(&self, call: &CallContext) -> Option<Box<dyn CallScope>> {
        let current = Hub::current();
        // Without a client, nothing can be sent.
        current.client()?;
        let hub = Arc::new(Hub::new_from_top(current));
        let config = self.0.clone();
        hub.configure_scope(|scope| describe(&config, call, scope));
        let around = hub.configure_scope(|scope| scope.get_span());
        let own = config.performance.then(|| start_span(&config, &hub, around.as_ref(), call));
        let scope = SentryScope { config, hub, around, own, declared: call.declared_parameters().clone() };
        scope.put_data("rpc.system", "vgi_rpc".into());
        scope.put_data("rpc.service", call.protocol().into());
        scope.put_data("rpc.method", call.method().into());
        scope.put_data("rpc.method_type", method_type(call.kind()).into());
        Some(Box::new(scope))
    }
}

impl CallScope for SentryScope {
    fn parameters(&mut self, row: &RecordBatch) {
        for (name, tag) in IDS {
            if let Some(id) = params::id(&self.declared, row, name) {
                let digest = digest_of(&id);
                self.put_data(tag, digest.as_str().into());
                self.hub.configure_scope(|scope| scope.set_tag(tag, digest));
            }
        }
        if !self.config.wants_params() {
            return;
        }
        let parameters = self.config.redact(params::of_row(&self.declared, row));
        for name in &self.config.tag_params {
            if let Some(value) = parameters.get(name).and_then(params::tag) {
                self.hub.configure_scope(|scope| scope.set_tag(&format!("rpc.param.{name}"), value));
            }
        }
        if self.config.record_params {
            for (name, value) in parameters {
                self.put_data(&format!("rpc.param.{name}"), value);
            }
        }
    }

    fn enter(&mut self) {
        current::enter(&self.hub);
    }

    fn exit(&mut self) {
        current::exit(&self.hub);
    }

    fn end(&mut self, record: &CallRecord) {
        if let Some(id) = &record.stream_id {
            self.put_data("rpc.stream_id", id.as_str().into());
        }
        if let Some(error) = record.error.as_ref().filter(|error| self.reports(error)) {
            self.hub.capture_event(event_of(error));
        }
        if let Some(span) = self.own.take() {
            span.set_status(record.error.as_ref().map_or(SpanStatus::Ok, |error| status_of(error.code())));
            span.finish();
        }
    }
}

impl SentryScope {
    fn put_data(&self, name: &str, value: Value) {
        for span in self.around.iter().chain(&self.own) {
            span.set_data(name, value.clone());
        }
    }

    fn reports(&self, error: &RpcError) -> bool {
        let SentryConfig { capture_errors, ignored_codes, ignored_types, .. } = &*self.config;
        *capture_errors
            && !ignored_codes.contains(&error.code())
            && !ignored_types.iter().any(|ignored| ignored == error.error_type())
    }
}

/// Sets the data of the call and its caller on a scope.
fn describe(config: &SentryConfig, call: &CallContext, scope: &mut Scope) {
    if config.transaction_name {
        scope.set_transaction(Some(&format!("rpc {}", call.method())));
    }
    let method_type = method_type(call.kind());
    scope.set_tag("rpc.method", call.method());
    scope.set_tag("rpc.method_type", method_type);
    if config.request_context {
        let about = [
            ("method", call.method()),
            ("method_type", method_type),
            ("service", call.protocol()),
            ("server_id", call.server_id()),
            ("request_id", call.request_id()),
        ];
        let about = about.into_iter().filter(|(_, value)| !value.is_empty());
        let about = about.map(|(name, value)| (name.to_owned(), Value::from(params::cut(value))));
        scope.set_context("rpc", Context::Other(about.collect()));
        let user = user_of(config, call);
        if user != User::default() {
            scope.set_user(Some(user));
        }
        let auth = call.auth();
        if !auth.domain.is_empty() {
            scope.set_tag("auth.domain", params::cut(&auth.domain));
        }
        scope.set_tag("auth.authenticated", auth.authenticated);
        for (claim, tag) in &config.claim_tags {
            if let Some(value) = auth.claims.get(claim).and_then(params::tag) {
                scope.set_tag(tag, value);
            }
        }
    }
    for (name, value) in &config.tags {
        scope.set_tag(name, value);
    }
}

fn user_of(config: &SentryConfig, call: &CallContext) -> User {
    let auth = call.auth();
    let mut user = User::default();
    if !auth.principal.is_empty() {
        user.id = Some(params::cut(&auth.principal));
    }
    for (field, claim) in &config.user_claims {
        let value = auth.claims.get(claim).and_then(Value::as_str).filter(|value| !value.is_empty());
        let Some(value) = value.map(params::cut) else { continue };
        match field.as_str() {
            "username" => user.username = Some(value),
            "email" => user.email = Some(value),
            _ => drop(user.other.insert(field.clone(), value.into())),
        }
    }
    user
}

/// Starts the call's own span, and makes it the current one in its hub.
fn start_span(
    config: &SentryConfig,
    hub: &Hub,
    around: Option<&TransactionOrSpan>,
    call: &CallContext,
) -> TransactionOrSpan {
    let name = format!("vgi_rpc/{}", call.method());
    let span: TransactionOrSpan = match around {
        Some(around) => around.start_child(&config.op_name, &name).into(),
        None => {
            let headers = call.peer().headers.as_deref();
            let trace = headers.and_then(|headers| headers.sentry_trace.as_deref());
            let trace = trace.map(|trace| if config.trust_callers { trace } else { undecided(trace) });
            let trace = trace.map(|trace| ("sentry-trace", trace));
            hub.start_transaction(TransactionContext::continue_from_headers(&name, &config.op_name, trace))
                .into()
        }
    };
    hub.configure_scope(|scope| scope.set_span(Some(span.clone())));
    span
}

/// Removes the sampling decision of a `sentry-trace`. Returns the ids of trace and span.
fn undecided(trace: &str) -> &str {
    let end = trace.match_indices('-').nth(1).map_or(trace.len(), |(at, _)| at);
    trace.get(..end).unwrap_or_default()
}

fn event_of(error: &RpcError) -> Event<'static> {
    let exception = Exception {
        ty: error.error_type().to_owned(),
        value: Some(error.message().to_owned()),
        ..Exception::default()
    };
    Event { exception: vec![exception].into(), level: Level::Error, ..Event::default() }
}

/// Returns Sentry's status for a code. An unclassified error is a fault of the server, and counts towards Sentry's failure rate.
fn status_of(code: Code) -> SpanStatus {
    match code {
        Code::Unknown | Code::Internal => SpanStatus::InternalError,
        Code::Cancelled => SpanStatus::Cancelled,
        Code::InvalidArgument => SpanStatus::InvalidArgument,
        Code::DeadlineExceeded => SpanStatus::DeadlineExceeded,
        Code::NotFound => SpanStatus::NotFound,
        Code::AlreadyExists => SpanStatus::AlreadyExists,
        Code::PermissionDenied => SpanStatus::PermissionDenied,
        Code::ResourceExhausted => SpanStatus::ResourceExhausted,
        Code::FailedPrecondition => SpanStatus::FailedPrecondition,
        Code::Aborted => SpanStatus::Aborted,
        Code::OutOfRange => SpanStatus::OutOfRange,
        Code::Unimplemented => SpanStatus::Unimplemented,
        Code::Unavailable => SpanStatus::Unavailable,
        Code::DataLoss => SpanStatus::DataLoss,
        Code::Unauthenticated => SpanStatus::Unauthenticated,
    }
}

const fn method_type(kind: MethodKind) -> &'static str {
    match kind {
        MethodKind::Unary => "unary",
        MethodKind::Stream(_) => "stream",
    }
}

fn digest_of(id: &str) -> String {
    let digest = Sha256::digest(id.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.chars().take(ID_DIGITS).collect()
}
