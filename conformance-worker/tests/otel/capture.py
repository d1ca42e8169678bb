"""Captures the reference's spans and metrics for calls of the conformance suite, for comparison in a Rust test.

    python3.13 -m venv VENV
    VENV/bin/pip install 'vgi-rpc[http,conformance,external]==0.52.2' opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
    VENV/bin/python conformance-worker/tests/otel/capture.py

It writes reference.json next to itself. The calls on byte streams are the requests of tests/golden, each on its own connection.
Over HTTP they are the first stream of some of those requests, each in one POST, and two streams that a client drives. The
reference's OTLP exporter sends to a receiver in this process, so the file has what was on the wire.

`wire` has for each scenario the spans in the order in which they ended; `http` the same for each request, with the bytes of the
request body; `metrics` each point of the whole run over HTTP, without its value if that is a time.

`external` has the spans of calls on byte streams whose batches are in a small object store in this process. There, `STORE`
replaces its address, 0 a time, and the name of a span its id as a parent.
"""

from __future__ import annotations

import json
import logging
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pyarrow as pa
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from vgi_rpc.conformance import ConformanceService, ConformanceServiceImpl
from vgi_rpc.conformance.secondary import conformance_extra_protocols
from vgi_rpc.external import Compression, ServerExternalConfig
from vgi_rpc.http import http_connect, make_sync_client
from vgi_rpc.http._unauthorized import AuthFailure, AuthReason
from vgi_rpc.otel import OtelConfig, instrument_server
from vgi_rpc.rpc import AnnotatedBatch, AuthContext, PipeTransport, RpcServer

HERE = Path(__file__).parent
GOLDEN = HERE.parents[2] / "tests" / "golden"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER_TRACEPARENT = "00-11111111111111111111111111111111-2222222222222222-01"
USER_AGENT = "vgi-rpc-test/1.0"
# Requests of tests/golden that are also sent over HTTP: calls that succeed and fail, and openings of streams.
OVER_HTTP = [
    "add_floats",
    "echo_all_types",
    "echo_string",
    "void_noop",
    "raise_value_error",
    "raise_runtime_error",
    "raise_type_error",
    "secondary_echo_string",
    "secondary_fail",
    "reflection_list_protocols",
    "produce_n",
    "produce_with_header",
    "produce_error_on_init",
    "exchange_scale",
    "exchange_error_on_init",
    "protocol_version_mismatch",
    "wrong_type",
    "unknown_method",
    "unknown_protocol",
]
KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"]
STATUSES = ["unset", "ok", "error"]


class Received:
    """The exported data."""

    def __init__(self):
        self.spans = []
        self.metrics = []

    def take_spans(self):
        spans, self.spans = self.spans, []
        return spans


def value(any_value):
    kind = any_value.WhichOneof("value")
    return getattr(any_value, kind)


def attributes(pairs):
    return {pair.key: value(pair.value) for pair in sorted(pairs, key=lambda pair: pair.key)}


def span_of(scope, span):
    return {
        "scope": [scope.name, scope.version],
        "name": span.name,
        "kind": KINDS[span.kind],
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "trace_of_parent": span.trace_id.hex() if span.parent_span_id else "",
        "status": STATUSES[span.status.code],
        "message": span.status.message,
        "attributes": attributes(span.attributes),
        "events": [{"name": event.name, "attributes": attributes(event.attributes)} for event in span.events],
    }


def points_of(scope, metric):
    kind = metric.WhichOneof("data")
    for point in getattr(metric, kind).data_points:
        yield {
            "scope": [scope.name, scope.version],
            "name": metric.name,
            "unit": metric.unit,
            "description": metric.description,
            "kind": kind,
            "count": point.count if kind == "histogram" else point.as_int,
            "attributes": attributes(point.attributes),
        }


def receiver(received):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.endswith("/v1/traces"):
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scoped in resource.scope_spans:
                        received.spans += [span_of(scoped.scope, span) for span in scoped.spans]
            else:
                received.metrics.clear()
                for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    for scoped in resource.scope_metrics:
                        for metric in scoped.metrics:
                            received.metrics += points_of(scoped.scope, metric)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def providers(url):
    tracer = TracerProvider()
    tracer.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces")))
    meter = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(f"{url}/v1/metrics"), 3_600_000)])
    return tracer, meter


def new_server(**more):
    return RpcServer(
        ConformanceService,
        ConformanceServiceImpl(),
        server_id="golden-server",
        enable_describe=True,
        extra_protocols=conformance_extra_protocols(),
        **more,
    )


def request_of(name):
    return (GOLDEN / f"{name}.request.bin").read_bytes()


def first_stream(data):
    source = BytesIO(data)
    with pa.ipc.open_stream(source) as reader:
        for _ in reader:
            pass
    return data[: source.tell()]


def on_wire(scenario, config):
    server = instrument_server(new_server(), config)
    server.serve(PipeTransport(BytesIO(request_of(scenario)), BytesIO()))


def authenticate(request):
    """A caller named by a header, as with the Rust worker's flag --sticky-auth; anonymous without it."""
    principal = request.get_header("x-conformance-principal")
    if principal == "nobody-may":
        raise AuthFailure(AuthReason.INVALID_CREDENTIAL, "not good")
    if principal:
        return AuthContext(domain="conformance", authenticated=True, principal=principal)
    return AuthContext.anonymous()


def over_http(received, config, index):
    client = make_sync_client(new_server(), otel_config=config, authenticate=authenticate)
    cases = {}

    def post(name, path, body, **headers):
        headers = {"Content-Type": "application/vnd.apache.arrow.stream", "User-Agent": USER_AGENT, **headers}
        client.post(path, content=body, headers=headers)
        cases[name] = {"path": path, "bytes": len(body), "headers": headers, "spans": received.take_spans()}

    for name in OVER_HTTP:
        known = index[name]
        opening = "" if known["kind"] in ("unary", "by hand") else "/init"
        post(name, f"/{known['protocol']}/{known['method']}{opening}", first_stream(request_of(name)))
    traced = first_stream(request_of("echo_string"))
    path = "/ConformanceService/echo_string"
    post("with a trace in the headers", path, traced, traceparent=TRACEPARENT, tracestate="vendor=value")
    post("with a caller", path, traced, **{"x-conformance-principal": "ann"})
    post("with what is no trace", path, traced, traceparent="00-nothing-01")
    with http_connect(ConformanceService, client=client) as proxy:
        list(proxy.produce_n(count=3))
        cases["a producer of three"] = {"spans": received.take_spans()}
        with proxy.exchange_scale(factor=2.0) as session:
            for number in (1.0, 2.0):
                session.exchange(AnnotatedBatch(pa.record_batch({"value": pa.array([number], pa.float64())})))
        cases["an exchange of two"] = {"spans": received.take_spans()}
    # Last: the reference keeps a trace from metadata until its thread ends or the next one arrives.
    with_metadata = with_traceparent(traced, OTHER_TRACEPARENT)
    post("with a trace in the metadata", path, with_metadata)
    post("with a trace in both", path, with_metadata, traceparent=TRACEPARENT)
    (HERE / "traced.request.bin").write_bytes(with_metadata)
    return cases


def with_traceparent(data, traceparent):
    """Returns the request with one more metadata key."""
    sent = BytesIO()
    with pa.ipc.open_stream(BytesIO(data)) as reader:
        batch, metadata = reader.read_next_batch_with_custom_metadata()
        with pa.ipc.new_stream(sent, reader.schema) as writer:
            carried = {**dict(metadata), b"traceparent": traceparent.encode()}
            writer.write_batch(batch, custom_metadata=pa.KeyValueMetadata(carried))
    return sent.getvalue()


class Store:
    """Stores objects, and serves them over HTTP at URLs with credentials and a signature."""

    def __init__(self):
        self.objects = {}
        objects = self.objects

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.answer()

            def do_GET(self):
                self.wfile.write(self.answer())

            def answer(self):
                body, coding = objects.get(self.path.split("?")[0], (None, None))
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                if coding:
                    self.send_header("Content-Encoding", coding)
                self.end_headers()
                return body or b""

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{server.server_port}"

    def upload(self, data, schema, *, content_encoding=None):
        path = f"/objects/{len(self.objects)}"
        self.objects[path] = (data, content_encoding)
        return f"http://user:password@{self.address}{path}?X-Signature=s3cr3t#part"


def edited(data, batch=None, **metadata):
    """Returns the request with another batch and more metadata."""
    sent = BytesIO()
    with pa.ipc.open_stream(BytesIO(data)) as reader:
        own, carried = reader.read_next_batch_with_custom_metadata()
        with pa.ipc.new_stream(sent, reader.schema) as writer:
            carried = {**dict(carried), **{key.replace("__", ".").encode(): value.encode() for key, value in metadata.items()}}
            batch = own if batch is None else pa.record_batch(batch, reader.schema)
            writer.write_batch(batch, custom_metadata=pa.KeyValueMetadata(carried))
    return sent.getvalue()


def external(received, tracer, meter):
    trace.set_tracer_provider(tracer)
    request = first_stream(request_of("echo_string"))
    long = edited(request, [["long " * 2000]])
    cases = {}

    def call(name, request_of_store, compression=None):
        store = Store()
        settings = ServerExternalConfig(
            storage=store,
            externalize_threshold_bytes=4096,
            retry_delay_seconds=0,
            compression=compression,
            url_validator=None,
        )
        config = OtelConfig(tracer_provider=tracer, meter_provider=meter)
        server = instrument_server(new_server(external_location=settings), config)
        # An unfetchable request ends the reference's loop.
        with suppress(RuntimeError):
            server.serve(PipeTransport(BytesIO(request_of_store(store)), BytesIO()))
        spans = received.take_spans()
        names = {span["id"]: span["name"] for span in spans}
        text = json.dumps(spans).replace(store.address, "STORE")
        assert "s3cr3t" not in text and "password" not in text
        cases[name] = json.loads(text)
        for span in cases[name]:
            span["parent"] = names.get(span["parent"], span["parent"])
            span["trace_of_parent"] = ""
            if "fetch_duration_ms" in span["attributes"]:
                span["attributes"]["fetch_duration_ms"] = 0

    def pointer(store, path):
        return edited(request, [[]], vgi_rpc__location=f"http://{store.address}{path}?X-Signature=s3cr3t")

    def kept(store):
        store.objects["/objects/given"] = (edited(request), None)
        return pointer(store, "/objects/given")

    call("an output that is stored", lambda store: long)
    call("an output that is stored with a coding", lambda store: long, Compression("zstd"))
    call("a request that is fetched", kept)
    call("a request whose object is gone", lambda store: pointer(store, "/objects/gone"))
    return cases


def main():
    logging.disable()
    received = Received()
    url = receiver(received)
    index = json.loads((GOLDEN / "index.json").read_text())["scenarios"]
    wire = {}
    tracer, meter = providers(url)
    for scenario in index:
        on_wire(scenario, OtelConfig(tracer_provider=tracer, meter_provider=meter))
        wire[scenario] = received.take_spans()
    meter.shutdown()
    # Before a trace arrives in metadata, which the reference does not forget at once.
    transfers = external(received, *providers(url))
    tracer, meter = providers(url)
    http = over_http(received, OtelConfig(tracer_provider=tracer, meter_provider=meter), index)
    meter.shutdown()
    metrics = sorted(received.metrics, key=lambda point: (point["name"], json.dumps(point["attributes"])))
    for spans in [*wire.values(), *(case["spans"] for case in http.values()), *transfers.values()]:
        for span in spans:
            # It differs each time.
            del span["id"]
            for event in span["events"]:
                # Contains paths of this machine, and lines of the reference.
                event["attributes"].pop("exception.stacktrace", None)
    body = {
        "about": "Spans and metrics of vgi-rpc 0.52.2, as capture.py received them over OTLP",
        "wire": wire,
        "http": http,
        "external": transfers,
        "metrics": metrics,
    }
    rows = (
        f'  {json.dumps(part)}: {json.dumps(body[part])}'
        if part == "about"
        else f"  {json.dumps(part)}: {{\n" + ",\n".join(f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in body[part].items()) + "\n  }"
        if isinstance(body[part], dict)
        else f"  {json.dumps(part)}: [\n" + ",\n".join(f"    {json.dumps(v)}" for v in body[part]) + "\n  ]"
        for part in body
    )
    (HERE / "reference.json").write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
