"""Starts the runs: the pytest suite, and the reference's command-line runners. Each leaves its files in .test-run."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from harness.environment import RUN_DIR, TESTS, child_environment, venv_tool
from harness.results import Case, read_junit, read_vgi_rpc_test

JUNIT = RUN_DIR / "junit.xml"
PYTEST_LOG = RUN_DIR / "pytest.log"
SUITE = TESTS / "conformance" / "test_conformance.py"
# Far above what a run takes: it ends one whose worker hangs where no case's own limit applies.
LONGEST_RUN_SECONDS = 900


def run_suite(worker: Path, transports: list[str], classes: list[str], options: list[str]) -> Iterable[Case]:
    """Run the shared pytest suite, or the named classes of it."""
    command = [
        *(venv_tool("python"), "-m", "pytest", *([f"{SUITE}::{name}" for name in classes] or [SUITE])),
        *("-c", SUITE.with_name("pytest.ini"), "--rootdir", SUITE.parent, "-p", "no:cacheprovider"),
        *("--verbose", f"--junitxml={JUNIT}", *options),
    ]
    variables = child_environment(VGI_CONF_WORKER=str(worker), VGI_CONF_TRANSPORTS=",".join(transports))
    _run("pytest " + ",".join(transports), command, PYTEST_LOG, variables)
    for line in PYTEST_LOG.read_text(errors="replace").splitlines():
        if line.startswith("left out: "):
            print("   " + line)
    return _read(JUNIT, "pytest", PYTEST_LOG, read_junit)


class Runner(NamedTuple):
    """A command-line runner on one worker; `arguments(report)` makes it write `report`."""

    program: str
    worker_flags: str
    arguments: Callable[[Path], list[str]]
    report: str
    read: Callable[[Path, str], Iterable[Case]]
    cases: int


def _hosted(order: str, expect: str) -> Runner:
    return Runner(
        program="vgi-rpc-test-hosted",
        worker_flags=f"--pipe --hosted-order {order}",
        arguments=lambda report: ["--expect", expect, "--", f"--junitxml={report}"],
        report="xml",
        read=lambda path, lane: read_junit(path, lane),
        cases=41,
    )


ACCESS_LOG = RUN_DIR / "access.jsonl"


def _suite() -> Runner:
    def arguments(report: Path) -> list[str]:
        ACCESS_LOG.unlink(missing_ok=True)
        return ["--format", "json", "--output", str(report), "--access-log", str(ACCESS_LOG)]

    def read(path: Path, lane: str) -> Iterable[Case]:
        yield from read_vgi_rpc_test(path, lane)
        # The runner's report says nothing of the access log that it validates; its output does.
        said = [line for line in (RUN_DIR / f"{lane}.log").read_text().splitlines() if "--access-log:" in line]
        outcome = "passed" if any("--access-log: PASS:" in line for line in said) else "failed"
        yield Case(lane, "the access log is valid", outcome, 0.0, "\n".join(said) or "the log was not validated")

    return Runner(
        program="vgi-rpc-test",
        worker_flags=f"--pipe --access-log {shlex.quote(str(ACCESS_LOG))}",
        arguments=arguments,
        report="json",
        read=read,
        cases=114,
    )


# The second host order is one that no sort gives: a listing sorted by name passes everything else.
RUNNERS = {
    "cli-pipe": _suite(),
    "hosted-conformance": _hosted("conformance", "ConformanceService,conformance.Secondary.v1"),
    "hosted-reverse": _hosted("reverse", "zeta.Primary.v1,conformance.Secondary.v1,alpha.Extra.v1"),
}


def run_cli(worker: Path, lane: str) -> Iterable[Case]:
    """Run one of RUNNERS."""
    runner = RUNNERS[lane]
    report, log = RUN_DIR / f"{lane}.{runner.report}", RUN_DIR / f"{lane}.log"
    command_line = f"{shlex.quote(str(worker))} {runner.worker_flags}"
    command = [venv_tool(runner.program), "--cmd", command_line, *runner.arguments(report)]
    _run(lane, command, log, child_environment())
    return _read(report, lane, log, partial(runner.read, lane=lane))


def _run(title: str, command: list, log: Path, variables: dict[str, str]) -> None:
    print(f"{title} ... ", end="", flush=True)
    begun = time.monotonic()
    with log.open("w") as output:
        try:
            command = [str(part) for part in command]
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=variables,
                timeout=LONGEST_RUN_SECONDS,
            )
        except subprocess.TimeoutExpired:
            output.write(f"\nstopped after {LONGEST_RUN_SECONDS} s\n")
    print(f"{time.monotonic() - begun:.1f} s")


def _read(report: Path, lane: str, log: Path, read: Callable[[Path], Iterable[Case]]) -> Iterable[Case]:
    """The cases of a report; one failed case in their place when the run left none."""
    if report.exists():
        return list(read(report))
    end = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    return [Case(lane, "the run", "failed", 0.0, f"left no {report.name}; its log ends:\n{end}")]
