"""Valid requests, and their encoding."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from random import Random

import pyarrow as pa
from pyarrow import ipc
from vgi_rpc.conformance import ConformanceService
from vgi_rpc.rpc import rpc_methods

PROTOCOL = b"ConformanceService"
VERSION = ConformanceService.protocol_version.encode()
METHOD_KEY = b"vgi_rpc.method"
PROTOCOL_KEY = b"vgi_rpc.protocol"
REQUEST_VERSION_KEY = b"vgi_rpc.request_version"
PROTOCOL_VERSION_KEY = b"vgi_rpc.protocol_version"
CANCEL_KEY = b"vgi_rpc.cancel"
CURSOR_KEY = b"vgi_rpc.stream_state#b64"
CALL_KEY = b"vgi_rpc.call_state#b64"
EMPTY = pa.schema([])
INPUT = pa.schema([pa.field("value", pa.float64())])
SCHEMAS = {name: info.params_schema for name, info in rpc_methods(ConformanceService).items()}

# Calls with the same result on every worker, by method.
UNARY = {
    "echo_string": [{"value": "héllo"}, {"value": ""}],
    "echo_bytes": [{"data": b"\x00\xff"}],
    "echo_int": [{"value": -(2**63)}, {"value": 7}],
    "echo_float": [{"value": float("nan")}, {"value": -0.0}],
    "echo_bool": [{"value": True}],
    "void_noop": [{}],
    "void_with_param": [{"value": 1}],
    "echo_enum": [{"status": "ACTIVE"}],
    "echo_list": [{"values": ["a", "", "c"]}, {"values": []}],
    "echo_dict": [{"mapping": [("a", 1), ("b", 2)]}],
    "echo_nested_list": [{"matrix": [[1, 2], [], [3]]}],
    "echo_optional_string": [{"value": None}, {"value": "x"}],
    "echo_optional_int": [{"value": None}, {"value": 3}],
    "echo_int8": [{"value": -128}],
    "echo_uint64": [{"value": 2**64 - 1}],
    "echo_float32": [{"value": 1.5}],
    "echo_large_string": [{"value": "large"}],
    "echo_dict_encoded_string": [{"value": "word"}],
    "add_floats": [{"a": 1.0, "b": 2.0}],
    "concatenate": [{"prefix": "a", "suffix": "b", "separator": "-"}],
    "with_defaults": [{"required": 1, "optional_str": "default", "optional_int": 42}],
    "raise_value_error": [{"message": "bad value"}],
    "raise_type_error": [{"message": "bad type"}],
    "echo_with_multi_logs": [{"value": "v"}],
    "echo_with_all_log_levels": [{"value": "v"}],
}
PRODUCERS = {
    "produce_n": [{"count": 3}, {"count": 0}],
    "produce_empty": [{}],
    "produce_single": [{}],
    "produce_tick_metadata": [{"count": 3}],
    "produce_annotated_batches": [{"count": 2, "rows_per_batch": 2}],
    "produce_with_logs": [{"count": 2}],
    "produce_error_mid_stream": [{"emit_before_error": 2}],
    "produce_error_on_init": [{}],
    "produce_with_header": [{"count": 2}],
    "produce_with_header_and_logs": [{"count": 2}],
}
EXCHANGES = {
    "exchange_scale": [{"factor": 2.0}],
    "exchange_accumulate": [{}],
    "exchange_with_logs": [{}],
    "exchange_zero_columns": [{}],
    "exchange_input_metadata": [{}],
    "exchange_error_on_nth": [{"fail_on": 2}],
    "exchange_error_on_init": [{}],
    "exchange_cast_compatible": [{}],
    "exchange_with_header": [{"factor": 2.0}],
}


@dataclass
class Part:
    """One Arrow IPC stream: a schema, and batches with their metadata as pairs, so that keys can repeat."""

    schema: pa.Schema
    batches: list[tuple[pa.RecordBatch, list[tuple[bytes, bytes]]]] = field(default_factory=list)

    def encode(self) -> bytes:
        sink = io.BytesIO()
        with ipc.new_stream(sink, self.schema) as writer:
            for batch, pairs in self.batches:
                writer.write_batch(batch, custom_metadata=pa.KeyValueMetadata(pairs) if pairs else None)
        return sink.getvalue()


@dataclass
class Call:
    """A call to one method."""

    method: str
    request: Part

    @property
    def pairs(self) -> list[tuple[bytes, bytes]]:
        return self.request.batches[0][1]

    def set_pairs(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self.request.batches[0] = (self.request.batches[0][0], pairs)

    def set_columns(self, fields: list[pa.Field], columns: list[pa.Array]) -> None:
        """Replace the parameters, in the schema and in the batch."""
        schema = pa.schema(fields)
        self.request = Part(schema, [(batch_of(schema, columns), self.pairs)])


def batch_of(schema: pa.Schema, columns: list[pa.Array], rows: int = 1) -> pa.RecordBatch:
    """Returns a batch of these columns; with this many rows, if there are no columns."""
    if len(schema) == 0:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def call_of(method: str, values: dict, protocol: bytes = PROTOCOL, version: bytes = VERSION) -> Call:
    """Returns the call as a client makes it."""
    schema = SCHEMAS[method]
    pairs = [
        (METHOD_KEY, method.encode()),
        (REQUEST_VERSION_KEY, b"1"),
        (PROTOCOL_KEY, protocol),
        (PROTOCOL_VERSION_KEY, version),
    ]
    columns = [pa.array([values[each.name]], type=each.type) for each in schema]
    return Call(method, Part(schema, [(batch_of(schema, columns), pairs)]))


def any_call(random: Random, *tables: dict) -> Call:
    """Returns one of the calls of these tables."""
    method = random.choice([name for table in tables for name in table])
    values = random.choice(next(table[method] for table in tables if method in table))
    return call_of(method, values)


def inputs(values: list[list[float]], schema: pa.Schema = INPUT) -> Part:
    """Returns the input of an exchange: one batch for each list of values."""
    batches = [batch_of(schema, [pa.array(each, schema[0].type)]) for each in values]
    return Part(schema, [(batch, []) for batch in batches])


def ticks(count: int) -> Part:
    """Returns the input of a producer."""
    return Part(EMPTY, [(batch_of(EMPTY, [], 0), []) for _ in range(count)])


def input_for(method: str, turns: int) -> Part:
    """Returns a valid input of this stream with this many turns."""
    if method in PRODUCERS:
        return ticks(turns)
    if method == "exchange_zero_columns":
        return ticks(turns)
    return inputs([[float(turn + 1), 0.5] for turn in range(turns)])
