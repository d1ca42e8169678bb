"""The calls that capture.py records: each with a name, its target, and a function that makes it as a client."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from io import BytesIO
from typing import NamedTuple

import pyarrow as pa
from pyarrow import ipc
from vgi_rpc.conformance import (
    AllTypes,
    BoundingBox,
    ConformanceService,
    ContainerWideTypes,
    DeepNested,
    EmbeddedArrow,
    Point,
    Status,
    WideTypes,
)
from vgi_rpc.conformance.secondary import Secondary
from vgi_rpc.rpc import AnnotatedBatch, PipeTransport, RpcError, _dispatch_log_or_error, _RpcProxy
from vgi_rpc.rpc._reflection import Reflection
from vgi_rpc.utils import IpcValidation, ValidatedReader

UNARY, PRODUCER, EXCHANGE, SEVERAL, BY_HAND = "unary", "producer", "exchange", "several", "by hand"
PRIMARY_NAME = "ConformanceService"
SECONDARY_NAME, REFLECTION_NAME = "conformance.Secondary.v1", "vgi_rpc.Reflection.v1"


class Scenario(NamedTuple):
    name: str
    protocol: str
    method: str
    kind: str
    play: Callable[[PipeTransport], object]


def call(name, method, service=ConformanceService, wire_name=PRIMARY_NAME, /, **parameters):
    """A unary call."""
    return Scenario(name, wire_name, method, UNARY, lambda t: getattr(_RpcProxy(service, t), method)(**parameters))


def stream(kind, name, method, use, **parameters):
    """A stream; `use` gets the open session, which ends after `use` at the latest."""

    def play(transport):
        with getattr(_RpcProxy(ConformanceService, transport), method)(**parameters) as session:
            use(session)

    return Scenario(name, PRIMARY_NAME, method, kind, play)


def several(name, method, play):
    """More than one call on one connection."""
    return Scenario(name, PRIMARY_NAME, method, SEVERAL, lambda t: play(_RpcProxy(ConformanceService, t)))


def by_hand(name, method="add_floats", protocol=PRIMARY_NAME, schema=None, rows=None, drop=(), **metadata):
    """A request that no generated client makes: a modified `add_floats(a=1, b=1)`."""
    schema = ADD_FLOATS if schema is None else schema
    columns = [[1.0] if rows is None else [1.0] * rows] * len(schema)
    carried = {
        "method": method,
        "request_version": "1",
        "protocol": protocol,
        "protocol_version": "2.0.0",
        **metadata,
    }
    carried = {f"vgi_rpc.{key}": value for key, value in carried.items() if key not in drop}

    def play(transport):
        sent = BytesIO()
        arrays = [pa.array(column).cast(field.type) for column, field in zip(columns, schema, strict=True)]
        with ipc.new_stream(sent, schema) as writer:
            batch = pa.record_batch(arrays, schema=schema)
            writer.write_batch(batch, custom_metadata=pa.KeyValueMetadata(carried))
        transport.writer.write(sent.getvalue())
        reader = ValidatedReader(ipc.open_stream(transport.reader), IpcValidation.FULL)
        failure = None
        while True:
            try:
                _dispatch_log_or_error(*reader.read_next_batch_with_custom_metadata())
            except RpcError as error:
                failure = error
            except StopIteration:
                break
        if failure:
            raise failure

    return Scenario(name, protocol, method if isinstance(method, str) else repr(method), BY_HAND, play)


def float_field(name, kind=None, nullable=False):
    return pa.field(name, kind or pa.float64(), nullable=nullable)


A, B = float_field("a"), float_field("b")
ADD_FLOATS = pa.schema([A, B])
NOTHING = pa.schema([])


def values(*numbers, kind=None):
    return AnnotatedBatch(pa.record_batch({"value": pa.array(numbers, kind or pa.float64())}))


def drain(session):
    list(session)


def turns(*batches):
    def use(session):
        for batch in batches:
            session.exchange(batch)

    return use


def then(*steps):
    """Use a session step by step."""
    return lambda session: [step(session) for step in steps]


def tick(session):
    session.tick()


def cancel(session):
    session.cancel()


def close(session):
    session.close()


ALL_TYPES = AllTypes(
    str_field="text",
    bytes_field=b"\x00\xff",
    int_field=-1,
    float_field=0.5,
    bool_field=True,
    list_of_int=[1, 2],
    list_of_str=["a", ""],
    dict_field={"k": 9},
    enum_field=Status.CLOSED,
    nested_point=Point(x=1.0, y=2.0),
    optional_str=None,
    optional_int=5,
    optional_nested=None,
    list_of_nested=[Point(x=3.0, y=4.0)],
    annotated_int32=7,
    annotated_float32=0.25,
    nested_list=[[1], []],
    dict_str_str={"a": "b"},
)
WIDE_TYPES = WideTypes(
    int8_field=-128,
    int16_field=-32768,
    int32_field=-(2**31),
    uint8_field=255,
    uint16_field=65535,
    uint32_field=2**32 - 1,
    uint64_field=2**64 - 1,
    float32_field=0.5,
    date_field=date(2024, 2, 29),
    timestamp_field=datetime(2024, 2, 29, 1, 2, 3, 456789),
    timestamp_utc_field=datetime(2024, 2, 29, 1, 2, 3, 456789, tzinfo=UTC),
    time_field=time(23, 59, 59, 999999),
    duration_field=timedelta(days=-1, microseconds=1),
    decimal_field=Decimal("-1234567890123456.7891"),
    large_string_field="large",
    large_binary_field=b"\x01\x02",
    fixed_binary_field=b"8 bytes!",
)
CONTAINER_WIDE_TYPES = ContainerWideTypes(
    list_decimal=[Decimal("1.5000")],
    list_date=[date(1970, 1, 1)],
    list_timestamp=[datetime(1970, 1, 1)],
    optional_date=None,
    optional_decimal=Decimal("2.0000"),
    optional_timestamp=None,
    dict_str_decimal={"a": Decimal("3.2500")},
    frozenset_int=frozenset([4]),
    list_optional_int=[1, None],
)
DEEP_NESTED = DeepNested(
    list_of_lists_decimal=[[Decimal("1.0000")], []],
    optional_list_date=[date(2024, 2, 29)],
    dict_encoded_string="one",
    list_of_dict_encoded=["one", "two", "one"],
)

UNARY_CALLS = [
    call("echo_string", "echo_string", value="hello"),
    call("echo_string_empty", "echo_string", value=""),
    call("echo_string_unicode", "echo_string", value="λ 🌍"),
    call("echo_bytes", "echo_bytes", data=b"\x00\x01\xff"),
    call("echo_int", "echo_int", value=-(2**63)),
    call("echo_float", "echo_float", value=3.25),
    call("echo_bool", "echo_bool", value=True),
    call("void_noop", "void_noop"),
    call("void_with_param", "void_with_param", value=99),
    call("echo_enum", "echo_enum", status=Status.ACTIVE),
    call("echo_list", "echo_list", values=["a", "", "c"]),
    call("echo_list_empty", "echo_list", values=[]),
    call("echo_dict", "echo_dict", mapping={"z": 1, "a": 2}),
    call("echo_nested_list", "echo_nested_list", matrix=[[1, 2], [], [3]]),
    call("echo_optional_string", "echo_optional_string", value="here"),
    call("echo_optional_string_null", "echo_optional_string", value=None),
    call("echo_optional_int_null", "echo_optional_int", value=None),
    call("echo_optional_point", "echo_optional_point", point=Point(x=1.0, y=2.0)),
    call("echo_optional_point_null", "echo_optional_point", point=None),
    call("echo_annotated_optional_int", "echo_annotated_optional_int", value=17),
    call("echo_outer_optional_non_null", "echo_outer_optional_non_null", value=23),
    call("echo_point", "echo_point", point=Point(x=1.5, y=2.5)),
    call("echo_all_types", "echo_all_types", data=ALL_TYPES),
    call(
        "echo_bounding_box",
        "echo_bounding_box",
        box=BoundingBox(top_left=Point(x=0.0, y=1.0), bottom_right=Point(x=2.0, y=3.0), label="box"),
    ),
    call("inspect_point", "inspect_point", point=Point(x=1.5, y=2.5)),
    call("echo_int8", "echo_int8", value=-128),
    call("echo_int16", "echo_int16", value=-32768),
    call("echo_int32", "echo_int32", value=-(2**31)),
    call("echo_uint8", "echo_uint8", value=255),
    call("echo_uint16", "echo_uint16", value=65535),
    call("echo_uint32", "echo_uint32", value=2**32 - 1),
    call("echo_uint64", "echo_uint64", value=2**64 - 1),
    call("echo_float32", "echo_float32", value=0.5),
    call("echo_date", "echo_date", value=date(2024, 2, 29)),
    call("echo_timestamp", "echo_timestamp", value=datetime(2024, 2, 29, 1, 2, 3, 456789)),
    call("echo_timestamp_utc", "echo_timestamp_utc", value=datetime(2024, 2, 29, 1, 2, 3, 456789, tzinfo=UTC)),
    call("echo_time", "echo_time", value=time(23, 59, 59, 999999)),
    call("echo_duration", "echo_duration", value=timedelta(days=-1, microseconds=1)),
    call("echo_decimal", "echo_decimal", value=Decimal("-12345.6789")),
    call("echo_large_string", "echo_large_string", value="large"),
    call("echo_large_binary", "echo_large_binary", value=b"\x01\x02"),
    call("echo_fixed_binary", "echo_fixed_binary", value=b"8 bytes!"),
    call("echo_wide_types", "echo_wide_types", data=WIDE_TYPES),
    call("echo_container_wide_types", "echo_container_wide_types", data=CONTAINER_WIDE_TYPES),
    call(
        "echo_embedded_arrow",
        "echo_embedded_arrow",
        data=EmbeddedArrow(batch=pa.record_batch({"x": [1, 2]}), schema=pa.schema([pa.field("y", pa.utf8())])),
    ),
    call("echo_deep_nested", "echo_deep_nested", data=DEEP_NESTED),
    call("echo_dict_encoded_string", "echo_dict_encoded_string", value="one"),
    call("echo_status_list", "echo_status_list", statuses=[Status.ACTIVE, Status.PENDING, Status.ACTIVE]),
    # Two dictionaries in one request, each inside a container.
    call(
        "pack_nested_containers",
        "pack_nested_containers",
        statuses=[Status.CLOSED, Status.ACTIVE, Status.CLOSED],
        points=[Point(x=1.0, y=2.0)],
        status_by_name={"a": Status.PENDING, "b": Status.ACTIVE},
    ),
    call("add_floats", "add_floats", a=1.25, b=2.5),
    call("concatenate_default", "concatenate", prefix="hello", suffix="world"),
    call("with_defaults", "with_defaults", required=1),
    call("raise_value_error", "raise_value_error", message="golden"),
    call("raise_runtime_error", "raise_runtime_error", message="golden"),
    call("raise_type_error", "raise_type_error", message="golden"),
    call("open_counter_without_session", "open_counter", initial=1),
    call("published_string_without_storage", "published_string", value="x", include_sha256=False),
    call("echo_with_info_log", "echo_with_info_log", value="lvl"),
    call("echo_with_multi_logs", "echo_with_multi_logs", value="lvl"),
    call("echo_with_log_extras", "echo_with_log_extras", value="lvl"),
    call("echo_with_all_log_levels", "echo_with_all_log_levels", value="lvl"),
]

SECONDARY_CALLS = [
    call(name, method, Secondary, SECONDARY_NAME, **parameters)
    for name, method, parameters in (
        ("secondary_echo_string", "echo_string", {"value": "hello"}),
        ("secondary_fail", "fail", {"code": "NOT_FOUND", "kind": "gone", "retry_delay_seconds": 0.0}),
        ("secondary_fail_retry", "fail", {"code": "UNAVAILABLE", "kind": "", "retry_delay_seconds": 1.5}),
        ("secondary_fail_invalid_code", "fail", {"code": "NO_SUCH", "kind": "", "retry_delay_seconds": 0.0}),
        ("secondary_fail_oversized", "fail_oversized", {}),
    )
]

REFLECTION_CALLS = [
    call("reflection_list_protocols", "list_protocols", Reflection, REFLECTION_NAME),
    call("reflection_describe_secondary", "describe", Reflection, REFLECTION_NAME, protocol=SECONDARY_NAME),
    call("reflection_describe_reflection", "describe", Reflection, REFLECTION_NAME, protocol=REFLECTION_NAME),
    call("reflection_describe_unknown", "describe", Reflection, REFLECTION_NAME, protocol="no.Such.v1"),
]

PRODUCERS = [
    stream(PRODUCER, "produce_n", "produce_n", drain, count=3),
    stream(PRODUCER, "produce_empty", "produce_empty", drain),
    stream(PRODUCER, "produce_single", "produce_single", drain),
    stream(PRODUCER, "produce_large_batches", "produce_large_batches", drain, rows_per_batch=50, batch_count=2),
    stream(PRODUCER, "produce_annotated_batches", "produce_annotated_batches", drain, count=2, rows_per_batch=1),
    stream(PRODUCER, "produce_with_logs", "produce_with_logs", drain, count=2),
    stream(PRODUCER, "produce_error_mid_stream", "produce_error_mid_stream", drain, emit_before_error=2),
    stream(PRODUCER, "produce_error_on_init", "produce_error_on_init", drain),
    stream(PRODUCER, "produce_with_header", "produce_with_header", drain, count=2),
    stream(PRODUCER, "produce_with_header_and_logs", "produce_with_header_and_logs", drain, count=2),
    stream(PRODUCER, "produce_with_rich_header", "produce_with_rich_header", drain, seed=6, count=1),
    stream(
        PRODUCER,
        "produce_dynamic_schema",
        "produce_dynamic_schema",
        drain,
        seed=7,
        count=2,
        include_strings=True,
        include_floats=True,
    ),
    stream(
        PRODUCER,
        "produce_tick_metadata",
        "produce_tick_metadata",
        then(tick, lambda session: session.tick(pa.KeyValueMetadata({"vgi.conformance.tick": "second"})), drain),
        count=2,
    ),
    stream(PRODUCER, "producer_cancel_before_tick", "cancellable_producer", cancel),
    stream(PRODUCER, "producer_cancel_mid_stream", "cancellable_producer", then(tick, tick, cancel)),
    stream(PRODUCER, "producer_close_before_tick", "cancellable_producer", close),
    stream(PRODUCER, "producer_close_mid_stream", "cancellable_producer", then(tick, close)),
]

EXCHANGES = [
    stream(EXCHANGE, "exchange_scale", "exchange_scale", turns(values(1.0, 2.0), values(-3.0)), factor=2.0),
    stream(EXCHANGE, "exchange_scale_no_rows", "exchange_scale", turns(values()), factor=2.0),
    stream(EXCHANGE, "exchange_accumulate", "exchange_accumulate", turns(values(1.0, 2.0), values(3.0))),
    stream(EXCHANGE, "exchange_with_logs", "exchange_with_logs", turns(values(1.0))),
    stream(EXCHANGE, "exchange_error_on_nth", "exchange_error_on_nth", turns(values(1.0), values(2.0)), fail_on=2),
    stream(EXCHANGE, "exchange_error_on_init", "exchange_error_on_init", turns(values(1.0))),
    stream(
        EXCHANGE,
        "exchange_zero_columns",
        "exchange_zero_columns",
        turns(*[AnnotatedBatch(pa.record_batch([], schema=NOTHING))] * 2),
    ),
    stream(
        EXCHANGE,
        "exchange_input_metadata",
        "exchange_input_metadata",
        turns(
            AnnotatedBatch(values(1.0).batch, pa.KeyValueMetadata({"vgi.conformance.input": "first", "other": "x"})),
            values(2.0),
        ),
    ),
    stream(EXCHANGE, "exchange_cast_int64", "exchange_cast_compatible", turns(values(1, 2, kind=pa.int64()))),
    stream(EXCHANGE, "exchange_cast_float32", "exchange_cast_compatible", turns(values(0.5, kind=pa.float32()))),
    stream(
        EXCHANGE,
        "exchange_cast_impossible",
        "exchange_cast_compatible",
        turns(AnnotatedBatch(pa.record_batch({"other": [1.0]}))),
    ),
    stream(EXCHANGE, "exchange_with_header", "exchange_with_header", turns(values(1.0)), factor=2.0),
    stream(EXCHANGE, "exchange_with_rich_header", "exchange_with_rich_header", turns(values(1.0)), seed=4, factor=2.0),
    stream(EXCHANGE, "exchange_cancel_before_turn", "cancellable_exchange", cancel),
    stream(EXCHANGE, "exchange_cancel_mid_stream", "cancellable_exchange", then(turns(values(1.0)), cancel)),
    stream(EXCHANGE, "exchange_close_before_turn", "cancellable_exchange", close),
    stream(EXCHANGE, "exchange_close_mid_stream", "cancellable_exchange", then(turns(values(1.0)), close)),
]


def fail_then_recover(service):
    try:
        service.raise_value_error(message="golden")
    except RpcError:
        service.echo_string(value="recovered")


def stream_then_call(service):
    list(service.produce_n(count=1))
    service.echo_string(value="after")


def cancel_and_count(service):
    service.reset_cancel_probe()
    service.cancellable_exchange().cancel()
    service.cancel_probe_counters()


CONNECTIONS = [
    several(
        "two_calls",
        "echo_string, echo_int",
        lambda service: (service.echo_string(value="one"), service.echo_int(value=2)),
    ),
    several("call_after_error", "raise_value_error, echo_string", fail_then_recover),
    several("call_after_stream", "produce_n, echo_string", stream_then_call),
    several("calls_around_cancel", "reset_cancel_probe, cancellable_exchange, cancel_probe_counters", cancel_and_count),
]

REQUESTS_BY_HAND = [
    by_hand("transport_options", "__transport_options__", schema=NOTHING, drop=("protocol", "protocol_version")),
    by_hand("retired_describe", "__describe__", schema=NOTHING, drop=("protocol", "protocol_version")),
    by_hand("unknown_method", "no_such_method"),
    by_hand("unknown_protocol", protocol="no.Such.v1"),
    by_hand("missing_protocol", drop=("protocol",)),
    by_hand("missing_method", drop=("method",)),
    by_hand("non_utf8_method", b"\xff\xfe"),
    by_hand("missing_request_version", drop=("request_version",)),
    by_hand("wrong_request_version", request_version="999"),
    by_hand("missing_protocol_version", drop=("protocol_version",)),
    by_hand("protocol_version_mismatch", protocol_version="1.0.0"),
    by_hand("protocol_version_other_patch", protocol_version="2.0.9"),
    by_hand("missing_field", schema=pa.schema([A])),
    by_hand("extra_field", schema=pa.schema([A, B, float_field("c")])),
    by_hand("wrong_name", schema=pa.schema([float_field("x"), B])),
    by_hand("wrong_order", schema=pa.schema([B, A])),
    by_hand("wrong_type", schema=pa.schema([float_field("a", pa.utf8()), B])),
    by_hand("wrong_nullability", schema=pa.schema([float_field("a", nullable=True), B])),
    by_hand("zero_rows", rows=0),
    by_hand("two_rows", rows=2),
]

SCENARIOS = [
    *UNARY_CALLS,
    *SECONDARY_CALLS,
    *REFLECTION_CALLS,
    *PRODUCERS,
    *EXCHANGES,
    *CONNECTIONS,
    *REQUESTS_BY_HAND,
]
