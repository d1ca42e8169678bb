//! Settings, and what is made of them.

use crate::client::OtelClient;
use crate::external::OtelPerform;
use crate::known::KnownMethods;
use crate::names;
use crate::server::OtelServer;
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider};
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use std::fmt;
use std::sync::Arc;
use vgi_rpc_effects::Perform;
use vgi_rpc_protocol::http::auth::AuthError;

/// What is traced and measured, and by which providers. Every setting says its default.
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
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what makes the tracer. Default: the global provider.
    pub fn tracer_provider<P, T>(mut self, provider: &P) -> Self
    where
        P: TracerProvider<Tracer = T>,
        T: Tracer + Send + Sync + 'static,
        T::Span: Send + Sync + 'static,
    {
        self.tracer = Some(BoxedTracer::new(Box::new(provider.tracer_with_scope(scope()))));
        self
    }

    /// Sets what makes the meter. Default: the global provider.
    pub fn meter_provider(mut self, provider: &impl MeterProvider) -> Self {
        self.meter = Some(provider.meter_with_scope(scope()));
        self
    }

    /// Sets whether spans are made. Default true.
    pub fn enable_tracing(mut self, enable: bool) -> Self {
        self.tracing = enable;
        self
    }

    /// Sets whether calls are counted and their durations recorded. Default true.
    pub fn enable_metrics(mut self, enable: bool) -> Self {
        self.metrics = enable;
        self
    }

    /// Sets whether the span of a call that failed has an event with the error, whose message may repeat what the caller
    /// sent. Default true.
    pub fn record_exceptions(mut self, record: bool) -> Self {
        self.record_exceptions = record;
        self
    }

    /// Adds an attribute to every span of a server, and to the counter of authentication failures.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push(KeyValue::new(name.into(), value.into()));
        self
    }

    /// Has a claim of the caller put into an attribute of the server's spans, if it is a text, a number or a truth value, as text.
    /// Claims are never part of metrics. Default: no claim is.
    pub fn claim_attribute(mut self, claim: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.claims.push((claim.into(), attribute.into()));
        self
    }
}

/// What all that an [`Otel`] gives shares.
pub(crate) struct Shared {
    /// `None` when no spans are made.
    pub(crate) tracer: Option<BoxedTracer>,
    /// `None` when nothing is measured.
    pub(crate) instruments: Option<Instruments>,
    pub(crate) record_exceptions: bool,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) claims: Vec<(String, String)>,
    pub(crate) known: KnownMethods,
}

pub(crate) struct Instruments {
    pub(crate) server: CallInstruments,
    pub(crate) client: CallInstruments,
    auth_failures: Counter<u64>,
}

/// How calls of one role are measured.
pub(crate) struct CallInstruments {
    requests: Counter<u64>,
    duration: Histogram<f64>,
}

impl CallInstruments {
    pub(crate) fn record(&self, seconds: f64, labels: &[KeyValue]) {
        self.requests.add(1, labels);
        self.duration.record(seconds, labels);
    }
}

impl Instruments {
    fn new(meter: &Meter) -> Self {
        let of_calls = |requests: &'static str, duration: &'static str, what: &str| CallInstruments {
            requests: meter
                .u64_counter(requests)
                .with_unit("{request}")
                .with_description(format!("Number of RPC requests {what}"))
                .build(),
            duration: meter
                .f64_histogram(duration)
                .with_unit("s")
                .with_description("Duration of RPC requests")
                .build(),
        };
        Self {
            server: of_calls("rpc.server.requests", "rpc.server.duration", "handled"),
            client: of_calls("rpc.client.requests", "rpc.client.duration", "made"),
            auth_failures: meter
                .u64_counter("rpc.server.auth_failure")
                .with_unit("{failure}")
                .with_description("Number of authentication failures before RPC dispatch")
                .build(),
        }
    }
}

/// Traces and measures. Clones share the tracer and the instruments.
#[derive(Clone)]
pub struct Otel(Arc<Shared>);

impl fmt::Debug for Otel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otel")
            .field("tracing", &self.0.tracer.is_some())
            .field("metrics", &self.0.instruments.is_some())
            .finish_non_exhaustive()
    }
}

impl Otel {
    /// What the settings say. Where they name no provider, the global one is used as it is now: set it before.
    pub fn new(config: OtelConfig) -> Self {
        let OtelConfig { tracer, meter, tracing, metrics, record_exceptions, attributes, claims } = config;
        let tracer = tracing.then(|| tracer.unwrap_or_else(|| global::tracer_with_scope(scope())));
        let meter = metrics.then(|| meter.unwrap_or_else(|| global::meter_with_scope(scope())));
        let instruments = meter.as_ref().map(Instruments::new);
        let known = KnownMethods::default();
        Self(Arc::new(Shared { tracer, instruments, record_exceptions, attributes, claims, known }))
    }

    /// Traces and measures the calls of a service: for `ServiceBuilder::hook`.
    pub fn server(&self) -> OtelServer {
        OtelServer(self.0.clone())
    }

    /// Traces and measures the calls of a client: for `Client::hook`.
    pub fn client(&self) -> OtelClient {
        OtelClient(self.0.clone())
    }

    /// Performs effects as `perform` does, and traces the transfers of external objects.
    pub fn perform<P: Perform>(&self, perform: P) -> OtelPerform<P> {
        OtelPerform { shared: self.0.clone(), perform }
    }

    /// Counts callers that were refused with 401: for `EndpointBuilder::on_auth_failure`. `service` is what the metric names as
    /// [`rpc.service`](names::SERVICE), usually the first protocol that is hosted. That authentication was unavailable or has
    /// failed by itself is not counted.
    pub fn auth_failures(&self, service: impl Into<String>) -> impl Fn(&AuthError) + Send + Sync + 'static {
        let shared = self.0.clone();
        let mut labels = vec![
            KeyValue::new(names::SYSTEM, names::SYSTEM_VALUE),
            KeyValue::new(names::SERVICE, service.into()),
        ];
        labels.extend(shared.attributes.iter().cloned());
        move |error| {
            let (AuthError::Refused(failure) | AuthError::Denied(failure)) = error else { return };
            if let Some(instruments) = &shared.instruments {
                let reason = KeyValue::new(names::AUTH_ERROR_TYPE, failure.reason.as_str());
                let labels: Vec<_> = labels.iter().cloned().chain([reason]).collect();
                instruments.auth_failures.add(1, &labels);
            }
        }
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(names::SCOPE).with_version(names::SCOPE_VERSION).build()
}
