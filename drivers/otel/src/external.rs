//! Records spans of the transfers of external objects. WIRE_PROTOCOL 12.

use crate::attributes::add_exception;
use crate::names;
use crate::shared::Shared;
use crate::span::NewSpan;
use bytes::Bytes;
use opentelemetry::trace::{SpanKind, SpanRef, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use vgi_rpc_effects::Perform;
use vgi_rpc_protocol::OneLine;
use vgi_rpc_protocol::effect::{Completion, Request};

/// Wraps another performer, and traces the transfers of external objects. Created by [`Otel::perform`](crate::Otel::perform).
///
/// A span is a child of the one that is current on the thread: that of the effect's call. It is the current one while the object
/// is transferred. Other effects have no spans.
pub struct OtelPerform<P> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) perform: P,
}

impl<P: fmt::Debug> fmt::Debug for OtelPerform<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtelPerform").field("perform", &self.perform).finish_non_exhaustive()
    }
}

impl<P: Perform> Perform for OtelPerform<P> {
    fn perform(&self, request: &Request, data: &mut dyn FnMut(Bytes)) -> Completion {
        let name = match request {
            Request::Fetch(_) => names::FETCH_SPAN,
            Request::Store(_) | Request::Upload(_) => names::UPLOAD_SPAN,
            _ => return self.perform.perform(request, data),
        };
        let context = self.shared.begin(|| NewSpan {
            name: name.into(),
            kind: SpanKind::Client,
            attributes: at_start(request),
            parent: Context::current(),
        });
        let Some(context) = context else { return self.perform.perform(request, data) };
        let started = Instant::now();
        let completion = {
            let _current = context.clone().attach();
            self.perform.perform(request, data)
        };
        let span = context.span();
        if let Request::Fetch(_) = request {
            let milliseconds = started.elapsed().as_secs_f64() * 1e3;
            span.set_attribute(KeyValue::new(names::FETCH_MILLISECONDS, milliseconds));
        }
        finish(&span, request, &completion, self.shared.record_exceptions);
        span.end();
        completion
    }
}

/// Returns the attributes that are known before the transfer. A URL is recorded without credentials and without its query, which
/// may contain a signature.
fn at_start(request: &Request) -> Vec<KeyValue> {
    match request {
        Request::Fetch(fetch) => vec![KeyValue::new(names::URL, fetch.location().to_string())],
        Request::Upload(upload) => vec![
            KeyValue::new(names::URL, upload.url().to_string()),
            KeyValue::new(names::UPLOAD_BYTES, bytes(upload.len())),
        ],
        _ => Vec::new(),
    }
}

/// Sets the attributes and the status after the transfer.
fn finish(span: &SpanRef<'_>, request: &Request, completion: &Completion, record_exceptions: bool) {
    let error = match completion {
        Completion::Failed(failure) => Some(("Failure", OneLine(failure).to_string())),
        Completion::Resolved(Err(error)) => Some(("ResolveError", OneLine(error).to_string())),
        _ => None,
    };
    if let (Request::Store(store), Completion::Stored(location)) = (request, completion) {
        let object = store.object();
        span.set_attribute(KeyValue::new(names::URL, location.to_string()));
        span.set_attribute(KeyValue::new(names::UPLOAD_BYTES, bytes(object.len)));
        if let Some(coding) = object.coding {
            span.set_attribute(KeyValue::new(names::COMPRESSION, coding.as_str()));
            span.set_attribute(KeyValue::new(names::ORIGINAL_BYTES, bytes(store.uncompressed_len())));
        }
    }
    match error {
        Some((error_type, message)) => {
            if record_exceptions {
                add_exception(span, error_type, &message, "");
            }
            span.set_status(Status::error(message));
        }
        // The reference leaves the status of upload spans unset.
        None if matches!(request, Request::Fetch(_)) => span.set_status(Status::Ok),
        None => {}
    }
}

fn bytes(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
