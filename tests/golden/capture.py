"""Captures the bytes between the reference's client and server, for Rust tests to replay.

    tests/conf.py setup
    .test-run/venv/bin/python tests/golden/capture.py

For each scenario of scenarios.py it writes NAME.request.bin (client to server) and NAME.response.bin (server to
client), and one index.json for all. Two captures with the same versions write the same bytes.

The index has, for each scenario, the protocol and method, the kind of call, the client's error if any, and `chunks`: the
direction and bytes of each transfer, as [direction, bytes] in order. The client is blocked at every write until the server
waits for more, so a response chunk is right after the request bytes that the server needed for it.
"""

from __future__ import annotations

import json
import logging
import threading
from io import RawIOBase
from pathlib import Path

import scenarios
from vgi_rpc.conformance import ConformanceService, ConformanceServiceImpl
from vgi_rpc.conformance.secondary import conformance_extra_protocols
from vgi_rpc.log import Message
from vgi_rpc.rpc import PipeTransport, RpcError, RpcServer, _server

HERE = Path(__file__).parent
REQUEST, RESPONSE = "request", "response"
LONGEST_WAIT_SECONDS = 10
VOLATILE = {
    "vgi_rpc.server_id": "random for each server, in list_protocols' result too; fixed to golden-server here",
    "vgi_rpc.request_id": "random for each call; fixed to golden-request here",
    "vgi_rpc.log_extra": "JSON; its traceback, frames, cause and context are the server's own, and scrubbed here",
    "vgi_rpc.log_message": "of an EXCEPTION batch: the text is the implementation's unless a method states it",
}


class Wire:
    """Both directions between one client and one server, and the order of the writes."""

    def __init__(self):
        self.changed = threading.Condition()
        self.pending = {REQUEST: bytearray(), RESPONSE: bytearray()}
        self.wanted = {REQUEST: 0, RESPONSE: 0}
        self.closed = False
        self.chunks: list[tuple[str, bytearray]] = []

    def starved(self, direction):
        """Whether a reader waits for more bytes than are available."""
        return self.wanted[direction] > len(self.pending[direction])

    def write(self, direction, data):
        with self.changed:
            if direction == REQUEST:
                self.wait_for(lambda: self.starved(REQUEST))
            self.pending[direction] += data
            if not self.chunks or self.chunks[-1][0] != direction:
                self.chunks.append((direction, bytearray()))
            self.chunks[-1][1].extend(data)
            self.changed.notify_all()

    def read(self, direction, size):
        with self.changed:
            self.wanted[direction] = size
            self.changed.notify_all()
            self.wait_for(lambda: self.closed or not self.starved(direction))
            self.wanted[direction] = 0
            data = bytes(self.pending[direction][:size])
            del self.pending[direction][:size]
            return data

    def close(self):
        """End the connection once the server waits for the next request; return the chunks until then.

        The reference's server responds to the end of its input with an error that no client reads: it is omitted.
        """
        with self.changed:
            self.wait_for(lambda: self.starved(REQUEST))
            said = [(direction, bytes(data)) for direction, data in self.chunks]
            self.closed = True
            self.changed.notify_all()
        return said

    def wait_for(self, condition):
        if not self.changed.wait_for(condition, LONGEST_WAIT_SECONDS):
            raise TimeoutError("client and server wait for each other")

    def side(self, reads, writes):
        return PipeTransport(End(self, reads), End(self, writes))


class End(RawIOBase):
    """One direction of a Wire as a file, which a transport only reads or only writes."""

    def __init__(self, wire, direction):
        self.wire = wire
        self.direction = direction

    def readable(self):
        return True

    def writable(self):
        return True

    def read(self, size=-1):
        return self.wire.read(self.direction, size)

    def write(self, data):
        view = memoryview(data)
        self.wire.write(self.direction, view)
        return view.nbytes


def capture(scenario):
    """Play one scenario; return its chunks and the client's error."""
    wire = Wire()
    server = RpcServer(
        ConformanceService,
        ConformanceServiceImpl(),
        server_id="golden-server",
        enable_describe=True,
        extra_protocols=conformance_extra_protocols(),
    )
    thread = threading.Thread(target=server.serve, args=(wire.side(reads=REQUEST, writes=RESPONSE),), daemon=True)
    thread.start()
    error = None
    try:
        scenario.play(wire.side(reads=RESPONSE, writes=REQUEST))
    except RpcError as raised:
        error = {"type": raised.error_type, "code": raised.error_code, "kind": raised.error_kind}
    chunks = wire.close()
    thread.join(LONGEST_WAIT_SECONDS)
    return chunks, error


def fix_what_varies():
    """Give every call the same request id, and remove this machine's paths and the reference's lines from errors."""
    _server._generate_request_id = lambda: "golden-request"
    from_exception = Message.from_exception.__func__

    def scrubbed(cls, raised, **options):
        message = from_exception(cls, raised, **options)
        for key in {"traceback", "cause", "context"} & message.extra.keys():
            message.extra[key] = "scrubbed\n"
        message.extra["frames"] = [{"file": "scrubbed", "line": 1, "function": "scrubbed", "code": "scrubbed"}]
        return message

    Message.from_exception = classmethod(scrubbed)


def main():
    fix_what_varies()
    logging.disable()
    for old in HERE.glob("*.bin"):
        old.unlink()
    entries = {}
    for scenario in scenarios.SCENARIOS:
        chunks, error = capture(scenario)
        for direction in (REQUEST, RESPONSE):
            data = b"".join(part for written, part in chunks if written == direction)
            (HERE / f"{scenario.name}.{direction}.bin").write_bytes(data)
        entries[scenario.name] = {
            "protocol": scenario.protocol,
            "method": scenario.method,
            "kind": scenario.kind,
            "error": error,
            "chunks": [[direction, len(data)] for direction, data in chunks],
        }
    rows = ",\n".join(f"    {json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
    volatile = ",\n".join(f"    {json.dumps(key)}: {json.dumps(why)}" for key, why in VOLATILE.items())
    (HERE / "index.json").write_text(
        '{\n  "about": "What vgi-rpc 0.52.2 says to itself, as capture.py recorded it",\n'
        f'  "volatile": {{\n{volatile}\n  }},\n  "scenarios": {{\n{rows}\n  }}\n}}\n'
    )


if __name__ == "__main__":
    main()
