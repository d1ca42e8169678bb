"""What a worker did, in the terms that the two are compared in."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa
from pyarrow import ipc

from differential import calls
from differential.damage import Closeness
from differential.workers import Side

# Differ from one process to the next, or are sealed.
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
    # Each batch in text, and each log; the columns' names and types come first.
    contents: tuple[str, ...]
    tokens: dict[bytes, bytes]
    # Why the rest of the response cannot be read.
    broken: str = ""

    @property
    def refused(self) -> bool:
        return self.refusal is not None or bool(self.broken)

    def __str__(self) -> str:
        if self.refusal:
            return f"{self.refusal.type} kind={self.refusal.kind} code={self.refusal.code}: {self.message[:160]}"
        return self.broken or "; ".join(self.contents)[:300]


def read_streams(data: bytes) -> list[Answer]:
    """Every Arrow IPC stream of these bytes, one after another."""
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
    """What is asked of each worker, and how closely what it does is compared."""

    transport: str
    said: str
    closeness: Closeness
    # Runs the case on a side, and gives what it did as facts of a name and a value.
    run: Callable[[Side], dict]


def differences(case: Case, ours: dict, reference: dict) -> dict[str, tuple]:
    """The facts that the two do not share, of those that this case compares: name, our value, the reference's.

    A fact in brackets is for the reader and for the table of known differences. What both accept has one answer.
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


# From which closeness on a fact is compared, by the last word of its name; the others from the highest on.
FIXED_FROM = {
    **dict.fromkeys(("refused", "alive", "status"), Closeness.REFUSAL),
    "step": Closeness.IN_STEP,
}
