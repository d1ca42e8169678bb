"""Where the two may differ, and why: the table of the known, deliberate differences.

Each entry is a name, a condition on the case and on what was found, and the reason with what the specification says.
An entry covers a whole case, so its condition has to say how each side behaves; WIRE_PROTOCOL is meant where a
section alone is named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from differential.byte_stream import INPUT_FOLLOWS
from differential.damage import Closeness
from differential.outcome import Case, Refusal


class Found(NamedTuple):
    """A case in which the two differ."""

    case: Case
    # The facts that differ: ours, and the reference's.
    apart: dict[str, tuple]
    ours: dict
    reference: dict

    def said(self, *texts: str) -> bool:
        return any(text in self.case.said for text in texts)

    def only(self, *names: str) -> bool:
        return set(self.apart) <= set(names)


def reason(case: Case, apart: dict[str, tuple], ours: dict, reference: dict) -> str | None:
    """The name of the entry that covers this; none for a disagreement."""
    found = Found(case, apart, ours, reference)
    return next((entry.name for entry in TABLE if entry.covers(found)), None)


class Known(NamedTuple):
    name: str
    covers: Callable[[Found], bool]
    reason: str


def header_read_more_loosely(found: Found) -> bool:
    """We accept, with the answer that the call would have without the damage."""
    return not found.ours["refused"] and found.ours["answers"] == found.ours.get("(whole) answers")


def on_stream(found: Found) -> bool:
    return found.case.transport == "byte stream"


TABLE = [
    Known(
        "damage that matters to the reference alone",
        lambda f: f.case.closeness == Closeness.REFUSAL and f.only("refused") and header_read_more_loosely(f),
        "A bit that no value depends on, such as padding. Section 2 leaves the encoding of a message to Arrow, and "
        "how much of a header is verified is fixed nowhere. The answer has to be that of the undamaged call.",
    ),
    Known(
        "damage that matters to us alone",
        lambda f: f.case.closeness == Closeness.REFUSAL and f.only("refused", "status") and f.ours["refused"],
        "We refuse what Arrow C++ reads over: an end marker of four zero bytes as before Arrow 0.15 (section 2 fixes "
        "eight bytes, appendix A), a buffer outside the body that has no nulls to hold.",
    ),
    Known(
        "input of a refused stream",
        lambda f: on_stream(f)
        and f.said(INPUT_FOLLOWS)
        and f.only("answers")
        and f.ours["refused"]
        and len(f.ours["answers"]) == 1
        and f.reference["answers"] == [*f.ours["answers"], Refusal("RpcError", "", "UNKNOWN")],
        "When it refuses the parameters of a stream, the reference takes the input that follows for another request "
        "and refuses that too. We take it for what it is, so that there is one answer for the client's one call "
        "(section 9: the error takes the place of the stream).",
    ),
    Known(
        "a request without a batch",
        lambda f: on_stream(f)
        and f.said("0 batches")
        and f.ours["in step"]
        and f.ours["answers"][:1] == [Refusal("RpcError", "", "UNKNOWN")]
        and not f.reference["in step"]
        and not f.reference["answers"],
        "The reference closes the connection without a word. Section 5 wants one batch, section 13 an error stream "
        "for what lacks; the stream is whole, so we stay in step.",
    ),
]
