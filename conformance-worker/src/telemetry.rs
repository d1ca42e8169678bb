//! Spans and metrics of the worker, with the feature `otel` and the flag `--otel`.

use crate::options::Options;
use std::error::Error;
use vgi_rpc_effects::{Perform, Performer};
use vgi_rpc_protocol::http::EndpointBuilder;
use vgi_rpc_protocol::service::ServiceBuilder;

#[cfg(feature = "otel")]
pub use exported::Telemetry;

/// Exports nothing.
#[cfg(not(feature = "otel"))]
#[derive(Clone, Debug)]
pub struct Telemetry;

#[cfg(not(feature = "otel"))]
impl Telemetry {
    /// Reads the flags, none of which enables telemetry.
    ///
    /// # Errors
    /// Never.
    pub fn of(_: &Options) -> Result<Self, Box<dyn Error>> {
        Ok(Self)
    }

    /// Observes calls.
    pub fn hook(&self, builder: ServiceBuilder) -> ServiceBuilder {
        builder
    }

    /// Counts refused callers.
    pub fn count_auth_failures(&self, builder: EndpointBuilder) -> EndpointBuilder {
        builder
    }

    /// Performs effects.
    pub fn performer(&self, perform: impl Perform) -> Performer {
        Performer::new(perform)
    }

    /// Flushes pending exports.
    pub fn shut_down(&self) {}
}

#[cfg(feature = "otel")]
mod exported {
    use super::*;
    use opentelemetry_otlp::{MetricExporter, SpanExporter};
    use opentelemetry_sdk::metrics::SdkMeterProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use vgi_rpc_otel::{Otel, OtelConfig};

    /// Empty unless the flag is given.
    #[derive(Clone, Debug)]
    pub struct Telemetry(Option<Exported>);

    #[derive(Clone, Debug)]
    struct Exported {
        otel: Otel,
        tracer: SdkTracerProvider,
        meter: SdkMeterProvider,
    }

    impl Telemetry {
        /// Returns what the flags enable.
        ///
        /// # Errors
        /// If an exporter cannot be set up.
        pub fn of(options: &Options) -> Result<Self, Box<dyn Error>> {
            if !options.otel {
                return Ok(Self(None));
            }
            // Each span is exported when it ends, before its call's response is complete: a test waits only for the
            // response.
            let spans = SpanExporter::builder().with_http().build()?;
            let tracer = SdkTracerProvider::builder().with_simple_exporter(spans).build();
            let metrics = MetricExporter::builder().with_http().build()?;
            let meter = SdkMeterProvider::builder().with_periodic_exporter(metrics).build();
            let otel = Otel::new(OtelConfig::new().tracer_provider(&tracer).meter_provider(&meter));
            Ok(Self(Some(Exported { otel, tracer, meter })))
        }

        /// Observes calls.
        pub fn hook(&self, builder: ServiceBuilder) -> ServiceBuilder {
            match &self.0 {
                Some(Exported { otel, .. }) => builder.hook(otel.server()),
                None => builder,
            }
        }

        /// Counts refused callers.
        pub fn count_auth_failures(&self, builder: EndpointBuilder) -> EndpointBuilder {
            match &self.0 {
                Some(Exported { otel, .. }) => {
                    builder.on_auth_failure(otel.auth_failures("ConformanceService"))
                }
                None => builder,
            }
        }

        /// Performs effects.
        pub fn performer(&self, perform: impl Perform) -> Performer {
            match &self.0 {
                Some(Exported { otel, .. }) => Performer::new(otel.perform(perform)),
                None => Performer::new(perform),
            }
        }

        /// Flushes pending exports.
        pub fn shut_down(&self) {
            if let Some(Exported { tracer, meter, .. }) = &self.0 {
                for ended in [tracer.shutdown(), meter.shutdown()] {
                    if let Err(error) = ended {
                        eprintln!(
                            "vgi-rpc-conformance-rust: what was left of the telemetry was not sent: {error}"
                        );
                    }
                }
            }
        }
    }
}
