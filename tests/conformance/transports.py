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


class Transport(NamedTuple):
    """How to reach the worker, and the cases that an unfiltered run must collect for this lane."""

    start: Callable
    cases: int
    byte_stream: bool = True


TRANSPORTS = {
    # 190 by connection, 13 raw, 2 by reflection; and the pipe lane asks the worker for its transport kind.
    "pipe": Transport(pipe, 206),
    "subprocess": Transport(subprocess, 205),
}
