"""The fixtures of the transport axis, every one of them pointed at the worker that conf.py names; what is collected.

The fixtures' contract is the suite's own; `transports.py` holds the transports, `http_fixtures.py` what is only
about HTTP, and `external_fixtures.py` what is about external storage. conf.py sets two variables: VGI_CONF_WORKER, the
worker's path, and VGI_CONF_LANES, the selected lanes with commas between them. With a third, VGI_CLIENT_DRIVER, the run
judges our client: the driver of that path makes the calls, and the worker is the reference's.
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
# What writes bytes of its own judges no client.
RAW = ["raw bytes" + SERVER_ONLY] if JUDGES_CLIENT else [name for name in ON_AXIS if AXIS[name].byte_stream]
SECONDS_FOR_SLOW = 120
LEFT_OUT = pytest.StashKey[Counter]()


@pytest.fixture(scope="session")
def connect_over():
    """`connect_over(transport)`: that transport's `connect`, its worker started at the first request for it."""
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
    """The first protocol listed that is not the framework's own, as reflection describes it over the wire."""
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
    """Has the case that describes a server of its own making, over a pipe, describe the worker."""
    child = SubprocessTransport([WORKER, "--pipe"])
    monkeypatch.setattr(_pytest_suite, "make_pipe_pair", lambda: (child, None))
    monkeypatch.setattr(_pytest_suite, "RpcServer", lambda *_, **__: SimpleNamespace(serve=lambda _: None))


def pytest_itemcollected(item):
    if item.name == "test_describe_unchanged":
        item.fixturenames.append("described_worker")


def pytest_configure(config):
    """Refuse every server written in Python: a case that built one would pass without the worker.

    Where our client is judged, it takes the place of the client that cases import for themselves.
    """
    if JUDGES_CLIENT:
        driver(ConformanceService).install_http_overrides()

    def refuse(*_args, **_kwargs):
        raise AssertionError("a conformance case built a server in Python instead of asking the worker")

    RpcServer.__init__ = refuse


def pytest_collection_modifyitems(config, items):
    """Leave out every case whose lane is not selected; the rest carry their lane into the JUnit file."""
    lanes = {item: lane_of(item) for item in items}
    for item, lane in lanes.items():
        item.user_properties.append(("lane", lane))
        # Some of these cases start their worker in the body, some sleep there, some call it thousands of times; and with
        # our client every connection is a process or two. A busy machine needs more than the 5 s and, for the soak, 50 s
        # that the suite gives them.
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
