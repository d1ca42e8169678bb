"""The table of known, deliberate differences, and their reasons.

Each entry is a name, a condition on the case and the results, and the reason, which cites the specification. An entry
covers a whole case, so its condition must state how each side behaves. A section without a document is of
WIRE_PROTOCOL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from differential.byte_stream import INPUT_FOLLOWS
from differential.calls import EXCHANGES, PRODUCERS
from differential.damage import Closeness
from differential.outcome import Case, Refusal


class Found(NamedTuple):
    """A case in which the two workers differ."""

    case: Case
    # The facts that differ: our value, and the reference's.
    apart: dict[str, tuple]
    ours: dict
    reference: dict

    def said(self, *texts: str) -> bool:
        return any(text in self.case.said for text in texts)

    def only(self, *words: str) -> bool:
        """Whether only facts with these last words differ."""
        return all(name.split(" ")[-1] in words for name in self.apart)

    def pairs(self, word: str) -> list[tuple]:
        """Returns the facts with this last word that differ: our value, and the reference's."""
        return [pair for name, pair in self.apart.items() if name.split(" ")[-1] == word]

    def both_refuse(self) -> bool:
        return self.ours["refused"] and self.reference["refused"]

    def first_that_differs(self) -> tuple:
        """Returns both responses to the first request with different responses, each as a list."""
        return next(iter(self.pairs("answers")), ([], []))


def reason(case: Case, apart: dict[str, tuple], ours: dict, reference: dict) -> str | None:
    """Returns the name of the entry that covers this; None for a disagreement."""
    found = Found(case, apart, ours, reference)
    return next((entry.name for entry in TABLE if entry.covers(found)), None)


class Known(NamedTuple):
    name: str
    covers: Callable[[Found], bool]
    reason: str


def harmless_to(facts: dict) -> bool:
    """Whether this side answers the damaged call like the undamaged one."""
    answers = facts.get("answers", facts.get("the call answers"))
    return bool(answers) and answers == facts.get("(whole) answers")


def damage_is_harmless_to(found: Found, facts: dict) -> bool:
    fits = found.case.closeness == Closeness.REFUSAL and found.only("refused", "status", "answers")
    return fits and harmless_to(facts)


def on_stream(found: Found) -> bool:
    return found.case.transport == "byte stream"


def on_http(found: Found) -> bool:
    return found.case.transport.startswith("HTTP")


def errors(answers: list) -> list[str]:
    """Returns the types of the errors in these responses."""
    return [answer.type for answer in answers if isinstance(answer, Refusal)]


def we_refuse_with(found: Found, *types: str) -> bool:
    """Whether the first difference is an error of one of these types from ours, and no error from the reference."""
    ours, reference = found.first_that_differs()
    return any(each in types for each in errors(ours)) and not errors(reference)


def base64_read_otherwise(found: Found) -> bool:
    said = ("without padding", "in the URL's alphabet", "with a line break", "with text after it")
    told = found.case.transport == "HTTP stream" and found.said(*said)
    return told and all({*pair} <= {200, 400, None} for pair in found.pairs("status"))


TABLE = [
    Known(
        "damage that matters to the reference alone",
        lambda f: damage_is_harmless_to(f, f.ours) and f.reference["refused"],
        "A bit that no value depends on, such as padding. Section 2 leaves the encoding of a message to Arrow, and "
        "how much of a header is verified is fixed nowhere. The answer has to be that of the undamaged call.",
    ),
    Known(
        "damage that matters to us alone",
        lambda f: f.case.closeness == Closeness.REFUSAL
        and f.ours["refused"]
        and not f.reference["refused"]
        and (harmless_to(f.reference) or we_refuse_with(f, "ArrowInvalid") or f.only("refused", "status")),
        "We refuse what Arrow C++ reads over: an end marker of four zero bytes as before Arrow 0.15 (section 2 fixes "
        "eight bytes, appendix A), a buffer outside the body that has no nulls to hold, a body of another length.",
    ),
    Known(
        "the status of bad bytes",
        lambda f: f.case.closeness == Closeness.REFUSAL
        and f.only("status")
        and f.both_refuse()
        and all(ours == 400 and reference in (200, 500) for ours, reference in f.pairs("status")),
        "Section 13: bad IPC is 400. The reference reports as its own errors those of its reader that it does not "
        "expect, such as text that is not UTF-8.",
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
    Known(
        "input that does not come after a refused stream",
        lambda f: on_stream(f) and f.ours["in step"] and f.only("step", "answers") and f.ours["refused"]
        and f.case.said.split(":")[0] in (*PRODUCERS, *EXCHANGES),
        "Where a stream was begun and then refused, the reference takes the next request for its input. We tell a "
        "request from an input, and stay in step (FIXTURES 5.3).",
    ),
    Known(
        "metadata of a schema that is no text",
        lambda f: f.said("schema with bytes for metadata") and f.ours["refused"],
        "Section 1: all metadata strings are UTF-8. That values may be bytes is said of batches (section 3).",
    ),
    Known(
        "handlers and null",
        lambda f: f.case.said.startswith("exchange_accumulate") and f.said("None", "0 rows", "is [] of 0"),
        "What a method makes of null in its input is the method's affair; the reference's Python cannot add None.",
    ),
    Known(
        "two columns of one name",
        lambda f: f.said("('value', 'double', True), ('value', 'double', True)") and f.both_refuse(),
        "Section 13 wants a TypeError for parameters; of inputs it says nothing. The reference fails in a look-up.",
    ),
    Known(
        "a tick with columns",
        lambda f: f.case.transport == "HTTP stream"
        and f.case.said.startswith("produce_")
        and f.said("input of", "cancel", "turn")
        and errors(f.first_that_differs()[0]) == ["TypeError"],
        "Section 10: the input of a producer's continuation is a batch on the empty schema. The reference does not "
        "look at it on HTTP; on a byte stream it refuses it as we do on both.",
    ),
    Known(
        "routes that are none",
        lambda f: f.case.transport == "HTTP"
        and ((f.only("status", "refused") and all(404 in pair and 405 in pair for pair in f.pairs("status")))
             or (f.said("to //") and f.ours["the call status"] == 404)),
        "Sections 10 and 13 fix 404 for GET alone. We answer 404 to every method where there is no route. A "
        "path with an empty segment is none of the table in section 10; the reference takes it for one without.",
    ),
    Known(
        "padding of a session's token",
        lambda f: f.case.transport == "HTTP session" and f.said("token with padding") and f.ours["refused"],
        "Section 17: base64url without padding. The reference reads over it.",
    ),
    Known(
        "the body of a refused coding",
        lambda f: f.said("content coding") and f.only("answers")
        and bool(errors(f.first_that_differs()[0])) and f.both_refuse(),
        "Section 13: the body of a 400 is an Arrow stream with an error; the reference sends none of 415 and of some "
        "400. Which type the error has is fixed nowhere.",
    ),
    Known(
        "a request without a batch, on HTTP",
        lambda f: on_http(f) and f.said("0 batches", "without a batch") and f.both_refuse()
        and errors(f.first_that_differs()[0]) in (["ArrowInvalid"], ["RpcError"], []),
        "Section 13: bad IPC is 400, with an error of our own type; the reference answers with Python's "
        "StopIteration, or 500 for a continuation.",
    ),
    Known(
        "a continuation at another method",
        lambda f: f.case.transport == "HTTP stream"
        and f.said("to /ConformanceService/", "token of another stream")
        and any(ours == 400 for ours, _ in f.pairs("status")),
        "Section 3.1 wants continuations to stay on their protocol. We bind tokens to the method too, "
        "and a cursor to its call whether or not the call is cached.",
    ),
    Known(
        "how base64 is read",
        base64_read_otherwise,
        "Section 3 says base64, and no more of padding or of what is not in its alphabet. What is in the token is "
        "authenticated either way (section 10).",
    ),
    Known(
        "an exchange of no columns",
        lambda f: on_http(f) and f.case.said.startswith("exchange_zero_columns")
        and f.only("answers", "status", "refused", "headers"),
        "Section 10: the init of an exchange sends a token alone. The reference takes a stream of an empty input "
        "schema for a producer, and drives its first turn.",
    ),
    Known(
        "the coding identity of a request",
        lambda f: f.said("content coding 'identity'") and f.reference["the call status"] == 415,
        "Section 10: identity is the coding that every implementation can always do. The reference answers 415.",
    ),
    Known(
        "the spelling of the content type",
        lambda f: f.said("content type 'APPLICATION/", "; charset=utf-8'") and f.reference["the call status"] == 415
        and f.ours["the call status"] == 200,
        "RFC 9110, 8.3.1: a media type has no case, and a parameter that says nothing does not change it. The reference "
        "compares the text.",
    ),
    Known(
        "the coding x-gzip",
        lambda f: f.said("content coding 'x-gzip'") and f.reference["the call status"] == 415
        and f.ours["the call status"] == 200,
        "RFC 9110, 8.4.1.3: x-gzip is equivalent to gzip. The reference answers 415.",
    ),
    Known(
        "a compressed body that is cut",
        lambda f: f.said("content coding 'gzip'") and f.ours["the call status"] == 400
        and f.reference["the call status"] == 200,
        "Section 10: a body that fails to decompress is 400. The reference does not miss the end of a gzip body, nor "
        "look at the sum and length in it.",
    ),
    Known(
        "a percent sign in a path",
        lambda f: f.case.transport == "HTTP" and f.said("to /") and "%" in f.case.said
        and f.ours["the call status"] == 404,
        "Section 3.1 forbids it in the protocol, with 404; the body is an Arrow error in ours, a page in the "
        "reference's. Of the method it says nothing: we compare the bytes there too, the reference decodes them.",
    ),
    Known(
        "a null in a column that says it has none",
        lambda f: f.said("nullable", "null") and f.only("answers", "status", "refused", "headers")
        and not f.ours["refused"] and f.reference["refused"],
        "Section 13: a null for a parameter that is not optional is refused, by both. For one that may be null we take "
        "the value for what it is; the reference compares the request's own schema, which promised that there is none.",
    ),
    Known(
        "a target that is no URI",
        lambda f: f.case.transport == "HTTP" and "/%/" in f.case.said and f.ours["the call status"] == 400,
        "Section 3.1 wants 404 for a percent sign in the protocol. Half an escape is no URI (RFC 3986, 2.1): the "
        "HTTP/1.1 machine refuses the request before there is a path.",
    ),
    Known(
        "an offer of quality zero",
        lambda f: f.only("headers") and f.said(";q=0'", ";q=0,"),
        "Section 10 orders offers and has no qualities; RFC 9110, 12.4.2: a quality of zero is not acceptable.",
    ),
    Known(
        "a pointer that cannot be resolved",
        lambda f: f.said("vgi_rpc.shm_offset", "vgi_rpc.location", "vgi_rpc.stream_state")
        and ("RuntimeError" in errors(f.first_that_differs()[0]) or f.case.said.startswith("exchange_input_metadata")),
        "Section 7 makes it a pointer, and there is neither a segment nor a storage: an error. The reference without "
        "either takes it for data, and shows the handler its keys, which never reach ours (FIXTURES 5.3).",
    ),
]
