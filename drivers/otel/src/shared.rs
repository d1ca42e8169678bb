//! The state that all hooks of one [`Otel`](crate::Otel) share: the tracer, the instruments, and the settings.

use crate::known::KnownMethods;
use opentelemetry::KeyValue;
use opentelemetry::global::BoxedTracer;
use opentelemetry::metrics::{Counter, Histogram, Meter};

/// The tracer, the instruments, and the settings.
pub(crate) struct Shared {
    /// `None` if spans are not recorded.
    pub(crate) tracer: Option<BoxedTracer>,
    /// `None` if metrics are not recorded.
    pub(crate) instruments: Option<Instruments>,
    pub(crate) record_exceptions: bool,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) claims: Vec<(String, String)>,
    pub(crate) known: KnownMethods,
}

/// The bounds of the buckets of durations, in seconds, from OpenTelemetry's conventions for RPC. The SDK's defaults are for
/// milliseconds.
const DURATION_BOUNDARIES: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

pub(crate) struct Instruments {
    pub(crate) server: CallInstruments,
    pub(crate) client: CallInstruments,
    pub(crate) auth_failures: Counter<u64>,
}

/// The instruments for the calls of one role.
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
    pub(crate) fn new(meter: &Meter) -> Self {
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
                .with_boundaries(DURATION_BOUNDARIES.to_vec())
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
