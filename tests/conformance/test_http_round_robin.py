"""Streams whose requests alternate between two workers with one key: their tokens must contain all their state."""

from __future__ import annotations

import itertools
import os

import httpx2
import pytest
from conformance.workers import http_worker
from vgi_rpc.conformance import ConformanceService
from vgi_rpc.http import http_connect
from vgi_rpc.rpc import AnnotatedBatch

pytestmark = pytest.mark.timeout(30)


class Alternating(httpx2.BaseTransport):
    """Sends each request to the next server in turn, and counts the requests of each."""

    def __init__(self, ports):
        self.requests = dict.fromkeys(ports, 0)
        self.next_port = itertools.cycle(ports)
        self.network = httpx2.HTTPTransport()

    def handle_request(self, request):
        port = next(self.next_port)
        self.requests[port] += 1
        request.url = request.url.copy_with(port=port)
        return self.network.handle_request(request)

    def close(self):
        self.network.close()


@pytest.fixture(scope="module")
def http_pair(tmp_path_factory):
    """Yields the ports of two workers that share their token key and the counters of the cancellation probe."""
    probe = tmp_path_factory.mktemp("pair") / "probe.json"
    environment = {**os.environ, "VGI_RPC_CONFORMANCE_PROBE_FILE": str(probe)}
    worker, flags = os.environ["VGI_CONF_WORKER"], ("--token-key", os.urandom(32).hex())
    with http_worker(worker, *flags, environment=environment) as one:
        with http_worker(worker, *flags, environment=environment) as other:
            yield one.port, other.port


@pytest.fixture
def alternating(http_pair):
    """Yields a proxy whose requests alternate; each worker must have received at least two in the end."""
    transport = Alternating(http_pair)
    with httpx2.Client(base_url=url(http_pair[0]), transport=transport) as client:
        with http_connect(ConformanceService, client=client) as proxy:
            yield proxy
    assert min(transport.requests.values()) >= 2, transport.requests


def url(port):
    return f"http://127.0.0.1:{port}"


def direct(port):
    """Yields a proxy of only one worker."""
    return http_connect(ConformanceService, url(port))


def values(*numbers):
    return AnnotatedBatch.from_pydict({"value": list(numbers)})


def test_the_workers_have_identities_of_their_own(http_pair):
    answers = [httpx2.get(f"{url(port)}/health").raise_for_status() for port in http_pair]
    first, second = (answer.json()["server_id"] for answer in answers)
    assert first and second and first != second


def test_an_exchange_keeps_its_state(alternating):
    inputs = [(1.0, 2.0), (10.0,), (100.0, 200.0), (0.5,)]
    with alternating.exchange_accumulate() as session:
        outputs = [session.exchange(values(*numbers)).batch.to_pylist() for numbers in inputs]
    sums = [3.0, 13.0, 313.0, 313.5]
    assert outputs == [[{"running_sum": total, "exchange_count": turn}] for turn, total in enumerate(sums, 1)]


def test_a_producer_keeps_its_place(alternating, http_pair):
    with direct(http_pair[0]) as proxy:
        expected = [turn.batch for turn in proxy.produce_n(count=10)]
    assert len(expected) == 10
    assert [turn.batch for turn in alternating.produce_n(count=10)] == expected


def test_a_cancelled_stream_is_told_once(alternating, http_pair):
    for port in http_pair:
        with direct(port) as proxy:
            proxy.reset_cancel_probe()
    session = alternating.cancellable_exchange()
    session.exchange(values(1.0))
    session.exchange(values(2.0))
    session.cancel()
    for port in http_pair:
        with direct(port) as proxy:
            _produced, exchanged, cancelled = proxy.cancel_probe_counters()
        assert (exchanged, cancelled) == (2, 1)
