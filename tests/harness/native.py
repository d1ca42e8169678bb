"""Runs the native client against the reference's worker for native clients, and parses its output."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import NamedTuple

from conformance.workers import listening, wait_for
from harness.environment import RUN_DIR, built_native_client, child_environment, venv_tool
from harness.results import OUTCOMES, Case

# Far above the duration of a lane: it ends one that hangs.
LONGEST_LANE_SECONDS = 120
HTTP = ("--http", "0", "--prefix", "/vgi")
# The smallest budget that the reference accepts. Its document has a smaller one.
TURN_BYTES = 65536


class NativeLane(NamedTuple):
    """The cases of the native client to run, the worker's flags, and the expected number of lines."""

    cases_of: str
    flags: tuple[str, ...]
    cases: int


NATIVE_LANES = {
    "native_stdio": NativeLane("bytes", ("--stdio",), 16),
    "native_unix": NativeLane("bytes", ("--unix",), 16),
    "native_tcp": NativeLane("bytes", ("--tcp", "127.0.0.1:0"), 16),
    "native_http": NativeLane("http", HTTP, 15),
    "native_http_root": NativeLane("http", ("--http", "0"), 15),
    "native_buffered": NativeLane("buffered", (*HTTP, "--producer-turn-bytes", str(TURN_BYTES)), 8),
    "native_sticky": NativeLane("sticky", (*HTTP, "--sticky"), 5),
    "native_external": NativeLane("external", (*HTTP, "--external", "--external-threshold", "4096"), 4),
}


def run_native(name: str) -> list[Case]:
    """Run one of NATIVE_LANES."""
    lane, log = NATIVE_LANES[name], RUN_DIR / f"{name}.log"
    begun = time.monotonic()
    with log.open("w") as output, _address(lane) as address:
        command = [built_native_client(), lane.cases_of, address]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=child_environment(),
                timeout=LONGEST_LANE_SECONDS,
            )
            ended = "" if done.returncode in (0, 1) else f"ended with {done.returncode}"
        except subprocess.TimeoutExpired:
            ended = f"stopped after {LONGEST_LANE_SECONDS} s"
    seconds = time.monotonic() - begun
    print(f"{name}: {seconds:.1f} s", flush=True)
    lines = log.read_text(errors="replace").splitlines()
    cases = [_case(name, line, seconds / len(lines)) for line in lines]
    return [*cases, Case(name, "the run", "failed", 0.0, ended)] if ended else cases


def _case(lane: str, line: str, seconds: float) -> Case:
    """Parses a case from its line. Any other line is a failure."""
    outcome, _, rest = line.partition(" ")
    if outcome not in OUTCOMES:
        return Case(lane, "the output", "failed", seconds, line)
    case, _, detail = rest.partition(" ")
    return Case(lane, case, outcome, seconds, detail)


@contextlib.contextmanager
def _address(lane: NativeLane) -> Iterator[str]:
    """Runs the worker. Yields its address for the client."""
    worker = [str(venv_tool("python")), "-m", "vgi_rpc.conformance.client_worker", *lane.flags]
    if "--stdio" in lane.flags:
        yield "cmd:" + shlex.join(worker)
        return
    with contextlib.ExitStack() as running:
        if "--unix" in lane.flags:
            worker.append(running.enter_context(tempfile.TemporaryDirectory()) + "/s")
        server = running.enter_context(listening(*worker, environment=child_environment()))
        if "--http" in lane.flags:
            wait_for(server)
            yield server.url + ("/vgi" if "--prefix" in lane.flags else "")
        else:
            yield lane.flags[0].removeprefix("--") + ":" + server.address
