"""The transports that the suite runs over, one entry of TRANSPORTS each. `lanes.py` and `conftest.py` read it.

To add one: write a context manager that takes the worker's path, runs the worker, and yields
`connect(protocol, on_log=None)`, which in turn is a context manager of a proxy bound to `protocol`. Import packages
outside the standard library inside the functions, because conf.py reads this table with a Python that has nothing
installed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import NamedTuple

from conformance.workers import fake_storage, http_worker, listening

# A worker waits while cases of other lanes run: longer than conf.py lets a run take, so that none ends early, but an
# orphaned worker still ends.
PATIENTLY = ("--idle-timeout", "1000")


@contextlib.contextmanager
def pipe(worker):
    """A separate child for each connection."""
    from vgi_rpc.rpc import connect

    yield lambda protocol, on_log=None: connect(protocol, [worker, "--pipe"], on_log=on_log)


@contextlib.contextmanager
def subprocess(worker):
    """One child for the whole session, which every case and every protocol shares."""
    from vgi_rpc.rpc import SubprocessTransport, _RpcProxy

    child = SubprocessTransport([worker, "--pipe"])
    try:
        # A proxy made directly: exiting an RpcConnection would close the child.
        yield lambda protocol, on_log=None: contextlib.nullcontext(_RpcProxy(protocol, child, on_log))
    finally:
        child.close()


@contextlib.contextmanager
def unix(worker, mode="--no-threaded"):
    """One worker, with a connection for each case; one connection at a time unless the mode allows more."""
    import tempfile

    from vgi_rpc.rpc import unix_connect

    with tempfile.TemporaryDirectory() as folder:
        with listening(worker, "--unix", f"{folder}/s", mode, *PATIENTLY) as server:
            yield lambda protocol, on_log=None: unix_connect(protocol, server.address, on_log=on_log)


def unix_threaded(worker):
    """Concurrent connections."""
    return unix(worker, "--threaded")


@contextlib.contextmanager
def unix_launcher(worker):
    """A worker that the reference's launcher starts, and that ends by itself after the run."""
    import tempfile

    from vgi_rpc.conformance import ConformanceService
    from vgi_rpc.launcher import LaunchConfig, launch
    from vgi_rpc.rpc import unix_connect

    with tempfile.TemporaryDirectory() as folder:
        path = launch(LaunchConfig(worker_argv=(worker,), state_dir=folder))
        # Kept open during the run: otherwise the worker would end while cases of other lanes run.
        with unix_connect(ConformanceService, path):
            yield lambda protocol, on_log=None: unix_connect(protocol, path, on_log=on_log)


@contextlib.contextmanager
def tcp(worker):
    """One worker on a port chosen by the system, with a connection for each case."""
    from vgi_rpc.rpc import tcp_connect

    with listening(worker, "--tcp", "127.0.0.1:0", "--threaded", *PATIENTLY) as server:
        host, port = server.address.rsplit(":", 1)
        yield lambda protocol, on_log=None: tcp_connect(protocol, host, int(port), on_log=on_log)


@contextlib.contextmanager
def http(worker):
    """One worker, with a separate client for each case."""
    from vgi_rpc.http import http_connect

    with http_worker(worker) as server:
        yield lambda protocol, on_log=None: http_connect(protocol, server.url, on_log=on_log)


# Flags of a worker that stores every batch with rows, and accepts requests inline.
EXTERNALIZE_ALWAYS = ("--externalize-threshold", "1", "--max-request-bytes", str(1024 * 1024))


def resolving():
    """Returns a client's settings for resolving pointers of a store without TLS."""
    from vgi_rpc.external import ExternalLocationConfig

    return ExternalLocationConfig(url_validator=None)


@contextlib.contextmanager
def http_externalize_always(worker):
    """Every result is a pointer into a store."""
    from vgi_rpc.http import http_connect

    with (
        fake_storage() as storage,
        http_worker(worker, "--fake-storage", storage.url, *EXTERNALIZE_ALWAYS) as server,
    ):
        config = resolving()
        yield lambda protocol, on_log=None: http_connect(
            protocol, server.url, on_log=on_log, external_location=config
        )


class Transport(NamedTuple):
    """How to reach the worker, and the cases that an unfiltered run must collect for this lane."""

    start: Callable
    cases: int
    byte_stream: bool = True


TRANSPORTS = {
    # 190 by connection, 13 raw, 2 by reflection; the pipe lane also asks the worker for its transport kind, and for its
    # description of methods with sessions.
    "pipe": Transport(pipe, 207),
    "subprocess": Transport(subprocess, 205),
    "unix": Transport(unix, 205),
    "unix_threaded": Transport(unix_threaded, 205),
    "unix_launcher": Transport(unix_launcher, 205),
    "tcp": Transport(tcp, 205),
    # No raw cases, which write to a byte stream.
    "http": Transport(http, 192, byte_stream=False),
    "http_externalize_always": Transport(http_externalize_always, 192, byte_stream=False),
}
