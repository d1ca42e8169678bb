"""Starts the servers of the cases: workers that listen, and the store for external locations.

Imports only the standard library, because conf.py reads this file with a Python that has nothing installed.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

SECONDS_TO_START = 30
SECONDS_TO_STOP = 10


def shared_batches(counts: str, ways: int = 2) -> bool:
    """Whether batches were written to shared memory, and also read from it if both directions are required.

    Each line has the counts of one process: segments, batches written, batches read.
    """
    lines = [line.split() for line in counts.splitlines()]
    rows = [list(map(int, line)) for line in lines if len(line) == 3 and all(map(str.isdecimal, line))]
    return bool(rows) and all(any(column) for column in list(zip(*rows))[: 1 + ways])


class Listening(NamedTuple):
    """A server's process, and the address in its first line, like `PORT:<address>`."""

    address: str
    pid: int

    @property
    def url(self) -> str:
        """Returns the root URL of a server that printed `PORT:`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        return int(self.address)


@contextlib.contextmanager
def listening(*command: str, environment: dict[str, str] | None = None) -> Iterator[Listening]:
    """Run a server while the context lasts. A server that outlives SIGTERM is an error, and is killed."""
    command = [str(part) for part in command]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0, env=environment
    ) as child:
        try:
            yield Listening(_address(child, command), child.pid)
        finally:
            child.terminate()
            try:
                child.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                child.kill()
                raise


@contextlib.contextmanager
def http_worker(worker, *flags: str, environment: dict[str, str] | None = None) -> Iterator[Listening]:
    """Run a worker over HTTP on a port chosen by the system. It is a path, or the words of a command."""
    command = worker if isinstance(worker, list) else [worker]
    with listening(*command, "--http", "--port", "0", *flags, environment=environment) as server:
        wait_for(server)
        yield server


def wait_for(server: Listening) -> None:
    """Wait until an HTTP server accepts connections: the reference prints its line slightly earlier.

    The probe is a connection that closes without sending a byte, since the cases would count a request.
    """
    deadline = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def fake_storage(python=sys.executable) -> contextlib.AbstractContextManager[Listening]:
    """Run the reference's object store in its own process, so that no case competes with it for the interpreter."""
    return listening(python, "-m", "vgi_rpc.conformance.fake_storage", "--port", "0")


def _address(child: subprocess.Popen, command: list[str]) -> str:
    """Returns the address in the first line of a server's output."""
    line = b""
    deadline = time.monotonic() + SECONDS_TO_START
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))
        more = os.read(child.stdout.fileno(), 4096) if readable else b""
        if not more:
            what = "ended" if readable else f"said nothing for {SECONDS_TO_START} s"
            raise RuntimeError(f"{' '.join(command)} {what} before its first line was complete: {line!r}")
        line += more
    kind, _, address = line.decode().strip().partition(":")
    if kind not in ("PORT", "UNIX", "TCP"):
        raise RuntimeError(f"{' '.join(command)} printed {line!r}, not PORT:, UNIX: or TCP: and its address")
    return address
