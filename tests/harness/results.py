"""Reads the results of the runs from .test-run, and checks them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from harness.environment import RUN_DIR, TESTS

RUN_RECORD = RUN_DIR / "run.json"
ALLOWED_SKIPS = TESTS / "allowed_skips.txt"
OUTCOMES = ("passed", "failed", "skipped")


class Case(NamedTuple):
    lane: str
    name: str
    outcome: str
    seconds: float
    detail: str

    def first_line(self) -> str:
        return self.detail.strip().partition("\n")[0]


class Run(NamedTuple):
    """The last run: its cases, and the problems of the run as a whole."""

    cases: list[Case]
    problems: list[str]

    def totals(self) -> str:
        """The closing line. A problem counts as a failure, so that no run with one appears successful."""
        count = Counter(case.outcome for case in self.cases)
        return f"{count['passed']} passed, {count['failed'] + len(self.problems)} failed, {count['skipped']} skipped"

    def clean(self) -> bool:
        return not self.problems and all(case.outcome != "failed" for case in self.cases)


def record(cases: list[Case], problems: list[str]) -> Run:
    """Save a run for later commands."""
    run = Run(cases, problems)
    RUN_RECORD.write_text(json.dumps(run._asdict()))
    return run


def last_run() -> Run:
    kept = json.loads(RUN_RECORD.read_text())
    return Run([Case(*case) for case in kept["cases"]], kept["problems"])


def judge(cases: list[Case], expected: dict[str, int]) -> list[str]:
    """Returns the problems of a run other than failed cases. `expected` is the minimum of cases for each lane."""
    problems = [] if any(case.outcome != "skipped" for case in cases) else ["no case ran"]
    collected = Counter(case.lane for case in cases)
    problems += [
        f"{lane}: {collected[lane]} cases collected, {fewest} expected"
        for lane, fewest in expected.items()
        if collected[lane] < fewest
    ]
    allowed = allowed_skips()
    problems += [
        f"{case.lane}: {case.name} skipped, and not on the list in tests/{ALLOWED_SKIPS.name}: {case.first_line()}"
        for case in cases
        if case.outcome == "skipped" and not any(fnmatchcase(case.lane, lane) and case.name == name for lane, name in allowed)
    ]
    return problems


def allowed_skips() -> set[tuple[str, str]]:
    """Returns the (pattern of lanes, case) pairs of tests/allowed_skips.txt."""
    rows = [line.split("|") for line in ALLOWED_SKIPS.read_text().splitlines() if line and not line.startswith("#")]
    return {(lane.strip(), name.strip()) for lane, name, _reason in rows}


def read_junit(path: Path, lane: str | None = None) -> Iterable[Case]:
    """Returns the cases of a JUnit file. Without `lane`, each case's own property names its lane."""
    found: dict[str, Case] = {}
    for element in ElementTree.parse(path).iter("testcase"):
        name = f"{element.get('classname', '').rpartition('.')[2]}::{element.get('name')}"
        own_lane = lane or next(
            (each.get("value") for each in element.iter("property") if each.get("name") == "lane"), "no lane"
        )
        bad = element.find("failure") if element.find("failure") is not None else element.find("error")
        skipped = element.find("skipped")
        told = bad if bad is not None else skipped
        outcome = "failed" if bad is not None else "skipped" if skipped is not None else "passed"
        output = "".join(f"\n--- {each.tag} ---\n{each.text}" for each in element if each.tag.startswith("system-"))
        detail = "" if told is None else f"{told.get('message')}\n{told.text or ''}{output if bad is not None else ''}"
        # A case that fails in its body and again in its teardown has two entries.
        if name not in found or found[name].outcome != "failed":
            found[name] = Case(own_lane, name, outcome, float(element.get("time", 0)), detail)
    return found.values()


def read_vgi_rpc_test(path: Path, lane: str) -> Iterable[Case]:
    """Returns the cases of vgi-rpc-test's JSON report."""
    for result in json.loads(path.read_text())["results"]:
        outcome = "skipped" if result["skipped"] else "passed" if result["passed"] else "failed"
        detail = result["error"] or result["skip_reason"] or result["note"] or ""
        yield Case(lane, result["name"], outcome, result["duration_ms"] / 1000, detail)


def summary(run: Run) -> str:
    """Returns one row for each lane."""
    rows = ["lane                 passed  failed skipped  seconds"]
    for lane in dict.fromkeys(case.lane for case in run.cases):
        cases = [case for case in run.cases if case.lane == lane]
        count = Counter(case.outcome for case in cases)
        numbers = "".join(f"{count[outcome]:8}" for outcome in OUTCOMES)
        rows.append(f"{lane:<19}{numbers}{sum(case.seconds for case in cases):9.1f}")
    return "\n".join(rows)


def failures(run: Run) -> str:
    """Returns each problem, and each failed case with the first line of its message."""
    failed = [case for case in run.cases if case.outcome == "failed"]
    rows = [f"{case.lane}: {case.name}\n    {case.first_line()}" for case in failed]
    return "\n".join([*run.problems, *rows]) or "no failures"
