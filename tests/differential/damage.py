"""Damage to a request, on any transport. Each function changes a call in place, and returns a description.

A function of BYTES changes the bytes instead. `Closeness` defines how closely the responses are compared.
"""

from __future__ import annotations

import enum
from random import Random

import pyarrow as pa

from differential import calls
from differential.calls import Call, Part, batch_of


class Closeness(enum.IntEnum):
    """What the two workers must agree on, as far as the specification defines it."""

    # The bytes are no longer Arrow: an error, or the end of the connection. Only the refusal is defined.
    REFUSAL = 1
    # Which of several faults is found first is not defined; but the connection must stay in sync.
    IN_STEP = 2
    # The response, or the class of the error.
    EXACT = 3


KEYS = {
    "method": calls.METHOD_KEY,
    "protocol": calls.PROTOCOL_KEY,
    "request version": calls.REQUEST_VERSION_KEY,
    "protocol version": calls.PROTOCOL_VERSION_KEY,
}
WRONG = {
    "method": [b"no_such_method", b"Echo_String", b"", b" ", b"__init__", b"\xff\xfe", b"__describe__", b"a" * 300],
    "protocol": [b"NoSuch", b"conformanceservice", b"", b"bad name", b"vgi_rpc.Reflection.v2", b"\xff\xfe",
        b"a" * 300],
    "request version": [b"2", b"0", b"", b"1.0", b" 1", b"01", b"\xff"],
    "protocol version": [
        *(b"2.0.9", b"2.1.0", b"1.0.0", b"3.0.0", b"", b"2", b"2.0", b"2.0.0-rc1", b"2.0.0+b", b"02.0.0", b" 2.0.0"),
        *(b"2.0.x", b"-2.0.0", b"2.0.0.0", b"\xff", b"2.0.99999999999999999999", b"99999999999999999999.0.0"),
    ],
}
TYPES = [pa.int64(), pa.int32(), pa.float64(), pa.float32(), pa.string(), pa.large_string(), pa.binary(), pa.bool_()]


def key_missing(random: Random, call: Call) -> str:
    name = random.choice(list(KEYS))
    call.set_pairs([pair for pair in call.pairs if pair[0] != KEYS[name]])
    return f"no {name}"


def key_wrong(random: Random, call: Call) -> str:
    name = random.choice(list(KEYS))
    value = random.choice(WRONG[name])
    call.set_pairs([(key, value if key == KEYS[name] else old) for key, old in call.pairs])
    return f"{name} is {value[:20]!r}"


def key_twice(random: Random, call: Call) -> str:
    name = random.choice(list(KEYS))
    value = random.choice(WRONG[name]) if random.random() < 0.7 else dict(call.pairs).get(KEYS[name], b"1")
    first = random.random() < 0.5
    extra = [(KEYS[name], value)]
    call.set_pairs(extra + call.pairs if first else call.pairs + extra)
    return f"{name} is also {value[:20]!r}, {'before' if first else 'after'} the right one"


def key_foreign(random: Random, call: Call) -> str:
    pair = random.choice(
        [
            *((b"traceparent", b"00-zz"), (b"vgi_rpc.request_id", b"0123456789abcdef"), (b"vgi_rpc.unknown", b"x")),
            *((b"", b""), (b"\xff\xfe", b"\xff"), (b"application", b"\xff\x00"), (calls.CANCEL_KEY, b"1")),
            *((b"vgi_rpc.log_level", b"EXCEPTION"), (b"vgi_rpc.request_id", b""), (b"x", b"y" * 3000)),
        ]
    )
    call.set_pairs([*call.pairs, pair])
    return f"with {pair[0]!r} = {pair[1][:20]!r}"


def no_metadata(_random: Random, call: Call) -> str:
    call.set_pairs([])
    return "no metadata"


def column_missing(random: Random, call: Call) -> str:
    fields, columns = list(call.request.schema), call.request.batches[0][0].columns
    if not fields:
        return column_extra(random, call)
    at = random.randrange(len(fields))
    gone = fields.pop(at)
    call.set_columns(fields, [column for index, column in enumerate(columns) if index != at])
    return f"no column {gone.name}"


def column_extra(random: Random, call: Call) -> str:
    fields, columns = list(call.request.schema), list(call.request.batches[0][0].columns)
    at = random.randrange(len(fields) + 1)
    name = random.choice(["extra", "", "ctx", "self", *(field.name for field in fields)])
    fields.insert(at, pa.field(name, pa.int64(), nullable=random.random() < 0.5))
    columns.insert(at, pa.array([1], pa.int64()))
    call.set_columns(fields, columns)
    return f"another column {name!r} at {at}"


def column_renamed(random: Random, call: Call) -> str:
    fields = list(call.request.schema)
    if not fields:
        return column_extra(random, call)
    at = random.randrange(len(fields))
    name = random.choice(["renamed", fields[at].name.upper(), "", fields[at].name + " "])
    fields[at] = fields[at].with_name(name)
    call.set_columns(fields, call.request.batches[0][0].columns)
    return f"column {at} is named {name!r}"


def columns_reordered(random: Random, call: Call) -> str:
    fields, columns = list(call.request.schema), list(call.request.batches[0][0].columns)
    if len(fields) < 2:
        return column_renamed(random, call)
    call.set_columns(fields[::-1], columns[::-1])
    return "columns in reverse"


def column_retyped(random: Random, call: Call) -> str:
    fields, columns = list(call.request.schema), list(call.request.batches[0][0].columns)
    if not fields:
        return column_extra(random, call)
    at = random.randrange(len(fields))
    kind = random.choice([each for each in TYPES if each != fields[at].type])
    try:
        columns[at] = columns[at].cast(kind)
    except pa.ArrowException:
        columns[at] = pa.array([None],
            kind) if random.random() < 0.3 else pa.array([b"1"]).cast(pa.string()).cast(kind)
    fields[at] = fields[at].with_type(kind)
    call.set_columns(fields, columns)
    return f"column {fields[at].name} is {kind}"


def column_nullability(random: Random, call: Call) -> str:
    fields = list(call.request.schema)
    if not fields:
        return column_extra(random, call)
    at = random.randrange(len(fields))
    fields[at] = fields[at].with_nullable(not fields[at].nullable)
    call.set_columns(fields, call.request.batches[0][0].columns)
    return f"column {fields[at].name} nullable={fields[at].nullable}"


def column_null(random: Random, call: Call) -> str:
    fields, columns = list(call.request.schema), list(call.request.batches[0][0].columns)
    if not fields:
        return column_extra(random, call)
    at = random.randrange(len(fields))
    columns[at] = pa.nulls(1, fields[at].type)
    if random.random() < 0.3:
        fields[at] = fields[at].with_nullable(True)
    call.set_columns(fields, columns)
    return f"column {fields[at].name} is null, nullable={fields[at].nullable}"


def rows(random: Random, call: Call) -> str:
    count = random.choice([0, 2, 3])
    batch, pairs = call.request.batches[0]
    fields = list(call.request.schema)
    columns = [pa.concat_arrays([column] * count) if count else column.slice(0, 0) for column in batch.columns]
    call.request.batches[0] = (batch_of(pa.schema(fields), columns, count), pairs)
    return f"{count} rows"


def batches(random: Random, call: Call) -> str:
    count = random.choice([0, 2, 3])
    first = call.request.batches[0]
    rest = (first[0], []) if random.random() < 0.5 else first
    call.request.batches = [first, *[rest] * (count - 1)] if count else []
    return f"{count} batches"


def schema_metadata(random: Random, call: Call) -> str:
    """Metadata of the schema is not metadata of the batch (appendix D)."""
    moved, text = random.random() < 0.5, random.random() < 0.5
    schema = call.request.schema.with_metadata(dict(call.pairs) if moved else {b"any": b"text" if text else b"\xff"})
    batch, pairs = call.request.batches[0]
    call.request = Part(schema, [(batch.replace_schema_metadata(schema.metadata), [] if moved else pairs)])
    return "metadata moved to the schema" if moved else f"schema with {'text' if text else 'bytes'} for metadata"


CALL = [
    *(key_missing, key_wrong, key_wrong, key_twice, key_foreign, no_metadata, column_missing, column_extra),
    *(column_renamed, columns_reordered, column_retyped, column_nullability, column_null, rows, batches,
      schema_metadata),
]


def flipped_bit(random: Random, body: bytes) -> tuple[bytes, str]:
    at, bit = random.randrange(len(body)), random.randrange(8)
    flipped = body[:at] + bytes([body[at] ^ (1 << bit)]) + body[at + 1 :]
    return flipped, f"bit {bit} of byte {at} of {len(body)} flipped"


def truncated(random: Random, body: bytes) -> tuple[bytes, str]:
    at = random.choice([random.randrange(len(body)), len(body) - 1, len(body) - 4, len(body) - 8, 1, 8])
    return body[:at], f"cut at {at} of {len(body)}"


def other_end(random: Random, body: bytes) -> tuple[bytes, str]:
    end = random.choice([b"", b"\x00" * 8, b"\xff" * 8, b"\xff\xff\xff\xff\x01\x00\x00\x00",
        b"\x00" * 4, b"\xff" * 4])
    return body[:-8] + end, f"ends with {end.hex() or 'nothing'}"


def garbage(random: Random, _body: bytes) -> tuple[bytes, str]:
    body = random.choice([b"GET / HTTP/1.1\r\n\r\n", b"\x00", b"\xff" * 64, random.randbytes(40), b"ARROW1\x00\x00"])
    return body, f"garbage {body[:8].hex()}"


BYTES = [flipped_bit, flipped_bit, flipped_bit, truncated, other_end, garbage]


def damaged(random: Random, call: Call) -> tuple[bytes, str, Closeness]:
    """Returns the bytes of a damaged call, the description of the damage, and what the responses must have in common."""
    kind = random.random()
    if kind < 0.04:
        return call.request.encode(), "as it should be", Closeness.EXACT
    if kind < 0.22:
        body, said = random.choice(BYTES)(random, call.request.encode())
        return body, said, Closeness.REFUSAL
    said = [random.choice(CALL)(random, call)]
    if kind > 0.92 and call.request.batches and call.pairs:
        said.append(random.choice(CALL[:6])(random, call))
    return call.request.encode(), " and ".join(said), Closeness.EXACT if len(said) == 1 else Closeness.IN_STEP
