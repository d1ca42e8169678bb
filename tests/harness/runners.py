"""Starts the runs: the pytest suite, and the reference's command-line runners. Each writes its files to .test-run."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from conformance.transports import TRANSPORTS
from conformance.workers import fake_storage, http_worker, listening, shared_batches
from harness.environment import (
    REFERENCE_SERVER,
    RUN_DIR,
    TESTS,
    built_client_driver,
    built_run_loop,
    built_typed,
    child_environment,
    venv_tool,
)
from harness.results import Case, read_junit, read_vgi_rpc_test

# The access logs of the workers of the pytest suite.
ACCESS_LOGS = RUN_DIR / "access-logs"
ACCESS_LOG_LANE = "access-log"
SUITE = TESTS / "conformance" / "test_conformance.py"
# Our own cases, in addition to the shared suite's.
OWN = [
    SUITE.with_name(f"test_{name}.py") for name in ("http_round_robin", "run_loop", "shared_memory", "stream_kinds", "typed")
]
# Far above the duration of a run: it ends one whose worker hangs outside the cases' own limits.
LONGEST_RUN_SECONDS = 900
# The same for our client: there, every connection of the lane client_pipe starts a Python.
LONGEST_CLIENT_RUN_SECONDS = 1800


def run_suite(worker: Path, lanes: list[str], classes: list[str], options: list[str]) -> Iterable[Case]:
    """Run the shared pytest suite and our own cases, or the named classes of the suite."""
    variables = {
        "VGI_CONF_WORKER": str(worker),
        "VGI_CONF_RUN_LOOP": str(built_run_loop()),
        "VGI_CONF_TYPED": str(built_typed()),
        # A process that serves several transports has several ids.
        "VGI_RPC_ACCESS_LOG": str(ACCESS_LOGS / "{pid}-{server_id}.jsonl"),
    }
    shutil.rmtree(ACCESS_LOGS, ignore_errors=True)
    ACCESS_LOGS.mkdir()
    cases = list(_run_pytest("worker", [SUITE, *OWN], lanes, classes, options, variables))
    return [*cases, *_validate_access_logs(lanes)]


def _validate_access_logs(lanes: list[str]) -> Iterable[Case]:
    """Returns one case: all records of the run are valid. None if no lane of the run has a worker that logs."""
    if not any(lane in TRANSPORTS for lane in lanes):
        return
    begun = time.monotonic()
    command = [venv_tool("python"), SUITE.with_name("access_logs.py"), ACCESS_LOGS]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=child_environment())
    name = "the access logs of all workers are valid"
    if done.returncode != 0:
        yield Case(ACCESS_LOG_LANE, name, "failed", 0.0, done.stderr or "the validator did not run")
        return
    found = json.loads(done.stdout)
    text = (
        f"access logs: {found['records']} records of {found['files']} workers, {found['methods']} methods; "
        f"{found['validated']} records of {found['shapes']} shapes validated, {found['problems']} problems"
    )
    print(text)
    outcome = "passed" if found["records"] > 0 and found["problems"] == 0 else "failed"
    seconds = time.monotonic() - begun
    yield Case(ACCESS_LOG_LANE, name, outcome, seconds, "\n".join([text, *found["shown"]]))


def run_client_suite(lanes: list[str], classes: list[str], options: list[str]) -> Iterable[Case]:
    """Run the shared pytest suite, or its named classes, with our client against the reference's server."""
    variables = {
        "VGI_CONF_WORKER": str(venv_tool(REFERENCE_SERVER)),
        "VGI_CLIENT_DRIVER": shlex.quote(str(built_client_driver())),
    }
    return _run_pytest("client", [SUITE], lanes, classes, options, variables, LONGEST_CLIENT_RUN_SECONDS)


def _run_pytest(
    judged: str,
    files: list[Path],
    lanes: list[str],
    classes: list[str],
    options: list[str],
    variables: dict[str, str],
    longest: int = LONGEST_RUN_SECONDS,
) -> Iterable[Case]:
    report, log = RUN_DIR / f"{judged}.xml", RUN_DIR / f"{judged}.log"
    command = [
        *(venv_tool("python"), "-m", "pytest", *([f"{SUITE}::{name}" for name in classes] or files)),
        *("-c", SUITE.with_name("pytest.ini"), "--rootdir", SUITE.parent, "-p", "no:cacheprovider"),
        *("--verbose", f"--junitxml={report}", *options),
    ]
    variables = child_environment(**variables, VGI_CONF_LANES=",".join(lanes))
    _run("pytest " + ",".join(lanes), command, log, variables, longest)
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("left out: "):
            print("   " + line)
    return _read(report, "pytest", log, read_junit)


class Runner(NamedTuple):
    """A command-line runner for one worker; `arguments(report)` makes it write `report`."""

    program: str
    transport: str
    worker_flags: list[str]
    arguments: Callable[[Path], list[str]]
    report: str
    read: Callable[[Path, str], Iterable[Case]]
    cases: int
    storage: bool = False
    variables: dict[str, str] = {}


def _suite(transport: str) -> Runner:
    """The reference's own cases, and its check of their access log."""
    access_log = RUN_DIR / f"cli-{transport}.access.jsonl"

    def arguments(report: Path) -> list[str]:
        return ["--format", "json", "--output", str(report), "--access-log", str(access_log)]

    def read(path: Path, lane: str) -> Iterable[Case]:
        yield from read_vgi_rpc_test(path, lane)
        # The report does not contain the runner's check of the access log; its output does.
        said = [line for line in (RUN_DIR / f"{lane}.log").read_text().splitlines() if "--access-log:" in line]
        outcome = "passed" if any("--access-log: PASS:" in line for line in said) else "failed"
        yield Case(lane, "the access log is valid", outcome, 0.0, "\n".join(said) or "the log was not validated")

    flags = ["--access-log", str(access_log)]
    return Runner("vgi-rpc-test", transport, flags, arguments, "json", read, cases=114)


def _shared_memory(mebibytes: int, min_batch_bytes: int | None) -> Runner:
    """The reference's own cases with shared memory, and a check that it was used.

    Batches use it in both directions if they are large enough. With the default of 128 KiB, one case has such a result; the
    reference's client sends all requests inline. The case with two gibibytes fits into no segment, and is in other lanes.
    """
    name = "default" if min_batch_bytes is None else str(min_batch_bytes)
    counts = RUN_DIR / f"cli-shm-{name}.counts"

    def arguments(report: Path) -> list[str]:
        counts.unlink(missing_ok=True)
        wanted = ["--filter", "!large_payload.echo_binary_over_int32_max"]
        return ["--shm", str(mebibytes * MEBIBYTE), *wanted, "--format", "json", "--output", str(report)]

    def read(path: Path, lane: str) -> Iterable[Case]:
        yield from read_vgi_rpc_test(path, lane)
        text = counts.read_text() if counts.exists() else "the worker has counted nothing"
        yield Case(lane, "batches were shared", "passed" if shared_batches(text, ways) else "failed", 0.0, text)

    ways = 1 if min_batch_bytes is None else 2
    variables = {} if min_batch_bytes is None else {"VGI_RPC_SHM_MIN_BATCH_BYTES": str(min_batch_bytes)}
    flags = ["--shm-counts", str(counts)]
    return Runner("vgi-rpc-test", "pipe", flags, arguments, "json", read, cases=113, variables=variables)


def _response_caps(max_bytes: int, max_stored_bytes: int, cases: list[str], storage: bool = False) -> Runner:
    """The reference's cases of the response caps, on a worker with caps, which would affect other cases too."""

    def arguments(report: Path) -> list[str]:
        wanted = ",".join(f"http_response_cap.{case}" for case in cases)
        return ["--format", "json", "--output", str(report), "--filter", wanted]

    flags = ["--max-response-bytes", str(max_bytes), "--max-externalized-response-bytes", str(max_stored_bytes)]
    return Runner("vgi-rpc-test", "http", flags, arguments, "json", read_vgi_rpc_test, len(cases), storage)


def _hosted(transport: str, order: str, expect: str) -> Runner:
    # Only HTTP hosts identity, with cases of its own.
    flags, hosts, cases = (["--identity", "both"], ["--identity"], 118) if transport == "http" else ([], [], 41)

    def arguments(report: Path) -> list[str]:
        return ["--expect", expect, *hosts, "--", f"--junitxml={report}"]

    flags = ["--hosted-order", order, *flags]
    return Runner("vgi-rpc-test-hosted", transport, flags, arguments, "xml", read_junit, cases)


MEBIBYTE = 1024 * 1024
CONFORMANCE = "ConformanceService,conformance.Secondary.v1"
# Not a sorted order: otherwise a listing sorted by name would pass.
REVERSE = "zeta.Primary.v1,conformance.Secondary.v1,alpha.Extra.v1"
RUNNERS = {
    "cli-pipe": _suite("pipe"),
    "cli-unix": _suite("unix"),
    "cli-tcp": _suite("tcp"),
    "cli-http": _suite("http"),
    "cli-shm": _shared_memory(4, 1),
    "cli-shm-default": _shared_memory(16, None),
    # A result that is too large for a response is an error without a store, and is stored with one.
    "http-caps": _response_caps(
        *(MEBIBYTE, MEBIBYTE),
        ["unary_strict_fail", "exchange_strict_fail", "producer_lockstep", "producer_strict_fail"],
    ),
    "http-external-caps": _response_caps(
        *(8 * MEBIBYTE, 64 * 1024),
        ["producer_lockstep", "producer_external_strict_fail", "externalized_strict_fail"],
        storage=True,
    ),
    "hosted-conformance": _hosted("pipe", "conformance", CONFORMANCE),
    "hosted-reverse": _hosted("pipe", "reverse", REVERSE),
    "hosted-unix": _hosted("unix", "conformance", CONFORMANCE),
    "http-hosted": _hosted("http", "conformance", CONFORMANCE),
    "http-hosted-reverse": _hosted("http", "reverse", REVERSE),
}


def run_cli(worker: Path, lane: str) -> Iterable[Case]:
    """Run one of RUNNERS."""
    runner = RUNNERS[lane]
    report, log = RUN_DIR / f"{lane}.{runner.report}", RUN_DIR / f"{lane}.log"
    for left in (report, RUN_DIR / f"{lane}.access.jsonl"):
        left.unlink(missing_ok=True)
    with contextlib.ExitStack() as running:
        if runner.storage:
            storage = running.enter_context(fake_storage(venv_tool("python")))
            runner = runner._replace(worker_flags=[*runner.worker_flags, "--fake-storage", storage.url])
        target = running.enter_context(_target(worker, runner))
        command = [venv_tool(runner.program), *target, *runner.arguments(report)]
        _run(lane, command, log, child_environment(**runner.variables))
    return _read(report, lane, log, partial(runner.read, lane=lane))


@contextlib.contextmanager
def _target(worker: Path, runner: Runner):
    """Yields the runner's arguments that name the worker, which is running if it must listen."""
    environment = child_environment()
    if runner.transport == "pipe":
        yield ["--cmd", shlex.join([str(worker), "--pipe", *runner.worker_flags])]
    elif runner.transport == "unix":
        with tempfile.TemporaryDirectory() as folder:
            flags = ["--unix", f"{folder}/s", *runner.worker_flags]
            with listening(worker, *flags, environment=environment) as server:
                yield ["--unix", server.address]
    elif runner.transport == "tcp":
        with listening(worker, "--tcp", "127.0.0.1:0", *runner.worker_flags, environment=environment) as server:
            yield ["--tcp", server.address]
    else:
        with http_worker(worker, *runner.worker_flags, environment=environment) as server:
            yield ["--url", server.url]


def _run(
    title: str, command: list, log: Path, variables: dict[str, str], longest: int = LONGEST_RUN_SECONDS
) -> None:
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
                timeout=longest,
            )
        except subprocess.TimeoutExpired:
            output.write(f"\nstopped after {longest} s\n")
    print(f"{title}: {time.monotonic() - begun:.1f} s", flush=True)


def _read(report: Path, lane: str, log: Path, read: Callable[[Path], Iterable[Case]]) -> Iterable[Case]:
    """Returns the cases of a report; one failed case if the run has none."""
    if report.exists():
        return list(read(report))
    end = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    return [Case(lane, "the run", "failed", 0.0, f"left no {report.name}; its log ends:\n{end}")]
