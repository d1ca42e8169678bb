//! Settings of spans and metrics.

use crate::known::KnownMethods;
use crate::names;
use crate::shared::{Instruments, Shared};
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use std::fmt;

/// What is traced and measured, and by which providers. The documentation of each setting has its default.
pub struct OtelConfig {
    tracer: Option<BoxedTracer>,
    meter: Option<Meter>,
    tracing: bool,
    metrics: bool,
    record_exceptions: bool,
    attributes: Vec<KeyValue>,
    claims: Vec<(String, String)>,
}

impl Default for OtelConfig {
    fn default() -> Self {
        Self {
            tracer: None,
            meter: None,
            tracing: true,
            metrics: true,
            record_exceptions: true,
            attributes: Vec::new(),
            claims: Vec::new(),
        }
    }
}

impl fmt::Debug for OtelConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtelConfig")
            .field("tracing", &self.tracing)
            .field("metrics", &self.metrics)
            .field("record_exceptions", &self.record_exceptions)
            .field("attributes", &self.attributes)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

impl OtelConfig {
    /// Returns the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the provider of the tracer. Default: the global provider.
    pub fn tracer_provider<P, T>(mut self, provider: &P) -> Self
    where
        P: TracerProvider<Tracer = T>,
        T: Tracer + Send + Sync + 'static,
        T::Span: Send + Sync + 'static,
    {
        self.tracer = Some(BoxedTracer::new(Box::new(provider.tracer_with_scope(scope()))));
        self
    }

    /// Sets the provider of the meter. Default: the global provider.
    pub fn meter_provider(mut self, provider: &impl MeterProvider) -> Self {
        self.meter = Some(provider.meter_with_scope(scope()));
        self
    }

    /// Sets whether spans are recorded. Default true.
    pub fn enable_tracing(mut self, enable: bool) -> Self {
        self.tracing = enable;
        self
    }

    /// Sets whether calls are counted and their durations recorded. Default true.
    pub fn enable_metrics(mut self, enable: bool) -> Self {
        self.metrics = enable;
        self
    }

    /// Sets whether the span of a failed call has an event with the error, whose message may repeat data of the caller. Default
    /// true.
    pub fn record_exceptions(mut self, record: bool) -> Self {
        self.record_exceptions = record;
        self
    }

    /// Adds an attribute to every span of a server, and to the counter of authentication failures.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push(KeyValue::new(name.into(), value.into()));
        self
    }

    /// Records a claim of the caller as an attribute of the server's spans, as a string, if it is a string, a number or a
    /// boolean. Claims are never part of metrics. Default: no claims are recorded.
    pub fn claim_attribute(mut self, claim: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.claims.push((claim.into(), attribute.into()));
        self
    }

    /// Creates the shared state from the settings. Without a provider, the current global one is used.
    pub(crate) fn into_shared(self) -> Shared {
        let Self { tracer, meter, tracing, metrics, record_exceptions, attributes, claims } = self;
        let tracer = tracing.then(|| tracer.unwrap_or_else(|| global::tracer_with_scope(scope())));
        let meter = metrics.then(|| meter.unwrap_or_else(|| global::meter_with_scope(scope())));
        let instruments = meter.as_ref().map(Instruments::new);
        let known = KnownMethods::default();
        Shared { tracer, instruments, record_exceptions, attributes, claims, known }
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(names::SCOPE).with_version(names::SCOPE_VERSION).build()
}
