"""Validates the access logs of a run of the suite with the reference's validator: one file for each worker.

    python tests/conformance/access_logs.py FOLDER

It prints one JSON object: the numbers of files and records, the number of validated records, and the errors. A run leaves
tens of thousands of records, and the validator takes a millisecond for each. So it validates only two records of each
shape: fields, types, closed values and character patterns are alike.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path

from vgi_rpc.access_log_conformance import validate_access_logs

OF_EACH_SHAPE = 2
VIOLATIONS_SHOWN = 20
# Texts that the schema restricts only to be non-empty.
FREE = {"message", "method", "protocol", "server_id", "principal", "remote_addr", "request_id", "error_message"}


def shape(value, name="") -> object:
    """Returns a value's shape for the schema: two values of one shape are both valid or both invalid."""
    if isinstance(value, dict):
        return tuple(sorted((key, shape(each, key)) for key, each in value.items()))
    if isinstance(value, list):
        return ("list", *sorted({repr(shape(each)) for each in value}))
    if isinstance(value, str) and name in FREE:
        return "text" if value else ""
    if isinstance(value, str) and re.fullmatch("[0-9a-f]+", value):
        return ("hexadecimal", len(value))
    if isinstance(value, str) and len(value) <= 64:
        return re.sub("[0-9]", "0", value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        # The HTTP status has bounds; other numbers may not be negative.
        return (type(value).__name__, value // 100 if name == "http_status" else (value > 0) - (value < 0))
    return type(value).__name__


def main(folder: Path) -> int:
    files = sorted(folder.glob("*.jsonl"))
    seen, chosen, records, broken = Counter(), [], 0, []
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            records += 1
            try:
                record = json.loads(line)
            except ValueError as error:
                broken.append(f"{file.name}, line {number}: {error}")
                continue
            key = shape(record)
            seen[key] += 1
            if seen[key] <= OF_EACH_SHAPE:
                chosen.append(record)
    found = [f"{each.method}: {each.path}: {each.message}" for each in validate_access_logs(chosen)]
    report = {
        "files": len(files),
        "records": records,
        "shapes": len(seen),
        "validated": len(chosen),
        "problems": len(broken) + len(found),
        "shown": (broken + found)[:VIOLATIONS_SHOWN],
        "methods": len({record.get("method") for record in chosen}),
    }
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
