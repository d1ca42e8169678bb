"""One stream method that decides for each call whether it is a producer or an exchange, called by the reference's client."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import ClassVar, Protocol

import pytest
from conformance.workers import http_worker, listening
from vgi_rpc.http import http_connect
from vgi_rpc.rpc import AnnotatedBatch, RpcError, Stream, StreamState, connect, tcp_connect, unix_connect

pytestmark = pytest.mark.timeout(60)

FLAG = "--stream-kinds"


class Kinds(Protocol):
    """What the worker hosts with the flag."""

    protocol_name: ClassVar[str] = "test.StreamKinds.v1"

    def open(self, kind: str, number: int) -> Stream[StreamState]: ...


@contextlib.contextmanager
def pipe(worker):
    with connect(Kinds, [worker, "--pipe", FLAG]) as proxy:
        yield proxy


@contextlib.contextmanager
def unix(worker):
    with tempfile.TemporaryDirectory() as folder:
        with listening(worker, "--unix", f"{folder}/s", FLAG) as server, unix_connect(Kinds, server.address) as proxy:
            yield proxy


@contextlib.contextmanager
def tcp(worker):
    with listening(worker, "--tcp", "127.0.0.1:0", FLAG) as server:
        host, port = server.address.rsplit(":", 1)
        with tcp_connect(Kinds, host, int(port)) as proxy:
            yield proxy


@contextlib.contextmanager
def http(worker):
    with http_worker(worker, FLAG) as server, http_connect(Kinds, server.url) as proxy:
        yield proxy


@contextlib.contextmanager
def http_without_cache(worker):
    with http_worker(worker, FLAG, "--no-call-state-cache") as server, http_connect(Kinds, server.url) as proxy:
        yield proxy


@pytest.fixture(params=[pipe, unix, tcp, http, http_without_cache], ids=lambda start: start.__name__)
def kinds_proxy(request):
    with request.param(os.environ["VGI_CONF_WORKER"]) as proxy:
        yield proxy


def numbers(*values):
    return AnnotatedBatch.from_pydict({"n": list(values)})


def produced(proxy, kind, number):
    with contextlib.closing(proxy.open(kind=kind, number=number)) as session:
        return [row["n"] for output in session for row in output.batch.to_pylist()]


def test_the_kind_is_that_of_each_call(kinds_proxy):
    for _ in range(2):
        assert produced(kinds_proxy, "producer", 4) == [0, 1, 2, 3]
        with kinds_proxy.open(kind="exchange", number=10) as session:
            outputs = [session.exchange(numbers(*values)).batch.to_pylist() for values in [(1, 2), (3,), (4,)]]
        assert outputs == [[{"n": 10}, {"n": 20}], [{"n": 31}], [{"n": 42}]]


def test_a_producer_that_cannot_be_resumed_gives_all_of_its_output(kinds_proxy):
    assert produced(kinds_proxy, "unresumable producer", 5) == [0, 1, 2, 3, 4]
    assert produced(kinds_proxy, "unresumable producer", 0) == []


def test_a_call_may_decide_for_neither(kinds_proxy):
    with pytest.raises(RpcError, match="expected a producer"):
        produced(kinds_proxy, "neither", 1)
    assert produced(kinds_proxy, "producer", 1) == [0]
