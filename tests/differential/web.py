"""Cases over HTTP with one request: routes, methods, headers, codings, and damaged calls."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from random import Random

import zstandard

from differential import calls, damage, turns
from differential.damage import Closeness
from differential.outcome import Case
from differential.requests import ARROW, Request, alive, post, send
from differential.workers import Side


def case(random: Random) -> Case:
    """Returns one case from this random source."""
    kind = random.random()
    if kind < 0.35:
        return of_call(random)
    if kind < 0.65:
        return turns.case(random)
    call = calls.any_call(random, calls.UNARY)
    changes: list[Callable[[Random, Request], tuple[Request, str]]] = [route, verb, kind_of, coded, headers, framed]
    change = random.choice(changes)
    request, said = change(random, post(call))
    return Case("HTTP", f"{call.method}: {said}", Closeness.EXACT, lambda side: run(side, request))


def run(side: Side, request: Request, whole: Request | None = None) -> dict:
    """Returns the response, whether the process is alive, and the response to the undamaged request."""
    facts = send(side, request).facts("the call")
    facts["alive"] = alive(side)
    facts["refused"] = facts["the call refused"]
    if whole:
        facts["(whole) answers"] = send(side, whole).facts("whole")["whole answers"]
    return facts


def of_call(random: Random) -> Case:
    """A call damaged like one on a byte stream."""
    stream = random.random() < 0.3
    call = calls.any_call(random, *([calls.PRODUCERS, calls.EXCHANGES] if stream else [calls.UNARY]))
    whole = post(call, "/init" if stream else "")
    body, said, closeness = damage.damaged(random, call)
    request = replace(whole, body=body)
    return Case("HTTP", f"{call.method}: {said}", closeness, lambda side: run(side, request, whole))


def route(random: Random, request: Request) -> tuple[Request, str]:
    """The path of another call, or an unknown one."""
    method = request.path.rpartition("/")[2]
    path = random.choice(
        [
            *(f"/NoSuch/{method}", f"/conformance.Secondary.v1/{method}", f"/vgi_rpc.Reflection.v1/{method}"),
            *("/ConformanceService/no_such",
              f"/ConformanceService/{'echo_int' if method != 'echo_int' else 'echo_bool'}"),
            *(f"/Conformance%53ervice/{method}", f"/%/{method}", f"/Conformance%2FService/{method}",
              f"/a-b/{method}"),
            *(f"/1a/{method}", f"/{'a' * 256}/{method}", f"/{'a' * 255}/{method}",
              f"/ConformanceService/{method}/init"),
            *(f"/ConformanceService/{method}/exchange", f"/ConformanceService/{method}/other", f"/{method}", "/"),
            *(f"/ConformanceService/{method}/", f"//ConformanceService/{method}", f"/ConformanceService//{method}"),
            *(f"/ConformanceService/{method}?x=1", f"/conformanceservice/{method}", "/__describe__", "/__nothing__"),
            *("/ConformanceService/produce_n", "/ConformanceService/exchange_scale/exchange", "/health",
              "/__session__"),
            *(f"/ConformanceService/%65cho_int", f"/ConformanceService/{method}%00",
              f"/vgi/ConformanceService/{method}"),
        ]
    )
    return replace(request, path=path), f"to {path[:60]}"


def verb(random: Random, request: Request) -> tuple[Request, str]:
    """Another HTTP method, on a known or unknown route."""
    method = random.choice(["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
    path = random.choice([request.path, request.path + "/init", "/NoSuch/x", "/.well-known/x", "/health",
        "/__session__", "/a/b/c/d"])
    return Request(method, path, b"" if method in ("GET", "HEAD") else request.body), f"{method} {path}"


def kind_of(random: Random, request: Request) -> tuple[Request, str]:
    """Another content type, or none."""
    values = ["text/plain", "", "application/json", ARROW.upper(), f"{ARROW}; charset=utf-8", f" {ARROW} ",
        f"{ARROW}x"]
    value = random.choice([None, "application/octet-stream", *values])
    changed = request.without("Content-Type")
    return (changed if value is None else changed.having("Content-Type", value)), f"content type {value!r}"


def coded(random: Random, request: Request) -> tuple[Request, str]:
    """A content coding that fits the body, or does not."""
    body = request.body
    zstd, gzipped = zstandard.ZstdCompressor().compress(body), gzip.compress(body, mtime=0)
    coding, sent, said = random.choice(
        [
            *(("zstd", zstd, "as it is"), ("gzip", gzipped, "as it is"), ("ZSTD", zstd, "as it is")),
            *(("gzip", zstd, "of the other coding"), ("zstd", gzipped, "of the other coding"), ("zstd", body,
              "plain")),
            *(("gzip", body, "plain"), ("br", body, "plain"), ("deflate", body, "plain"), ("identity", body,
              "plain")),
            *(("", body, "plain"), ("x-gzip", gzipped, "as it is"), ("zstd", zstd[:-5], "cut"), ("gzip",
              gzipped[:-9], "cut")),
            *(("gzip", gzipped[:-4] + b"\x00\x00\x00\x01", "of another length"), ("zstd", b"", "empty"),
              ("gzip", b"", "empty")),
            *(("zstd, gzip", zstd, "of one of them"), ("identity, zstd", zstd, "of one of them"), ("*", body,
              "plain")),
            *(("gzip", gzipped[:12] + b"\xff" + gzipped[13:], "corrupt"), ("zstd",
              zstd[:8] + b"\xff" + zstd[9:], "corrupt")),
        ]
    )
    request = replace(request, body=sent).having("Content-Encoding", coding)
    return request, f"content coding {coding!r}, the body {said}"


OFFERS = [
    *("zstd", "gzip", "identity", "br", "", "*", "gzip, zstd", "zstd, gzip", "identity, gzip", "br, gzip", "GZIP"),
    *("gzip;q=0.5, zstd;q=0.1", "identity;q=0, gzip", "gzip;q=x", " , gzip", "gzip;q=0, *", "*;q=0", "zstd;q=0"),
    "deflate, gzip;q=1.0",
]
LIMITS = [
    *("65536", "65535", "9007199254740991", "9007199254740992", "0", "", "-1", "+65536", "065536", "65536.0", "1e6"),
    *("65536, 65536", " 65536 ", "65_536", "268435456", "99999999999999999999999", "0x10000", "abc", "6553\uff16"),
]


def headers(random: Random, request: Request) -> tuple[Request, str]:
    """Accepted codings, limits on the response, and session headers."""
    kind = random.random()
    if kind < 0.4:
        names = random.choice([["Accept-Encoding"], ["X-VGI-Accept-Encoding"], ["Accept-Encoding",
            "X-VGI-Accept-Encoding"]])
        # Long enough for a coding: a server may send a body as it is if coding does not make it smaller.
        request, said = post(calls.call_of("echo_string", {"value": "compressible " * 100})), []
        for name in names:
            value = random.choice(OFFERS)
            request = request.having(name, value)
            said.append(f"{name} {value!r}")
        return request, "a long text with " + ", ".join(said)
    if kind < 0.75:
        value = random.choice(LIMITS).encode().decode("latin-1")
        return request.having("VGI-Accept-Max-Response-Bytes", value), f"a response limit of {value!r}"
    name, value = random.choice(
        [
            *(("VGI-Session", ""), ("VGI-Session", "AAAA"), ("VGI-Session", "%%%"), ("VGI-Session", "A" * 200)),
            *(("VGI-Session-Accept", "true"), ("VGI-Session-Accept", "false"), ("X-Request-ID", "abc"),
              ("X-Request-ID", "\xff")),
            *(("Expect", "100-continue"), ("Authorization", "Bearer x"), ("traceparent", "zz"), ("Connection",
              "close")),
        ]
    )
    return request.having(name, value), f"{name} {value[:20]!r}"


def framed(random: Random, request: Request) -> tuple[Request, str]:
    """The body in chunks, or without its length, which means no body (RFC 9112, 6.3)."""
    framing = random.choice(["chunked", "chunked", "none"])
    request = replace(request, framing=framing, body=b"" if framing == "none" else request.body)
    return request, f"framing {framing}"
