//! Begins spans.

use crate::shared::Shared;
use opentelemetry::trace::{SpanBuilder, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use std::borrow::Cow;

/// The parameters of a new span.
pub(crate) struct NewSpan {
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: SpanKind,
    pub(crate) attributes: Vec<KeyValue>,
    /// The context with its parent.
    pub(crate) parent: Context,
}

impl Shared {
    /// Begins a span now, and returns its parent's context with it. Returns `None` without calling `span` if spans are not
    /// recorded.
    pub(crate) fn begin(&self, span: impl FnOnce() -> NewSpan) -> Option<Context> {
        let tracer = self.tracer.as_ref()?;
        let NewSpan { name, kind, attributes, parent } = span();
        let builder = SpanBuilder::from_name(name).with_kind(kind).with_attributes(attributes);
        let span = tracer.build_with_context(builder, &parent);
        Some(parent.with_span(span))
    }
}
