"""The transports that the suite runs over, one entry of TRANSPORTS each. `conf.py` and `conftest.py` both read it.

To add one: write a context manager that takes the worker's path, has the worker listening inside it, and yields
`connect(protocol, on_log=None)`, which in turn is a context manager of a proxy bound to `protocol`. The imports
stay inside the functions, because conf.py reads this table with a Python that has nothing installed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import NamedTuple


@contextlib.contextmanager
def pipe(worker):
    """A child of its own for each connection."""
    from vgi_rpc.rpc import connect

    yield lambda protocol, on_log=None: connect(protocol, [worker, "--pipe"], on_log=on_log)


@contextlib.contextmanager
def subprocess(worker):
    """One child for the whole session, which every case and every protocol shares."""
    from vgi_rpc.rpc import SubprocessTransport, _RpcProxy

    child = SubprocessTransport([worker, "--pipe"])
    try:
        # A proxy made directly: leaving an RpcConnection would close the child.
        yield lambda protocol, on_log=None: contextlib.nullcontext(_RpcProxy(protocol, child, on_log))
    finally:
        child.close()


@contextlib.contextmanager
def listening(worker, *flags):
    """A worker that listens on a socket: yields what its first line says of where."""
    import subprocess

    child = subprocess.Popen([worker, *flags], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        yield child.stdout.readline().strip().partition(":")[2]
    finally:
        child.terminate()
        child.wait(timeout=5)


@contextlib.contextmanager
def unix(worker, mode="--no-threaded"):
    """One worker, a connection for each case; one connection at a time unless the mode says otherwise."""
    import tempfile

    from vgi_rpc.rpc import unix_connect

    with tempfile.TemporaryDirectory() as folder, listening(worker, "--unix", f"{folder}/s", mode) as path:
        yield lambda protocol, on_log=None: unix_connect(protocol, path, on_log=on_log)


def unix_threaded(worker):
    """Connections at the same time."""
    return unix(worker, "--threaded")


@contextlib.contextmanager
def unix_launcher(worker):
    """A worker that the reference's launcher starts, and that ends by itself when nobody has connected for long."""
    import tempfile

    from vgi_rpc.launcher import LaunchConfig, launch
    from vgi_rpc.rpc import unix_connect

    with tempfile.TemporaryDirectory() as folder:
        path = launch(LaunchConfig(worker_argv=(worker,), idle_timeout=60.0, state_dir=folder))
        yield lambda protocol, on_log=None: unix_connect(protocol, path, on_log=on_log)


@contextlib.contextmanager
def tcp(worker):
    """One worker on a port that the system chose, a connection for each case."""
    from vgi_rpc.rpc import tcp_connect

    with listening(worker, "--tcp", "127.0.0.1:0", "--threaded") as address:
        host, port = address.rsplit(":", 1)
        yield lambda protocol, on_log=None: tcp_connect(protocol, host, int(port), on_log=on_log)


class Transport(NamedTuple):
    """How to reach the worker, and the cases that an unfiltered run must collect for this lane."""

    start: Callable
    cases: int
    byte_stream: bool = True


TRANSPORTS = {
    # 190 by connection, 13 raw, 2 by reflection; and the pipe lane asks the worker for its transport kind.
    "pipe": Transport(pipe, 206),
    "subprocess": Transport(subprocess, 205),
    "unix": Transport(unix, 205),
    "unix_threaded": Transport(unix_threaded, 205),
    "unix_launcher": Transport(unix_launcher, 205),
    "tcp": Transport(tcp, 205),
}
