//! Records spans and metrics of the calls of a server.

use crate::attributes;
use crate::current::Current;
use crate::shared::Shared;
use crate::span::NewSpan;
use crate::{names, trace_context};
use opentelemetry::trace::{SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;
use std::time::Instant;
use vgi_rpc_protocol::service::{CallContext, CallHook, CallRecord, CallScope, TraceIds};
use vgi_rpc_protocol::wire::keys;

/// Traces and measures the calls of a service. Created by [`Otel::server`](crate::Otel::server).
pub struct OtelServer(pub(crate) Arc<Shared>);

impl fmt::Debug for OtelServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtelServer").finish_non_exhaustive()
    }
}

/// A call in progress.
struct ServerScope {
    shared: Arc<Shared>,
    current: Current,
    started: Instant,
    labels: Vec<KeyValue>,
}

impl CallHook for OtelServer {
    fn on_start(&self, call: &CallContext) -> Option<Box<dyn CallScope>> {
        let Self(shared) = self;
        let kind = call.kind();
        let context = shared.begin(|| NewSpan {
            name: format!("{}{}", names::SPAN_PREFIX, call.method()).into(),
            kind: SpanKind::Server,
            attributes: attributes::at_start(shared, call, kind),
            parent: parent(call),
        });
        let labels = match shared.instruments {
            Some(_) => attributes::labels(call, kind),
            None if context.is_none() => return None,
            None => Vec::new(),
        };
        let (shared, current, started) = (shared.clone(), Current::new(context), Instant::now());
        Some(Box::new(ServerScope { shared, current, started, labels }))
    }
}

impl CallScope for ServerScope {
    fn enter(&mut self) {
        self.current.enter();
    }

    fn exit(&mut self) {
        self.current.exit();
    }

    fn trace(&self) -> Option<TraceIds> {
        let context = self.current.context.as_ref()?;
        let span = context.span();
        let span = span.span_context();
        Some(TraceIds {
            trace_id: NonZeroU128::new(u128::from_be_bytes(span.trace_id().to_bytes()))?,
            span_id: NonZeroU64::new(u64::from_be_bytes(span.span_id().to_bytes()))?,
        })
    }

    fn end(&mut self, record: &CallRecord) {
        if let Some(context) = &self.current.context {
            end_span(context, record, self.shared.record_exceptions);
        }
        if let Some(instruments) = &self.shared.instruments {
            let status = if record.error.is_some() { "error" } else { "ok" };
            self.labels.push(KeyValue::new(names::STATUS, status));
            instruments.server.record(self.started.elapsed().as_secs_f64(), &self.labels);
        }
    }
}

fn end_span(context: &Context, record: &CallRecord, record_exceptions: bool) {
    let span = context.span();
    if span.is_recording() {
        match &record.error {
            Some(error) => {
                span.set_status(attributes::server_status(error.code(), error.message()));
                span.set_attribute(KeyValue::new(names::ERROR_TYPE, error.error_type().to_owned()));
                span.set_attribute(KeyValue::new(names::ERROR_CODE, error.code().as_str()));
                if record_exceptions {
                    attributes::add_exception(&span, error.error_type(), error.message(), error.traceback());
                }
            }
            None => span.set_status(Status::Ok),
        }
        span.set_attributes(attributes::of_statistics(&record.statistics));
    }
    span.end();
}

/// Returns the parent of a call's span: see the [crate](crate).
fn parent(call: &CallContext) -> Context {
    let current = Context::current();
    let of_metadata = call.metadata().contains_key(keys::TRACEPARENT);
    if !of_metadata && current.span().span_context().is_valid() {
        return current;
    }
    match call.traceparent().and_then(|parent| trace_context::parse(parent, call.tracestate())) {
        Some(remote) => current.with_remote_span_context(remote),
        // An invalid `traceparent` begins a new trace, and does not join that of this thread. A sampler would treat an invalid
        // span as a parent that was not sampled.
        None => Context::new(),
    }
}
