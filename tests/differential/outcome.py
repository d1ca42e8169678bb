"""The result of a worker, in a form that can be compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa
from pyarrow import ipc

from differential import calls
from differential.damage import Closeness
from differential.workers import Side

# These differ between processes, or are sealed.
OF_THE_PROCESS = {b"vgi_rpc.server_id", b"vgi_rpc.request_id", b"vgi_rpc.log_extra"}
TOKENS = {calls.CURSOR_KEY, calls.CALL_KEY}


class Refusal(NamedTuple):
    """The class of an error."""

    type: str
    kind: str
    code: str


class Answer(NamedTuple):
    """One Arrow IPC stream of a response."""

    refusal: Refusal | None
    message: str
    # Each batch as text, and each log; first the columns' names and types.
    contents: tuple[str, ...]
    tokens: dict[bytes, bytes]
    # Why the rest of the response cannot be parsed.
    broken: str = ""

    @property
    def refused(self) -> bool:
        return self.refusal is not None or bool(self.broken)

    def __str__(self) -> str:
        if self.refusal:
            return f"{self.refusal.type} kind={self.refusal.kind} code={self.refusal.code}: {self.message[:160]}"
        return self.broken or "; ".join(self.contents)[:300]


def read_streams(data: bytes) -> list[Answer]:
    """Returns every Arrow IPC stream in these bytes."""
    source, answers = pa.BufferReader(data), []
    while source.tell() < len(data):
        answers.append(_read_stream(source))
        if answers[-1].broken:
            break
    return answers


def _read_stream(source: pa.BufferReader) -> Answer:
    contents, tokens, refusal, message, broken = [], {}, None, "", ""
    try:
        reader = ipc.open_stream(source)
        contents.append(str([(field.name, str(field.type), field.nullable) for field in reader.schema]))
        while True:
            try:
                batch, metadata = reader.read_next_batch_with_custom_metadata()
            except StopIteration:
                break
            batch.validate(full=True)
            found = dict(metadata.items()) if metadata else {}
            tokens.update({key: value for key, value in found.items() if key in TOKENS})
            if batch.num_rows == 0 and found.get(b"vgi_rpc.log_level") == b"EXCEPTION":
                refusal, message = _refusal(found), found.get(b"vgi_rpc.log_message", b"").decode(errors="replace")
                continue
            kept = sorted((key, value) for key, value in found.items() if key not in OF_THE_PROCESS | TOKENS)
            kept += [(key, b"...") for key in sorted(TOKENS & found.keys())]
            contents.append(f"{batch.num_rows} rows {batch.to_pylist()!r} {kept!r}")
    except (pa.ArrowException, OSError, UnicodeDecodeError, ValueError) as error:
        broken = f"unreadable response: {error}"
    return Answer(refusal, message, tuple(contents), tokens, broken)


def _refusal(metadata: dict[bytes, bytes]) -> Refusal:
    try:
        kind = json.loads(metadata.get(b"vgi_rpc.log_extra", b"{}")).get("exception_type", "")
    except ValueError:
        kind = "unreadable log_extra"
    named = (metadata.get(key, b"").decode(errors="replace") for key in (b"vgi_rpc.error_kind",
        b"vgi_rpc.error_code"))
    return Refusal(kind, *named)


class Case(NamedTuple):
    """A case for both workers, and how closely the results are compared."""

    transport: str
    said: str
    closeness: Closeness
    # Runs the case on a side. Returns the results as facts: a name and a value each.
    run: Callable[[Side], dict]


def differences(case: Case, ours: dict, reference: dict) -> dict[str, tuple]:
    """Returns the compared facts that differ: name, our value, the reference's.

    A fact in brackets is only informative, also for the table of known differences. Accepted requests have one result.
    """
    accepted = not (ours["refused"] or reference["refused"])
    names = [
        name
        for name in {**ours, **reference}
        if not name.startswith("(")
        and (case.closeness >= FIXED_FROM.get(name.split(" ")[-1], Closeness.EXACT) or (accepted
        and name.endswith("answers")))
    ]
    return {
        name: (ours.get(name), reference.get(name)) for name in names if ours.get(name) != reference.get(name)
    }


# The closeness from which a fact is compared, by the last word of its name; others only from the highest.
FIXED_FROM = {
    **dict.fromkeys(("refused", "alive", "status"), Closeness.REFUSAL),
    "step": Closeness.IN_STEP,
}
