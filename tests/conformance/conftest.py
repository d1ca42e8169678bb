"""The fixtures of the shared suite, every one of them pointed at the worker that conf.py names.

The fixtures' contract is the suite's own; `transports.py` holds the transports. conf.py sets two variables:
VGI_CONF_WORKER, the worker's path, and VGI_CONF_TRANSPORTS, the selected transports with commas between them.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
from collections import Counter
from typing import ClassVar, Protocol

import pytest
from transports import TRANSPORTS, listening
from vgi_rpc.conformance import ConformanceService
from vgi_rpc.introspect import describe_protocol, list_protocols
from vgi_rpc.rpc import RpcServer, connect, tcp_connect, unix_connect

WORKER = os.environ["VGI_CONF_WORKER"]
SELECTED = os.environ["VGI_CONF_TRANSPORTS"].split(",")
AXES = ("conformance_conn", "conformance_raw_conn", "conformance_describe")

# The lane of a case that is on no transport axis: that of the first row here whose start one of its fixtures has.
# "http" and "external storage" are not in TRANSPORTS yet, so their cases are left out.
LANE_OF_FIXTURE = {
    "conformance_transport_kind_probes": "pipe",
    "conformance_bytestream_external_target": "external storage",
    "conformance_fake_storage": "external storage",
    "conformance_http_": "http",
    "conformance_resource_soak_target": "http",
    "proof_worker_factory": "http",
}
# A case that names no fixture talks to a server that it builds itself, in Python.
NO_WORKER = "no worker"
LEFT_OUT = pytest.StashKey[Counter]()


@pytest.fixture(scope="session")
def connect_over():
    """`connect_over(transport)`: that transport's `connect`, its worker started at the first request for it."""
    with contextlib.ExitStack() as running:
        yield functools.cache(lambda name: running.enter_context(TRANSPORTS[name].start(WORKER)))


@pytest.fixture(params=SELECTED)
def conformance_conn(request, connect_over):
    return functools.partial(connect_over(request.param), ConformanceService)


@pytest.fixture(params=[name for name in SELECTED if TRANSPORTS[name].byte_stream])
def conformance_raw_conn(request, connect_over):
    return functools.partial(connect_over(request.param), ConformanceService)


@pytest.fixture(params=SELECTED)
def conformance_describe(request, connect_over):
    """The first protocol listed that is not the framework's own, as reflection describes it over the wire."""
    with connect_over(request.param)(ConformanceService) as proxy:
        hosted = [protocol.name for protocol in list_protocols(proxy)]
        return describe_protocol(proxy, next(name for name in hosted if not name.startswith("vgi_rpc.")))


@pytest.fixture(scope="session")
def conformance_protocol_connector(connect_over):
    return lambda transport, protocol, on_log=None: connect_over(transport)(protocol, on_log)


class TransportKindProbe(Protocol):
    """What a worker hosts, alone, under `--transport-kind-probe`."""

    protocol_name: ClassVar[str] = "conformance.TransportKindProbe.v1"

    def report_transport_kind(self) -> str: ...


@pytest.fixture(scope="session")
def conformance_transport_kind_probes(tmp_path_factory):
    def kind_over_pipe():
        with connect(TransportKindProbe, [WORKER, "--transport-kind-probe", "--pipe"]) as proxy:
            return proxy.report_transport_kind()

    def kind_over_unix():
        path = str(tmp_path_factory.mktemp("probe") / "s")
        with listening(WORKER, "--transport-kind-probe", "--unix", path) as path:
            with unix_connect(TransportKindProbe, path) as proxy:
                return proxy.report_transport_kind()

    def kind_over_tcp():
        with listening(WORKER, "--transport-kind-probe", "--tcp", "127.0.0.1:0") as address:
            host, port = address.rsplit(":", 1)
            with tcp_connect(TransportKindProbe, host, int(port)) as proxy:
                return proxy.report_transport_kind()

    return [("pipe", kind_over_pipe), ("unix", kind_over_unix), ("tcp", kind_over_tcp)]


def pytest_configure(config):
    """Refuse every server written in Python: a case that built one would pass without the worker."""

    def refuse(*_args, **_kwargs):
        raise AssertionError("a conformance case built a server in Python instead of asking the worker")

    RpcServer.__init__ = refuse


def pytest_collection_modifyitems(config, items):
    """Leave out every case whose lane is not selected; the rest carry their lane into the JUnit file."""
    lanes = {item: lane_of(item) for item in items}
    for item, lane in lanes.items():
        item.user_properties.append(("lane", lane))
    left_out = [item for item in items if lanes[item] not in SELECTED]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if lanes[item] in SELECTED]
    config.stash[LEFT_OUT] = Counter(lanes[item] for item in left_out)


def pytest_report_collectionfinish(config):
    left_out = config.stash.get(LEFT_OUT, Counter())
    return [f"left out: {count} cases of lane '{lane}'" for lane, count in left_out.most_common()]


def lane_of(item):
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    for axis in AXES:
        if axis in parameters:
            return parameters[axis]
    named = fixtures_named(item)
    return next(
        (lane for start, lane in LANE_OF_FIXTURE.items() if any(name.startswith(start) for name in named)), NO_WORKER
    )


def fixtures_named(item):
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
