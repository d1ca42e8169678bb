"""The lanes of the suite: how many cases each has, and which lane a case is in.

conf.py reads LANES, and conftest.py the rest. A lane is a transport, the cases that are about HTTP itself, those of the
documentation's run loop, or those of streams whose kind is decided for each call.
"""

from __future__ import annotations

import inspect

from conformance.transports import TRANSPORTS

# The cases that an unfiltered run must collect for each lane.
LANES = {
    **{name: transport.cases for name, transport in TRANSPORTS.items()},
    "http_only": 140,
    "http_round_robin": 4,
    "run_loop": 3,
    "stream_kinds": 15,
}

AXES = ("conformance_conn", "conformance_raw_conn", "conformance_describe")
# The lane of a case that is on no transport axis: that of the first row here whose start one of its fixtures has.
# "external storage" and "identity" are not in LANES yet, so their cases are left out.
LANE_OF_FIXTURE = {
    "conformance_transport_kind_probes": "pipe",
    "http_pair": "http_round_robin",
    "run_loop_example": "run_loop",
    "kinds_proxy": "stream_kinds",
    # Above the storage, which this worker only names in its headers.
    "conformance_http_cors_port": "http_only",
    "conformance_bytestream_external_target": "external storage",
    "conformance_fake_storage": "external storage",
    "conformance_http_external": "external storage",
    "conformance_http_with_": "external storage",
    "conformance_http_identity_": "identity",
    "conformance_http_grant_port": "identity",
    "conformance_http_": "http_only",
    "conformance_resource_soak_target": "http_only",
    "proof_worker_factory": "http_only",
}
# A case that names no fixture talks to a server that it builds itself, in Python.
NO_WORKER = "no worker"


def lane_of(item) -> str | None:
    """A case's lane; none for what pytest makes of an axis that has no transport in this run."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    for axis in AXES:
        if axis in parameters:
            return parameters[axis] if isinstance(parameters[axis], str) else None
    named = fixtures_named(item)
    return next(
        (lane for start, lane in LANE_OF_FIXTURE.items() if any(name.startswith(start) for name in named)), NO_WORKER
    )


def fixtures_named(item) -> set[str]:
    """The fixtures a case can ask for: those it takes, and those named in its code for a lazy look-up."""
    names = set(item.fixturenames)
    todo, read = [item.function], set()
    while todo:
        function = todo.pop()
        if function in read:
            continue
        read.add(function)
        code = function.__code__
        reached = [function.__globals__.get(name) for name in code.co_names]
        owners = [item.cls, *filter(inspect.isclass, reached)]
        reached += [getattr(owner, name, None) for owner in owners for name in code.co_names]
        names.update(value for value in (*code.co_consts, *reached) if isinstance(value, str))
        todo += [
            value
            for value in reached
            if inspect.isfunction(value) and value.__module__.startswith("vgi_rpc.conformance")
        ]
    return names
