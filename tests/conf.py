#!/usr/bin/env python3
"""Runs the shared vgi-rpc conformance suite, and the reference's command-line runners, against our worker.

    tests/conf.py setup                             make the virtual environment in .test-run/venv
    tests/conf.py run --transport pipe,subprocess   the pytest suite over these transports
    tests/conf.py run --transport 'http*'           the HTTP lanes: the transport, and HTTP itself
    tests/conf.py run --transport run_loop          the run loop of the core's documentation, built as an example
    tests/conf.py run --transport typed             typed services of an example, in both directions
    tests/conf.py run --transport all               every lane, then the command-line runners
    tests/conf.py run --client all                  our client against the reference's server, over each transport
    tests/conf.py run --client 'native_*'           our client against the reference's worker for native clients
    tests/conf.py run --transport all --client all  both at the same time
    tests/conf.py cli                               only the command-line runners
    tests/conf.py cli --lane '*http*'               only those on HTTP
    tests/conf.py summary | failures | show CASE    look at the last run

Results: worker.xml, worker.log, client.xml and client.log of pytest in .test-run, and a report and a log for each
command-line runner. A run ends with the line `N passed, N failed, N skipped`. It fails on any failure or error, if no
case ran, if a lane collected fewer cases than it has, and on a skip that tests/allowed_skips.txt does not list.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from fnmatch import filter as matching
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

sys.dont_write_bytecode = True

from conformance.lanes import CLIENT_LANES, LANES, OURS, SUITE_CASES  # noqa: E402
from harness import environment, results, runners  # noqa: E402
from harness.native import NATIVE_LANES, run_native  # noqa: E402


def main() -> int:
    arguments = parse_arguments()
    try:
        return arguments.command(arguments)
    except environment.SetupError as error:
        print(f"conf.py: {error}", file=sys.stderr)
        return 2


def setup(_arguments) -> int:
    environment.prepare_venv()
    return 0


def run(arguments) -> int:
    """Test our worker, our client, or both at the same time: one alone leaves a processor idle."""
    transports = arguments.transport if arguments.transport or arguments.client else list(LANES)
    sides = []
    if transports:
        if not arguments.no_build:
            environment.build_examples()
        sides.append(partial(judge_worker, prepare(arguments), transports, arguments))
    if arguments.client:
        prepare_client(arguments)
        sides.append(partial(judge_client, arguments))
    clear_last_run()
    with ThreadPoolExecutor() as threads:
        judged = [running.result() for running in [threads.submit(side) for side in sides]]
    cases = [case for found, _ in judged for case in found]
    expected = {lane: fewest for _, lanes in judged for lane, fewest in lanes.items()}
    return finish(cases, {} if is_narrowed(arguments) else expected)


def is_narrowed(arguments) -> bool:
    """Whether the run has only a part of each lane."""
    return bool(arguments.classes or arguments.filter)


def pytest_options(arguments) -> list[str]:
    options = ["-k", arguments.filter] if arguments.filter else []
    return options + (["-x"] if arguments.exitfirst else [])


def judge_worker(worker: Path, lanes: list[str], arguments) -> tuple[list[results.Case], dict[str, int]]:
    """Returns the cases of these lanes, and the number of each."""
    cases = list(runners.run_suite(worker, lanes, arguments.classes, pytest_options(arguments)))
    expected = {name: LANES[name] for name in lanes}
    if lanes != list(LANES) or is_narrowed(arguments):
        return cases, expected
    passed = sum(case.outcome == "passed" for case in cases if case.lane not in OURS)
    print(f"the suite: {passed} of {SUITE_CASES} cases passed")
    if arguments.no_cli:
        return cases, expected
    return cases + cli_cases(worker, runners.RUNNERS), {**expected, **cli_expected(runners.RUNNERS)}


def judge_client(arguments) -> tuple[list[results.Case], dict[str, int]]:
    """Like the previous function, for our client."""
    suite = [lane for lane in arguments.client if lane in CLIENT_LANES]
    cases = list(runners.run_client_suite(suite, arguments.classes, pytest_options(arguments))) if suite else []
    # The classes and names that narrow a run are the suite's.
    native = [] if is_narrowed(arguments) else [lane for lane in arguments.client if lane in NATIVE_LANES]
    cases += [case for lane in native for case in run_native(lane)]
    expected = {**CLIENT_LANES, **{name: lane.cases for name, lane in NATIVE_LANES.items()}}
    return cases, {name: expected[name] for name in arguments.client}


def prepare_client(arguments) -> None:
    """Build what a run of our client needs."""
    if arguments.worker:
        raise environment.SetupError("--client calls the reference's server, so there is no --worker to name")
    environment.prepare_venv()
    if not arguments.no_build:
        environment.build_clients()
    for client in (environment.built_client_driver(), environment.built_native_client()):
        if not client.is_file():
            raise environment.SetupError(f"there is no client at {client}")


def cli(arguments) -> int:
    worker = prepare(arguments)
    clear_last_run()
    return finish(cli_cases(worker, arguments.lane), cli_expected(arguments.lane))


def cli_cases(worker: Path, lanes: Iterable[str]) -> list[results.Case]:
    return [case for lane in lanes for case in runners.run_cli(worker, lane)]


def cli_expected(lanes: Iterable[str]) -> dict[str, int]:
    return {lane: runners.RUNNERS[lane].cases for lane in lanes}


def prepare(arguments) -> Path:
    """Build what a run of the worker needs, and return the worker's path."""
    environment.prepare_venv()
    if not (arguments.worker or arguments.no_build):
        environment.build_worker()
    worker = arguments.worker.resolve() if arguments.worker else environment.built_worker()
    if not worker.is_file():
        raise environment.SetupError(f"there is no worker at {worker}")
    return worker


def clear_last_run() -> None:
    for old in environment.RUN_DIR.iterdir():
        if old.suffix in (".xml", ".json", ".log"):
            old.unlink()


def finish(cases: list[results.Case], expected: dict[str, int]) -> int:
    done = results.record(cases, results.judge(cases, expected))
    if not done.clean():
        print(results.failures(done))
    print(results.summary(done))
    print(done.totals())
    return 0 if done.clean() else 1


def show_summary(_arguments) -> int:
    done = last_run()
    print(results.summary(done))
    print(done.totals())
    return 0


def show_failures(_arguments) -> int:
    print(results.failures(last_run()))
    return 0


def show_case(arguments) -> int:
    """Print every case whose name contains the text given."""
    found = [case for case in last_run().cases if arguments.case in case.name]
    for case in found:
        print(f"{case.lane}: {case.name} {case.outcome} in {case.seconds:.2f} s\n{case.detail}")
    return 0 if found else 1


def last_run() -> results.Run:
    if not results.RUN_RECORD.exists():
        raise environment.SetupError("there is no last run: tests/conf.py run")
    return results.last_run()


def lanes_of(table: Iterable[str], text: str) -> list[str]:
    """Return the lanes selected by comma-separated names and patterns, in the table's order."""
    patterns = ["*"] if text == "all" else text.split(",")
    unknown = [pattern for pattern in patterns if not matching(table, pattern)]
    if unknown:
        raise argparse.ArgumentTypeError(f"no lane {', '.join(unknown)}; there are {', '.join(table)}, all")
    return [lane for lane in table if any(fnmatchcase(lane, pattern) for pattern in patterns)]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def lanes_from(table: dict, default: str | None = "all") -> dict:
        """Return an option that selects lanes of this table."""
        return {"type": partial(lanes_of, table), "default": default, "metavar": "NAME,...|PATTERN|all"}

    on_worker = argparse.ArgumentParser(add_help=False)
    on_worker.add_argument("--worker", type=Path, metavar="PATH", help="a worker to use in place of the built one")
    on_worker.add_argument("--no-build", action="store_true", help="use the last build of the worker")

    command = commands.add_parser("setup", help="make the virtual environment")
    command.set_defaults(command=setup)

    command = commands.add_parser("run", parents=[on_worker], help="run the pytest suite")
    command.add_argument("--transport", **lanes_from(LANES, None), help="test our worker in these lanes")
    client_lanes = lanes_from({**CLIENT_LANES, **NATIVE_LANES}, None)
    command.add_argument("--client", **client_lanes, help="test our client in these lanes")
    command.add_argument("--class", action="append", default=[], dest="classes", metavar="NAME", help="only this class")
    command.add_argument("--filter", metavar="EXPR", help="only cases selected by this pytest -k expression")
    command.add_argument("--no-cli", action="store_true", help="skip the command-line runners")
    command.add_argument("-x", action="store_true", dest="exitfirst", help="stop at the first failure")
    command.set_defaults(command=run)

    command = commands.add_parser("cli", parents=[on_worker], help="run the command-line runners")
    command.add_argument("--lane", **lanes_from(runners.RUNNERS))
    command.set_defaults(command=cli)

    for name, function, text in (
        ("summary", show_summary, "the last run, lane by lane"),
        ("failures", show_failures, "what failed in the last run"),
    ):
        commands.add_parser(name, help=text).set_defaults(command=function)

    command = commands.add_parser("show", help="print the details of a case in the last run")
    command.add_argument("case", help="its name, or a part of it")
    command.set_defaults(command=show_case)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
