"""An HTTP request, its response, and a connection that sends and reads them.

The requests are written by hand, since a client library would correct the intended errors.
"""

from __future__ import annotations

import gzip
import http.client
import socket
from dataclasses import dataclass, field, replace

import zstandard

from differential import calls
from differential.calls import Call
from differential.outcome import Answer, read_streams
from differential.workers import Side

SECONDS = 30
ARROW = "application/vnd.apache.arrow.stream"
# The response headers that are compared. The others depend on the server or the time.
COMPARED = ("X-VGI-RPC-Error", "Content-Encoding", "X-VGI-Content-Encoding", "VGI-Session-Close")


@dataclass(frozen=True)
class Request:
    """A request. Without a framing, neither the length of the body nor its end is sent."""

    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", ARROW),)
    framing: str = "length"

    def without(self, name: str) -> Request:
        return replace(self, headers=tuple(each for each in self.headers if each[0] != name))

    def having(self, name: str, value: str) -> Request:
        """Returns the request with this header, replacing one of that name."""
        return replace(self.without(name), headers=(*self.without(name).headers, (name, value)))

    def encode(self) -> bytes:
        body, headers = self.body, [("Host", "worker"), *self.headers]
        if self.framing == "length":
            headers.append(("Content-Length", str(len(body))))
        elif self.framing == "chunked":
            headers.append(("Transfer-Encoding", "chunked"))
            pieces = [body[at : at + 100] for at in range(0, len(body), 100)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"{self.method} {self.path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


@dataclass
class Response:
    """The response; if there was none, status 0, and the reason in `broken`."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    broken: str = ""
    streams: list[Answer] = field(default_factory=list)

    @property
    def arrow(self) -> bool:
        return self.headers.get("content-type", "").startswith(ARROW)

    @property
    def refused(self) -> bool:
        return self.status >= 400 or not self.status or any(each.refused for each in self.streams)

    @property
    def tokens(self) -> dict[bytes, bytes]:
        """Returns a stream's tokens in the response: the call's, if present, and the cursor."""
        return {key: value for each in self.streams for key, value in each.tokens.items()}

    def facts(self, name: str) -> dict:
        """Returns the compared facts, under this name."""
        compared = {header: self.headers.get(header.lower()) for header in COMPARED}
        return {
            f"{name} refused": self.refused,
            f"{name} status": self.status or self.broken,
            # Bodies other than Arrow are pages or come from the framework, and are not defined.
            f"{name} answers": [each.refusal or each.contents for each in self.streams],
            f"{name} broken": next((each.broken for each in self.streams if each.broken), ""),
            f"{name} headers": {header: value for header, value in compared.items() if value is not None},
            f"{name} opens a session": "vgi-session" in self.headers,
            f"({name} text)": [str(each) for each in self.streams] or self.body[:120],
        }


def post(call: Call, suffix: str = "", protocol: bytes = calls.PROTOCOL) -> Request:
    """Returns the request of a call."""
    return Request("POST", f"/{protocol.decode()}/{call.method}{suffix}", call.request.encode())


def send(side: Side, request: Request) -> Response:
    """Send it on a separate connection."""
    response = Response()
    with socket.create_connection(("127.0.0.1", side.port), timeout=SECONDS) as connection:
        try:
            connection.sendall(request.encode())
            answer = http.client.HTTPResponse(connection, method=request.method)
            answer.begin()
            response.status, response.body = answer.status, answer.read()
            response.headers = {name.lower(): value for name, value in answer.getheaders()}
        except TimeoutError:
            response.broken = f"nothing for {SECONDS} s"
        except (OSError, http.client.HTTPException) as error:
            response.broken = type(error).__name__
    if response.arrow:
        decoded = _decoded(response)
        response.streams = read_streams(decoded) if decoded is not None else []
    return response


def _decoded(response: Response) -> bytes | None:
    coding = response.headers.get("content-encoding") or response.headers.get("x-vgi-content-encoding")
    try:
        if coding == "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(response.body)
        return gzip.decompress(response.body) if coding == "gzip" else response.body
    except (zstandard.ZstdError, OSError, EOFError):
        response.broken = f"the body is not {coding}"
        return None


def alive(side: Side) -> bool:
    """Whether the process still serves; it is restarted if not."""
    try:
        response = send(side, post(calls.call_of("add_floats", {"a": 1.25, "b": 2.5})))
        if response.status == 200 and "3.75" in response.streams[0].contents[-1]:
            return True
    except (OSError, IndexError):
        pass
    side.start_http()
    return False
