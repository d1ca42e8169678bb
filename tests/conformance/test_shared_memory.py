"""The reference's client calls our worker with shared memory, over a pipe and over a unix socket.

The worker counts the batches that it reads from the segment and writes to it. The reference's client puts only the inputs
of streams into the segment, never requests. All batches here are above the default minimum size for the segment.
"""

from __future__ import annotations

import contextlib
import os
import socket

import pytest
from conformance.workers import listening, shared_batches
from vgi_rpc.conformance import ConformanceService
from vgi_rpc.rpc import AnnotatedBatch, RpcConnection, ShmPipeTransport, SubprocessTransport, UnixTransport
from vgi_rpc.shm import ShmSegment

pytestmark = pytest.mark.timeout(60)

SEGMENT_BYTES = 4 << 20
ROWS = 40_000


@contextlib.contextmanager
def pipe(worker, *flags):
    with contextlib.closing(SubprocessTransport([worker, "--pipe", *flags])) as transport:
        yield transport


@contextlib.contextmanager
def unix(worker, *flags, folder):
    with listening(worker, "--unix", f"{folder}/s", *flags) as server:
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(server.address)
        with contextlib.closing(UnixTransport(connected)) as transport:
            yield transport


@contextlib.contextmanager
def segment():
    made = ShmSegment.create(SEGMENT_BYTES)
    try:
        yield made
    finally:
        made.unlink()
        made.close()


@pytest.fixture(params=["pipe", "unix"])
def shared_worker(request, tmp_path):
    """Returns a function that makes calls on a connection with a segment, and returns the worker's counts."""
    worker, counts = os.environ["VGI_CONF_WORKER"], tmp_path / "counts"
    flags = [worker, "--shm-counts", str(counts)]

    def run(calls):
        started = pipe(*flags) if request.param == "pipe" else unix(*flags, folder=tmp_path)
        with segment() as made:
            with started as transport, RpcConnection(ConformanceService, ShmPipeTransport(transport, made)) as proxy:
                calls(proxy)
            left = made.allocator.num_allocs
        return counts.read_text(), left

    return run


def test_batches_are_shared_both_ways(shared_worker):
    data = bytes(range(256)) * 2000
    values = [float(value) for value in range(ROWS)]

    def calls(proxy):
        for _ in range(3):
            assert proxy.echo_bytes(data=data) == data
        with proxy.exchange_scale(factor=2.0) as session:
            for _ in range(3):
                output = session.exchange(AnnotatedBatch.from_pydict({"value": values}))
                assert output.batch.column(0).to_pylist() == [2 * value for value in values]
                output.release()
        assert proxy.echo_bytes(data=b"small") == b"small"

    counted, left = shared_worker(calls)
    assert shared_batches(counted), counted
    attached, written, read = map(int, counted.split())
    assert (attached, written, read) == (1, 6, 3), counted
    assert left <= 1, "batches are freed after they were read, except the last one"
