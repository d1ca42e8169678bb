//! A worker that sends its spans and metrics over OTLP, to `http://localhost:4318` or the URL in `OTEL_EXPORTER_OTLP_ENDPOINT`:
//! `cargo run -p vgi-rpc-otel --example worker -- --tcp 9000`.

use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::error::Error;
use std::process::ExitCode;
use vgi_rpc_otel::{Otel, OtelConfig};
use vgi_rpc_protocol::arrow::schema::DataType;
use vgi_rpc_protocol::service::{Method, Protocol};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // Spans are sent in batches, by a thread of the provider, and metrics every minute.
    let spans = SpanExporter::builder().with_http().build()?;
    let tracer = SdkTracerProvider::builder().with_batch_exporter(spans).build();
    let metrics = MetricExporter::builder().with_http().build()?;
    let meter = SdkMeterProvider::builder().with_periodic_exporter(metrics).build();
    let otel = Otel::new(OtelConfig::new().tracer_provider(&tracer).meter_provider(&meter));

    let greet = Method::new("greet")
        .param("name", DataType::Utf8)
        .returns(DataType::Utf8)
        .unary(|args, _| Ok(format!("Hello, {}!", args.get::<&str>("name")?)));
    let protocol = Protocol::new("demo.Traced.v1").method(greet);
    let status = vgi_rpc_worker::run(|service| service.protocol(protocol).hook(otel.server()).build());

    // Sends the remaining spans and metrics. A failure is reported but is not an error of the worker.
    for ended in [tracer.shutdown(), meter.shutdown()] {
        if let Err(error) = ended {
            eprintln!("the last spans or metrics were not sent: {error}");
        }
    }
    Ok(status)
}
