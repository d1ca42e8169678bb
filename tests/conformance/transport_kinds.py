"""The transport kind that a server reports for a call: a server and a call for each kind of transport."""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import ClassVar, Protocol

from conformance.client_transports import REFERENCE_WORKER, driver, judges_client
from conformance.workers import http_worker, listening
from vgi_rpc.http import http_connect
from vgi_rpc.rpc import connect, tcp_connect, unix_connect

FLAG = "--transport-kind-probe"


class TransportKindProbe(Protocol):
    """What a server hosts, alone, with FLAG."""

    protocol_name: ClassVar[str] = "conformance.TransportKindProbe.v1"

    def report_transport_kind(self) -> str: ...


def over(transport, target):
    """Opens a connection: with our client if it is tested, otherwise with the reference's."""
    if judges_client():
        return driver(TransportKindProbe).connect("stdio" if transport == "pipe" else transport, target)
    if transport == "tcp":
        host, port = target.rsplit(":", 1)
        return tcp_connect(TransportKindProbe, host, int(port))
    return {"pipe": connect, "unix": unix_connect, "http": http_connect}[transport](TransportKindProbe, target)


def probes(worker, folder):
    """Returns pairs of a kind of transport and a function that returns the kind reported by the server."""
    command = [sys.executable, str(REFERENCE_WORKER)] if judges_client() else [worker]

    @contextlib.contextmanager
    def serving(transport):
        if transport == "pipe":
            yield [*command, FLAG, "--pipe"]
        elif transport == "http":
            with http_worker(command, FLAG) as server:
                yield server.url
        else:
            address = {"unix": f"{folder}/s", "tcp": "127.0.0.1:0"}[transport]
            with listening(*command, FLAG, f"--{transport}", address) as server:
                yield server.address

    def ask(transport):
        with serving(transport) as target, over(transport, target) as proxy:
            return proxy.report_transport_kind()

    return [(transport, functools.partial(ask, transport)) for transport in ("pipe", "unix", "tcp", "http")]
