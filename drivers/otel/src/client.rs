//! Records spans and metrics of the calls of a client.

use crate::current::Current;
use crate::shared::Shared;
use crate::span::NewSpan;
use crate::{attributes, names, trace_context};
use opentelemetry::trace::{SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;
use vgi_rpc_client::{CallError, ClientCall, ClientHook, ClientOutcome, ClientScope};
use vgi_rpc_protocol::client::CallKind;
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::keys;

/// Traces and measures the calls of a client. Created by [`Otel::client`](crate::Otel::client).
///
/// The span of a call is a child of the one that is current where the call begins. It is sent with the call, and replaces a
/// `traceparent` that the application has set in its metadata. Without tracing, the current span is sent.
pub struct OtelClient(pub(crate) Arc<Shared>);

impl fmt::Debug for OtelClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtelClient").finish_non_exhaustive()
    }
}

/// A call in progress.
struct Scope {
    shared: Arc<Shared>,
    current: Current,
    started: Instant,
    protocol: String,
    method: String,
    method_type: &'static str,
}

impl ClientHook for OtelClient {
    fn on_start(&self, call: &ClientCall<'_>, metadata: &mut Metadata) -> Option<Box<dyn ClientScope>> {
        let Self(shared) = self;
        let method_type = match call.kind {
            CallKind::Unary => "unary",
            CallKind::Stream { .. } => "stream",
        };
        let context = shared.begin(|| {
            let mut attributes = attributes::of_method(call.protocol, call.method, method_type);
            attributes.push(KeyValue::new(names::REQUEST_ID, call.request_id.to_owned()));
            let name = format!("{}{}", names::SPAN_PREFIX, call.method).into();
            NewSpan { name, kind: SpanKind::Client, attributes, parent: Context::current() }
        });
        match &context {
            Some(context) => inject(context, metadata),
            None => Context::map_current(|current| inject(current, metadata)),
        }
        if context.is_none() && shared.instruments.is_none() {
            return None;
        }
        Some(Box::new(Scope {
            shared: shared.clone(),
            current: Current::new(context),
            started: Instant::now(),
            protocol: call.protocol.to_owned(),
            method: call.method.to_owned(),
            method_type,
        }))
    }
}

/// Writes a span into the metadata of a request.
fn inject(context: &Context, metadata: &mut Metadata) {
    let span = context.span();
    let span = span.span_context();
    if !span.is_valid() {
        return;
    }
    let (parent, state) = trace_context::format(span);
    metadata.set(keys::TRACEPARENT, parent);
    metadata.remove(keys::TRACESTATE);
    if let Some(state) = state {
        metadata.set(keys::TRACESTATE, state);
    }
}

impl ClientScope for Scope {
    fn enter(&mut self) {
        self.current.enter();
    }

    fn exit(&mut self) {
        self.current.exit();
    }

    fn end(&mut self, outcome: &ClientOutcome<'_>) {
        let failure = outcome.error.map(Failure::of);
        if let Some(context) = &self.current.context {
            self.end_span(context, failure.as_ref());
        }
        if let Some(instruments) = &self.shared.instruments {
            let mut labels = self.labels(failure.as_ref());
            let status = if failure.is_some() { "error" } else { "ok" };
            labels.push(KeyValue::new(names::STATUS, status));
            instruments.client.record(self.started.elapsed().as_secs_f64(), &labels);
        }
    }
}

impl Scope {
    fn end_span(&self, context: &Context, failure: Option<&Failure>) {
        let span = context.span();
        match failure {
            Some(failure) => {
                span.set_status(Status::error(failure.message.clone()));
                span.set_attribute(KeyValue::new(names::ERROR_TYPE, failure.error_type.clone()));
                if let Some(code) = failure.code {
                    span.set_attribute(KeyValue::new(names::ERROR_CODE, code.as_str()));
                }
                if self.shared.record_exceptions {
                    attributes::add_exception(&span, &failure.error_type, &failure.message, "");
                }
            }
            None => span.set_status(Status::Ok),
        }
        span.end();
    }

    /// Returns the labels. They include the names of protocol and method only if a server is known to have them.
    fn labels(&self, failure: Option<&Failure>) -> Vec<KeyValue> {
        let Self { shared, protocol, method, method_type, .. } = self;
        if failure.is_none_or(|failure| failure.shows_method) {
            shared.known.learn(protocol, method);
        }
        match shared.known.has(protocol, method) {
            true => attributes::of_method(protocol, method, method_type),
            false => attributes::of_method(names::OTHER, names::OTHER, method_type),
        }
    }
}

/// Why a call failed.
struct Failure {
    error_type: String,
    message: String,
    code: Option<Code>,
    /// Whether this error shows that the server has the method.
    shows_method: bool,
}

impl Failure {
    fn of(error: &CallError) -> Self {
        let (error_type, code, shows_method) = match error {
            CallError::Rpc(error) => {
                let code = error.code();
                // These codes come from handlers. Other codes may be returned before the method is looked up.
                let shows = matches!(code, Code::Unknown | Code::InvalidArgument | Code::OutOfRange);
                return Self {
                    error_type: error.error_type().to_owned(),
                    message: error.message().to_owned(),
                    code: Some(code),
                    shows_method: shows && error.kind().is_none(),
                };
            }
            CallError::Transport(error) if error.io_kind() == Some(io::ErrorKind::TimedOut) => {
                ("TransportError", Some(Code::DeadlineExceeded), false)
            }
            CallError::Transport(_) | CallError::Unusable { .. } => {
                ("TransportError", Some(Code::Unavailable), false)
            }
            CallError::Connection(_) => ("ConnectionError", Some(Code::Internal), false),
            CallError::Pointer => ("Pointer", None, true),
            CallError::WrongKind(_) => ("WrongKind", None, false),
            CallError::Value(_) => ("ValueError", None, true),
            CallError::Command(_) => ("CommandError", None, false),
            _ => ("CallError", None, false),
        };
        Self { error_type: error_type.to_owned(), message: error.to_string(), code, shows_method }
    }
}
