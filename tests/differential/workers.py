"""The two workers: ours, and the reference, each on a unix socket and on HTTP during a run."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from conformance.workers import listening
from harness.environment import child_environment, venv_tool


class Side:
    """One of the two: its addresses, and how to restart it after a case has ended it."""

    def __init__(self, name: str, command: list, http: list, folder: str):
        self.name = name
        self.path = f"{folder}/{name}"
        self.port = 0
        self._command = command
        self._http = http
        self._unix_process = contextlib.ExitStack()
        self._http_process = contextlib.ExitStack()

    def start_unix(self) -> None:
        """Listen on the socket, again if it did before."""
        self._unix_process.close()
        Path(self.path).unlink(missing_ok=True)
        command = [*self._command, "--unix", self.path]
        self._unix_process.enter_context(listening(*command, environment=child_environment()))

    def start_http(self) -> None:
        """Listen on a port, a new one if it did before."""
        self._http_process.close()
        command = [*self._command, *self._http]
        self.port = self._http_process.enter_context(listening(*command, environment=child_environment())).port

    def stop(self) -> None:
        self._unix_process.close()
        self._http_process.close()


@contextlib.contextmanager
def both(worker: Path):
    """Ours and the reference, listening."""
    reference = [venv_tool("python"), Path(__file__).with_name("reference.py")]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        sides = [
            Side("ours", [worker, "--idle-timeout", "1000"], ["--http", "--allowed-hosts", "any"], folder),
            Side("reference", reference, [], folder),
        ]
        for side in sides:
            stack.callback(side.stop)
            side.start_unix()
            side.start_http()
        yield sides
