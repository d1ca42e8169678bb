"""The lanes of the suite: how many cases each has, and which lane a case is in.

conf.py reads LANES and CLIENT_LANES, and conftest.py the rest. A lane is a transport, or the cases about one of these: HTTP
itself, external storage, identity, grants, the documentation's run loop, streams whose kind is decided for each call,
shared memory, or typed services.
"""

from __future__ import annotations

import inspect

from conformance.client_transports import CLIENT_TRANSPORTS, judges_client
from conformance.transports import TRANSPORTS

# The cases that an unfiltered run must collect for each lane.
LANES = {
    **{name: transport.cases for name, transport in TRANSPORTS.items()},
    "http_only": 140,
    # External storage: 33 over HTTP, 13 over a byte stream.
    "external": 46,
    # A hosted identity, except one case on a worker without it; sealed grants.
    "identity": 81,
    "grants": 18,
    # The rest are not from the suite, but from this folder.
    "http_round_robin": 4,
    "run_loop": 3,
    "shared_memory": 2,
    "stream_kinds": 15,
    "typed": 10,
}
OURS = {"access-log", "http_round_robin", "run_loop", "shared_memory", "stream_kinds", "typed"}
# The number of cases in the suite.
SUITE_CASES = 1901

# The same for the lanes of our client. Their names begin with this, and end with the transport's.
CLIENT = "client_"
CLIENT_LANES = {
    **{CLIENT + name: transport.cases for name, transport in CLIENT_TRANSPORTS.items()},
    # The cases about HTTP itself that make calls with a client, and the three that look for leaks.
    CLIENT + "http_only": 30,
    # The cases about external storage that make calls with a client.
    CLIENT + "external": 30,
}
# Added to the lane of a case that is skipped if our client is tested, because it makes no call with a client.
SERVER_ONLY = " (judges a server only)"
# The names of the suite's functions that make calls with a client, which is ours if it is tested. Requests that a case
# builds itself test only a server.
CLIENT_FUNCTIONS = {"http_connect", "http_capabilities", "request_upload_urls"}
# The fixtures that make calls with our client if it is tested.
CLIENT_FIXTURES = {
    "conformance_bytestream_external_target",
    "conformance_resource_soak_target",
    "conformance_transport_kind_probes",
}
# The lanes whose cases make calls with a client through those functions.
CLIENT_FUNCTION_LANES = {"external", "http_only"}

AXES = ("conformance_conn", "conformance_raw_conn", "conformance_describe")
# The lane of a case on no transport axis: the first row here that one of its fixtures' names starts with.
LANE_OF_FIXTURE = {
    "conformance_transport_kind_probes": "pipe",
    "described_worker": "pipe",
    "http_pair": "http_round_robin",
    "run_loop_example": "run_loop",
    "shared_worker": "shared_memory",
    "kinds_proxy": "stream_kinds",
    "typed_example": "typed",
    # Before the storage, which only affects this worker's headers.
    "conformance_http_cors_port": "http_only",
    "conformance_bytestream_external_target": "external",
    "conformance_fake_storage": "external",
    "conformance_http_external": "external",
    "conformance_http_with_": "external",
    "conformance_http_identity_": "identity",
    "conformance_http_grant_port": "grants",
    "conformance_http_": "http_only",
    "conformance_resource_soak_target": "http_only",
    "proof_worker_factory": "http_only",
}
# A case without a fixture talks to a server that it builds itself, in Python.
NO_WORKER = "no worker"


def lane_of(item) -> str | None:
    """Returns a case's lane; None for a case that pytest generates for an axis without a transport in this run."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    for axis in AXES:
        if axis in parameters:
            return axis_lane(parameters[axis]) if isinstance(parameters[axis], str) else None
    named, functions = names_reached(item)
    lane = next(
        (lane for start, lane in LANE_OF_FIXTURE.items() if any(name.startswith(start) for name in named)), NO_WORKER
    )
    if not judges_client() or lane not in LANES:
        return lane
    calls = named & CLIENT_FIXTURES or (lane in CLIENT_FUNCTION_LANES and functions & CLIENT_FUNCTIONS)
    return CLIENT + lane if calls else lane + SERVER_ONLY


def axis_lane(transport: str) -> str:
    """Returns the lane of a case on a transport axis."""
    return CLIENT + transport if judges_client() and transport in CLIENT_TRANSPORTS else transport


def names_reached(item) -> tuple[set[str], set[str]]:
    """Returns the names that a case's code can reach: its fixtures, also those looked up lazily, and the names it uses."""
    names, used = set(item.fixturenames), set()
    todo, read = [item.function], set()
    while todo:
        # For example, a context manager's function.
        function = inspect.unwrap(todo.pop())
        if function in read:
            continue
        read.add(function)
        code = function.__code__
        used.update(code.co_names)
        reached = [function.__globals__.get(name) for name in code.co_names]
        owners = [item.cls, *filter(inspect.isclass, reached)]
        reached += [getattr(owner, name, None) for owner in owners for name in code.co_names]
        names.update(value for value in (*code.co_consts, *reached) if isinstance(value, str))
        todo += [
            value
            for value in reached
            if inspect.isfunction(value) and value.__module__.startswith("vgi_rpc.conformance")
        ]
    return names, used
