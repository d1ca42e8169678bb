"""Cases on a byte stream: a valid or damaged call, its input if it is a stream, and a plain call afterwards.

Everything is sent at once and the sending side is closed, so that a worker that waits for more terminates.
"""

from __future__ import annotations

import socket
from random import Random

import pyarrow as pa

from differential import calls, damage
from differential.calls import Part, batch_of
from differential.damage import Closeness
from differential.outcome import Answer, Case, read_streams
from differential.workers import Side

SECONDS = 30
PLAIN = calls.call_of("add_floats", {"a": 1.25, "b": 1024.5}).request.encode()
PLAIN_RESULT = "1025.75"
INPUT_FOLLOWS = "then two turns"
END_OF_BYTES = "Tried reading schema message, was null or length 0"


def case(random: Random) -> Case:
    """Returns one case from this random source."""
    kind = random.random()
    if kind < 0.5:
        call = calls.any_call(random, calls.UNARY)
        whole = call.request.encode()
        body, said, closeness = damage.damaged(random, call)
    elif kind < 0.62:
        call = calls.any_call(random, calls.PRODUCERS, calls.EXCHANGES)
        whole = call.request.encode()
        body, said, closeness = damage.damaged(random, call)
        if random.random() < 0.5:
            turns = calls.input_for(call.method, 2).encode()
            whole, body, said = whole + turns, body + turns, f"{said}, {INPUT_FOLLOWS}"
    elif kind < 0.68:
        call = calls.any_call(random, calls.UNARY)
        whole = body = call.request.encode() + calls.ticks(2).encode()
        said, closeness = "a unary call with the input of a stream", Closeness.EXACT
    else:
        call = calls.any_call(random, calls.PRODUCERS, calls.EXCHANGES)
        whole, part, said, closeness = stream_input(random, call.method)
        whole, body = call.request.encode() + whole, call.request.encode() + part
    return Case("byte stream", f"{call.method}: {said}", closeness, lambda side: run(side, body, whole))


def stream_input(random: Random, method: str) -> tuple[bytes, bytes, str, Closeness]:
    """Returns an input of a stream, before and after damage to one of its turns, or the insertion of a cancel."""
    turns = random.randrange(5)
    part = calls.input_for(method, turns)
    whole = part.encode()
    kind = random.random()
    if kind < 0.15:
        return whole, whole, f"{turns} turns", Closeness.EXACT
    if kind < 0.35:
        body, said = random.choice(damage.BYTES)(random, whole)
        return whole, body, f"{turns} turns, input {said}", Closeness.REFUSAL
    said = random.choice([cancelled, cancelled, other_schema, other_schema, other_rows, other_metadata])(random, part)
    return whole, part.encode(), f"{turns} turns, {said}", Closeness.EXACT


def cancelled(random: Random, part: Part) -> str:
    """A cancel batch before, between or after the turns; further turns after it are drained (section 9)."""
    at = random.randrange(len(part.batches) + 1)
    value = random.choice([b"1", b"1", b"0", b"", b"\xff"])
    rows = 1 if random.random() < 0.2 else 0
    columns = [pa.array([0.0] * rows, field.type) for field in part.schema]
    part.batches.insert(at, (batch_of(part.schema, columns, rows), [(calls.CANCEL_KEY, value)]))
    return f"cancel {value!r} of {rows} rows at {at}"


SCHEMAS = [
    pa.schema([]),
    pa.schema([pa.field("value", pa.float64(), nullable=False)]),
    pa.schema([pa.field("value", pa.float32())]),
    pa.schema([pa.field("value", pa.int64())]),
    pa.schema([pa.field("value", pa.int8())]),
    pa.schema([pa.field("value", pa.string())]),
    pa.schema([pa.field("value", pa.bool_())]),
    pa.schema([pa.field("value", pa.list_(pa.float64()))]),
    pa.schema([pa.field("Value", pa.float64())]),
    pa.schema([pa.field("", pa.float64())]),
    pa.schema([pa.field("value", pa.float64()), pa.field("other", pa.int64())]),
    pa.schema([pa.field("value", pa.float64()), pa.field("value", pa.float64())]),
    pa.schema([pa.field("value", pa.float64())], metadata={"any": "thing"}),
]


def sample(kind: pa.DataType, rows: int) -> pa.Array:
    """Returns values of a type."""
    one = {pa.string(): "1.5", pa.bool_(): True, pa.list_(pa.float64()): [1.0]}.get(kind, 3)
    return pa.array([one] * rows, kind)


def other_schema(random: Random, part: Part) -> str:
    """Uses a schema that is wrong for the stream, or can be cast to its schema."""
    part.schema = random.choice(SCHEMAS)
    rows = random.choice([1, 1, 2, 0])
    columns = [sample(field.type, rows) for field in part.schema]
    part.batches = [(batch_of(part.schema, columns, rows), pairs) for _, pairs in part.batches]
    return f"input of {[(field.name, str(field.type), field.nullable) for field in part.schema]}, {rows} rows"


def other_rows(random: Random, part: Part) -> str:
    """No rows, nulls, or many rows."""
    if not part.batches:
        return "as they should be"
    at = random.randrange(len(part.batches))
    values = random.choice([[], [None], [1.0, None], [0.25] * 500, [float("nan")], [float("inf")]])
    columns = [pa.array(values, field.type) for field in part.schema]
    part.batches[at] = (batch_of(part.schema, columns, len(values)), part.batches[at][1])
    return f"turn {at} is {values[:3]} of {len(values)}"


def other_metadata(random: Random, part: Part) -> str:
    """Adds application metadata, or keys with a meaning in other places."""
    pairs = [
        *((b"k", b"v"), (b"k", b"\xff"), (b"", b""), (calls.METHOD_KEY, b"echo_int"), (b"vgi_rpc.shm_offset", b"x")),
        *((calls.CURSOR_KEY, b"AAAA"), (b"vgi_rpc.log_level", b"EXCEPTION"), (b"vgi_rpc.location", b"nowhere:")),
    ]
    if not part.batches:
        return "as they should be"
    at = random.randrange(len(part.batches))
    pair = random.choice(pairs)
    part.batches[at] = (part.batches[at][0], [pair])
    return f"turn {at} with {pair[0]!r} = {pair[1]!r}"


def run(side: Side, body: bytes, whole: bytes) -> dict:
    """Returns the worker's output for these bytes, whether it answers a plain call after them, and its output for the
    undamaged bytes."""
    facts = told(side, body)
    facts["alive"] = alive(side)
    facts["(whole) answers"] = told(side, whole)["answers"]
    return facts


def told(side: Side, body: bytes) -> dict:
    data, ending = converse(side, body + PLAIN)
    streams = read_streams(data)
    plain = [at for at, each in enumerate(streams) if not each.refused and PLAIN_RESULT in each.contents[-1]]
    # The reference ends with one more error, about an end of input where a request could begin.
    at_end = not plain and bool(streams) and END_OF_BYTES in streams[-1].message
    answers: list[Answer] = streams[: plain[-1]] if plain else streams[:-1] if at_end else streams
    facts = {
        # A closed connection is a refusal too: the specification does not define the response to damaged framing.
        "refused": any(each.refused for each in answers) or not answers or not plain,
        "in step": bool(plain),
        "answers": [each.refusal or each.contents for each in answers],
        "broken": next((each.broken for each in answers if each.broken), ""),
    }
    if ending:
        facts["timeout alive"] = ending
    facts["(shown) text"] = [str(each) for each in answers]
    return facts


def converse(side: Side, body: bytes) -> tuple[bytes, str]:
    """Returns the whole output, and the fault at its end: a worker that sends no more but does not close."""
    answer = bytearray()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(side.path)
        try:
            connection.sendall(body)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # Closed at the damage; its output can still be read.
        try:
            while more := connection.recv(65536):
                answer += more
        except TimeoutError:
            return bytes(answer), f"nothing for {SECONDS} s"
        except OSError:
            pass
    return bytes(answer), ""


def alive(side: Side) -> bool:
    """Whether the process still serves another connection; it is restarted if not."""
    try:
        return PLAIN_RESULT in read_streams(converse(side, PLAIN)[0])[0].contents[-1]
    except (OSError, IndexError):
        side.start_unix()
        return False
