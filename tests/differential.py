#!/usr/bin/env python3
"""Compares our worker with the reference: sends the same damaged requests to both, on a byte stream and over HTTP.

    tests/differential.py --cases 300 --seed 1    this many cases from this seed
    tests/differential.py --seed 1 --only 17      one of them again, with both sides' responses

The two must agree on what is accepted and refused, on the class of the refusal (error type, kind and code, HTTP status)
wherever the specification fixes it, on the results of accepted requests, and on whether a byte stream is still in sync
afterwards. differential/known.py lists the allowed differences; a case with one of these counts as neither passed nor
skipped, and is listed separately. The last line is the sum: N passed, N failed, N skipped.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

sys.dont_write_bytecode = True

from harness import environment  # noqa: E402


def main() -> int:
    arguments = parse_arguments()
    if Path(sys.prefix).resolve() != environment.VENV.resolve():
        return in_the_environment()
    worker = arguments.worker.resolve() if arguments.worker else environment.built_worker()
    if not worker.is_file():
        print(f"differential.py: there is no worker at {worker}", file=sys.stderr)
        return 2
    # Not earlier: its imports are installed only in the environment.
    from differential import workers

    indexes = [arguments.only] if arguments.only is not None else range(arguments.cases)
    begun = time.monotonic()
    count: Counter = Counter()
    with workers.both(worker) as sides:
        for index in indexes:
            count[compare(sides, arguments.seed, index, arguments.only is not None)] += 1
    # Not part of the closing line, which is the same for every run.
    print(f"{time.monotonic() - begun:.1f} s; of {len(indexes)} cases, in ways that differential/known.py explains:")
    for name, number in sorted(count.items()):
        if name.startswith("known:"):
            print(f"  {number} {name.removeprefix('known:').strip()}")
    print(f"{count['agreed']} passed, {count['disagreed']} failed, 0 skipped")
    return 1 if count["disagreed"] or not count["agreed"] else 0


def compare(sides: list, seed: int, index: int, shown: bool) -> str:
    """Run one case on both sides. Return agreed, disagreed, or the name of the known difference."""
    from differential import byte_stream, known, web
    from differential.outcome import differences

    random = Random(f"{seed}:{index}")
    case = (byte_stream if index % 2 == 0 else web).case(random)
    facts = [case.run(side) for side in sides]
    apart = differences(case, *facts)
    reason = known.reason(case, apart, *facts) if apart else None
    verdict = "agreed" if not apart else f"known: {reason}" if reason else "disagreed"
    if shown or verdict == "disagreed":
        print(f"{verdict}: {case.transport}: {case.said}")
        for name in apart:
            print(f"    {name}: ours {apart[name][0]!r}\n    {' ' * len(name)}  reference {apart[name][1]!r}")
        for side, each in zip(sides, facts, strict=True):
            for name, value in each.items():
                if shown or name.startswith("(shown)"):
                    print(f"    {side.name} {name}: {value}")
        print(f"    again: tests/differential.py --seed {seed} --only {index}", flush=True)
    return verdict


def in_the_environment() -> int:
    """Run this program again with the Python of the virtual environment."""
    try:
        environment.prepare_venv()
    except environment.SetupError as error:
        print(f"differential.py: {error}", file=sys.stderr)
        return 2
    sys.stdout.flush()
    command = [str(environment.venv_tool("python")), __file__, *sys.argv[1:]]
    os.execve(command[0], command, environment.child_environment())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--cases", type=int, default=300, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--only", type=int, metavar="INDEX", help="only this case of the seed, with its details")
    parser.add_argument("--worker", type=Path, metavar="PATH", help="a worker to use in place of the built one")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
