"""The fixtures of the transport axis, all for the worker that conf.py names, and the selection of cases.

The suite defines the contract of the fixtures; `transports.py` has the transports, `http_fixtures.py` the fixtures only
for HTTP, and `external_fixtures.py` those for external storage. conf.py sets two variables: VGI_CONF_WORKER, the
worker's path, and VGI_CONF_LANES, the selected lanes with commas between them. With a third, VGI_CLIENT_DRIVER, the run
tests our client: the driver of that path makes the calls, and the worker is the reference's.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections import Counter
from types import SimpleNamespace

import pytest
from conformance import transport_kinds
from conformance.client_transports import CLIENT_TRANSPORTS, driver, judges_client
from conformance.lanes import SERVER_ONLY, axis_lane, lane_of
from conformance.transports import TRANSPORTS
from vgi_rpc.conformance import ConformanceService, _pytest_suite
from vgi_rpc.introspect import describe_protocol, list_protocols
from vgi_rpc.rpc import RpcServer, SubprocessTransport

pytest_plugins = ["conformance.external_fixtures", "conformance.http_fixtures"]

WORKER = os.environ["VGI_CONF_WORKER"]
SELECTED = os.environ["VGI_CONF_LANES"].split(",")
JUDGES_CLIENT = judges_client()
AXIS = CLIENT_TRANSPORTS if JUDGES_CLIENT else TRANSPORTS
ON_AXIS = [name for name in AXIS if axis_lane(name) in SELECTED]
# Cases that write their own bytes do not test a client.
RAW = ["raw bytes" + SERVER_ONLY] if JUDGES_CLIENT else [name for name in ON_AXIS if AXIS[name].byte_stream]
SECONDS_FOR_SLOW = 120
LEFT_OUT = pytest.StashKey[Counter]()


@pytest.fixture(scope="session")
def connect_over():
    """`connect_over(transport)`: that transport's `connect`. Its worker starts on first use."""
    with contextlib.ExitStack() as running:
        yield functools.cache(lambda name: running.enter_context(AXIS[name].start(WORKER)))


@pytest.fixture(params=ON_AXIS)
def conformance_conn(request, connect_over):
    return functools.partial(connect_over(request.param), ConformanceService)


@pytest.fixture(params=RAW)
def conformance_raw_conn(request, connect_over):
    return functools.partial(connect_over(request.param), ConformanceService)


@pytest.fixture(params=ON_AXIS)
def conformance_describe(request, connect_over):
    """Returns reflection's description of the first listed protocol that does not belong to the framework."""
    with connect_over(request.param)(ConformanceService) as proxy:
        if JUDGES_CLIENT:
            return proxy.describe()
        hosted = [protocol.name for protocol in list_protocols(proxy)]
        return describe_protocol(proxy, next(name for name in hosted if not name.startswith("vgi_rpc.")))


@pytest.fixture(scope="session")
def conformance_protocol_connector(connect_over):
    return lambda transport, protocol, on_log=None: connect_over(transport)(protocol, on_log)


@pytest.fixture(scope="session")
def conformance_transport_kind_probes(tmp_path_factory):
    return transport_kinds.probes(WORKER, tmp_path_factory.mktemp("probe"))


@pytest.fixture
def described_worker(monkeypatch):
    """Makes the case that builds a server and describes it over a pipe describe the worker."""
    child = SubprocessTransport([WORKER, "--pipe"])
    monkeypatch.setattr(_pytest_suite, "make_pipe_pair", lambda: (child, None))
    monkeypatch.setattr(_pytest_suite, "RpcServer", lambda *_, **__: SimpleNamespace(serve=lambda _: None))


def pytest_itemcollected(item):
    if item.name == "test_describe_unchanged":
        item.fixturenames.append("described_worker")


def pytest_configure(config):
    """Refuse every server written in Python: a case that built one would pass without the worker.

    If our client is tested, it replaces the client that cases import themselves.
    """
    if JUDGES_CLIENT:
        driver(ConformanceService).install_http_overrides()

    def refuse(*_args, **_kwargs):
        raise AssertionError("a conformance case built a server in Python instead of asking the worker")

    RpcServer.__init__ = refuse


def pytest_collection_modifyitems(config, items):
    """Deselect every case whose lane is not selected; record the lane of the others in the JUnit file."""
    lanes = {item: lane_of(item) for item in items}
    for item, lane in lanes.items():
        item.user_properties.append(("lane", lane))
        # Some of these cases start a worker, some sleep, some make thousands of calls; and with our client every
        # connection is one or two processes. A busy machine needs more than the suite's 5 s, or 50 s for the soak.
        slow = lane == "http_only" or JUDGES_CLIENT
        if slow and item.get_closest_marker("timeout").args[0] < SECONDS_FOR_SLOW:
            item.add_marker(pytest.mark.timeout(SECONDS_FOR_SLOW), append=False)
    left_out = [item for item in items if lanes[item] not in SELECTED]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if lanes[item] in SELECTED]
    config.stash[LEFT_OUT] = Counter(lanes[item] for item in left_out if lanes[item])


def pytest_report_collectionfinish(config):
    left_out = config.stash.get(LEFT_OUT, Counter())
    return [f"left out: {count} cases of lane '{lane}'" for lane, count in left_out.most_common()]
