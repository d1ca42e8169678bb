//! Spans of all kinds are begun here.

use crate::shared::Shared;
use opentelemetry::trace::{SpanBuilder, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use std::borrow::Cow;

/// A span that is to begin.
pub(crate) struct NewSpan {
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: SpanKind,
    pub(crate) attributes: Vec<KeyValue>,
    /// What the span stands under.
    pub(crate) parent: Context,
}

impl Shared {
    /// Begins a span now, and returns its parent's context with it. `None` when no spans are made: then `span` is not called.
    pub(crate) fn begin(&self, span: impl FnOnce() -> NewSpan) -> Option<Context> {
        let tracer = self.tracer.as_ref()?;
        let NewSpan { name, kind, attributes, parent } = span();
        let builder = SpanBuilder::from_name(name).with_kind(kind).with_attributes(attributes);
        let span = tracer.build_with_context(builder, &parent);
        Some(parent.with_span(span))
    }
}
