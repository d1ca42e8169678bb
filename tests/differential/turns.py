"""Cases over HTTP with several requests: streams and sticky sessions, with their tokens."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from differential import calls
from differential.byte_stream import cancelled, other_metadata, other_rows, other_schema
from differential.calls import CALL_KEY, CURSOR_KEY, Part, call_of
from differential.damage import Closeness
from differential.outcome import Case
from differential.requests import Request, alive, post, send
from differential.workers import Side

# Changes a token: its arguments are the token, and another of the same kind from another stream.
Change = Callable[[bytes, bytes], bytes]


def case(random: Random) -> Case:
    return of_session(random) if random.random() < 0.3 else of_stream(random)


@dataclass
class Plan:
    """A stream: its opening, and the requests of its turns. The tokens are known only at run time."""

    method: str
    other: str
    turns: int
    damaged_turn: int
    said: str
    # Damage to the input of the damaged turn.
    part: Part
    tokens: dict[bytes, Change] = field(default_factory=dict)
    left_out: tuple[bytes, ...] = ()
    path: str = ""
    earlier: bool = False


def of_stream(random: Random) -> Case:
    method = random.choice([*calls.PRODUCERS, *calls.EXCHANGES])
    other = random.choice([*calls.PRODUCERS, *calls.EXCHANGES])
    turns = random.randrange(1, 4)
    plan = Plan(method, other, turns, random.randrange(turns), "", calls.input_for(method, 1))
    kind = random.random()
    if kind < 0.1:
        plan.said = "as it should be"
    elif kind < 0.55:
        which = random.choice([[CURSOR_KEY], [CALL_KEY], [CURSOR_KEY, CALL_KEY]])
        said, change = token_change(random)
        names = " and ".join("cursor" if key == CURSOR_KEY else "call" for key in which)
        if change is None:
            plan.left_out = tuple(which)
        else:
            plan.tokens = dict.fromkeys(which, change)
        plan.said = f"{names} token {said}"
    elif kind < 0.7:
        plan.path = random.choice(
            [
                *(f"/ConformanceService/{other}/exchange", "/conformance.Secondary.v1/echo/exchange",
                  "/NoSuch/x/exchange"),
                *("/ConformanceService/echo_int/exchange", f"/ConformanceService/{method}/init",
                  f"/ConformanceService/{method}"),
            ]
        )
        plan.said = f"to {plan.path}"
    elif kind < 0.76:
        plan.earlier = True
        plan.said = "with the cursor of the turn before"
    elif kind < 0.8:
        plan.part.batches = []
        plan.said = "without a batch"
    elif kind < 0.84:
        plan.part.batches = plan.part.batches * 2
        plan.said = "two batches"
    else:
        change = random.choice([only_cancel, other_schema, other_schema, other_rows, other_metadata])
        plan.said = change(random, plan.part)
    said = f"{method}: turn {plan.damaged_turn} of {turns} {plan.said}"
    return Case("HTTP stream", said, Closeness.EXACT, lambda side: run_stream(side, plan))


def only_cancel(random: Random, part: Part) -> str:
    """A cancel instead of the turn."""
    part.batches = []
    return cancelled(random, part)


def token_change(random: Random) -> tuple[str, Change | None]:
    """Returns a change that makes a token a different one, or encodes it differently."""
    # Before the end, where a cut might remove only padding.
    at, bit = 0.9 * random.random(), random.randrange(8)

    def flip(token: bytes, _other: bytes) -> bytes:
        raw = bytearray(base64.b64decode(token))
        raw[int(at * len(raw))] ^= 1 << bit
        return base64.b64encode(bytes(raw))

    return random.choice(
        [
            ("left out", None),
            (f"bit {bit} at {at:.3f} flipped", flip),
            ("version 99", lambda token, _: base64.b64encode(b"\x63" + base64.b64decode(token)[1:])),
            (f"cut at {at:.3f}", lambda token, _: token[: int(at * len(token))]),
            ("empty", lambda _token, _: b""),
            ("of another stream", lambda _token, other: other),
            ("decoded", lambda token, _: base64.b64decode(token)),
            ("in the URL's alphabet", lambda token, _: base64.urlsafe_b64encode(base64.b64decode(token))),
            ("without padding", lambda token, _: token.rstrip(b"=")),
            ("with a line break", lambda token, _: token[:20] + b"\n" + token[20:]),
            ("with text after it", lambda token, _: token + b"AAAA"),
            ("not base64", lambda token, _: b"!" + token[1:]),
            ("encoded twice", lambda token, _: base64.b64encode(token)),
        ]
    )


def run_stream(side: Side, plan: Plan) -> dict:
    """Open the stream, and one of another method, and run its turns; one of them, and the rest, is compared."""
    values = {**calls.PRODUCERS, **calls.EXCHANGES}
    begun = send(side, post(call_of(plan.method, values[plan.method][0]), "/init"))
    facts = begun.facts("init")
    tokens, before = begun.tokens, begun.tokens
    other = send(side, post(call_of(plan.other, values[plan.other][0]), "/init")).tokens if plan.tokens else {}
    for turn in range(plan.turns):
        if CURSOR_KEY not in tokens:
            break
        damaged = turn == plan.damaged_turn
        part = plan.part if damaged else calls.input_for(plan.method, 1)
        sent = {**tokens, **({CURSOR_KEY: before[CURSOR_KEY]} if damaged and plan.earlier else {})}
        if damaged:
            sent = {key: plan.tokens.get(key, as_it_is)(value, other.get(key, b"")) for key, value in sent.items()}
            sent = {key: value for key, value in sent.items() if key not in plan.left_out}
        batches = [(batch, [*pairs, *sent.items()]) for batch, pairs in part.batches]
        path = plan.path if damaged and plan.path else f"/ConformanceService/{plan.method}/exchange"
        response = send(side, Request("POST", path, Part(part.schema, batches).encode()))
        facts |= response.facts(f"turn {turn}")
        before, tokens = tokens, {**tokens, **response.tokens} if CURSOR_KEY in response.tokens or damaged else {}
    facts["alive"] = alive(side)
    facts["refused"] = any(value for name, value in facts.items() if name.endswith(" refused"))
    return facts


def as_it_is(token: bytes, _other: bytes) -> bytes:
    return token


def of_session(random: Random) -> Case:
    """A counter in a session: opened, counted on with a token that is or is not its own, and closed in some way."""
    offered = random.choice(["true", "true", "true", "TRUE", "false", "1", None])
    at = 0.9 * random.random()
    said, change = random.choice(
        [
            *(("as it is", lambda token: token), ("left out", None), ("empty", lambda _token: ""), ("cut",
              lambda token: token[:-4])),
            ("altered", lambda token: altered(token, int(at * len(token)))),
            *(("with padding", lambda token: token + "="), ("with text after it", lambda token: token + "AAAA")),
            *(("not base64", lambda _token: "!!!"), ("with blanks", lambda token: f" {token} ")),
        ]
    )
    ending = random.choice(["close_counter", "DELETE", "twice DELETE", "GET", "nothing"])
    title = f"open with VGI-Session-Accept {offered!r}, token {said}, then {ending}"
    return Case("HTTP session", title, Closeness.EXACT, lambda side: run_session(side, offered, change, ending))


def altered(token: str, at: int) -> str:
    """Returns the token with another letter there."""
    return f"{token[:at]}{'B' if token[at : at + 1] == 'A' else 'A'}{token[at + 1 :]}"


def run_session(side: Side, offered: str | None, change: Callable[[str], str] | None, ending: str) -> dict:
    request = post(call_of("open_counter", {"initial": 5}))
    opened = send(side, request.having("VGI-Session-Accept", offered) if offered is not None else request)
    facts = opened.facts("open")
    token = opened.headers.get("vgi-session", "")

    def in_session(request: Request, token: str | None) -> Request:
        return request if token is None else request.having("VGI-Session", token)

    increment = post(call_of("increment_counter", {"by": 2}))
    sent = change(token) if change else None
    facts |= send(side, in_session(increment, sent)).facts("increment")
    facts |= send(side, in_session(increment, token or None)).facts("increment again")
    if ending == "close_counter":
        facts |= send(side, in_session(post(call_of("close_counter", {})), sent)).facts("close")
    elif ending != "nothing":
        for time in range(2 if ending.startswith("twice") else 1):
            facts |= send(side, in_session(Request(ending.split()[-1], "/__session__"),
                sent)).facts(f"{ending} {time}")
    facts |= send(side, in_session(increment, token or None)).facts("increment at last")
    facts["alive"] = alive(side)
    facts["refused"] = any(value for name, value in facts.items() if name.endswith(" refused"))
    return facts
