"""The fixtures of the cases about HTTP itself: one worker for each configuration that they need.

If our client is tested, the worker is the reference's, and only the fixtures whose flags it supports work.
"""

from __future__ import annotations

import contextlib
import os

import pytest
from conformance.client_transports import driver, judges_client, reference_http
from conformance.workers import http_worker
from vgi_rpc.conformance import ConformanceService
from vgi_rpc.conformance._resource_soak_pytest import ResourceSoakLimits, ResourceSoakTarget
from vgi_rpc.conformance.proof_harness import ProofWorker
from vgi_rpc.http import http_connect

WORKER = os.environ["VGI_CONF_WORKER"]
# Shared by two workers, so that each can open the other's session tokens and must refuse them for another reason.
SHARED_SESSION_KEY = "5f" * 32
# The origin that the CORS cases send.
CORS_ORIGIN = "https://conformance.example"
MEBIBYTE = 1024 * 1024


def start_worker(*flags):
    """Returns a worker with these flags: the tested one, or the reference's for our client."""
    return reference_http(*flags) if judges_client() else http_worker(WORKER, *flags)


def port_of_worker(*flags, scope="class"):
    """Returns a fixture: the port of a worker with these flags."""

    @pytest.fixture(scope=scope)
    def port():
        with start_worker(*flags) as server:
            yield server.port

    return port


conformance_http_port = port_of_worker(scope="session")
conformance_http_auth_port = port_of_worker("--auth-reject-all")
conformance_http_no_compression_port = port_of_worker("--no-compression")
conformance_http_small_request_cap_port = port_of_worker("--max-request-bytes", "4096")
conformance_http_cold_call_cache_port = port_of_worker("--no-call-state-cache")
# The case uses its session twice within this time, then waits until it has expired: short, but no race on a busy machine.
conformance_http_sticky_short_ttl_port = port_of_worker("--sticky-ttl", "3")
conformance_http_sticky_auth_port = port_of_worker("--sticky-auth")
conformance_http_identity_port = port_of_worker("--identity", "both", scope="session")
conformance_http_identity_introspect_only_port = port_of_worker("--identity", "introspect-only", scope="session")
conformance_http_grant_port = port_of_worker("--identity", "grants", scope="session")
conformance_http_serve_start_fail_once_port = port_of_worker("--fail-serve-start-once")
conformance_http_strict_cap_port = port_of_worker(
    "--max-response-bytes", str(MEBIBYTE), "--max-externalized-response-bytes", str(MEBIBYTE)
)


@pytest.fixture(scope="class")
def conformance_http_auth_reason_port(conformance_http_auth_port):
    """The same worker takes the reason from the request."""
    return conformance_http_auth_port


@pytest.fixture(scope="class")
def conformance_http_sticky_peer_ports():
    flags = ("--token-key", SHARED_SESSION_KEY)
    with start_worker(*flags) as one, start_worker(*flags) as other:
        yield one.port, other.port


@pytest.fixture(scope="class")
def conformance_http_access_log(tmp_path_factory):
    path = tmp_path_factory.mktemp("http") / "access.jsonl"
    with start_worker("--access-log", str(path)) as server:
        yield server.port, path


@pytest.fixture(scope="class")
def conformance_http_cors_port(conformance_fake_storage):
    """Has storage, so that it must also expose the headers that only such a worker sends."""
    with http_worker(WORKER, "--cors-origin", CORS_ORIGIN, "--fake-storage", conformance_fake_storage) as server:
        yield server.port


@pytest.fixture(scope="session")
def proof_worker_factory():
    """`factory(config)`: a worker with that proxy-proof configuration, while the context lasts."""

    @contextlib.contextmanager
    def start(config):
        flags = ["--prefix", "/vgi", "--proof-mode", config.mode, "--proof-origin-id", config.origin_id]
        flags += ["--proof-secrets", config.secrets, "--proof-skew", str(config.skew_seconds)]
        flags += [] if config.replay_cache else ["--proof-no-replay-cache"]
        with http_worker(WORKER, *flags) as server:
            yield ProofWorker(server.port, "/vgi", config)

    return start


class DriverSoakTarget(ResourceSoakTarget):
    """Watches our client's process while it is connected, and the reference's server between connections."""

    def __init__(self, server, limits):
        super().__init__("http client", server.pid, lambda: self.connected(server.url), limits)

    @property
    def pid(self):
        return self.__dict__.get("driver") or self.__dict__["server"]

    @pid.setter
    def pid(self, pid):
        self.__dict__["server"] = pid

    @contextlib.contextmanager
    def connected(self, url):
        with driver(ConformanceService).connect("http", url) as proxy:
            self.__dict__["driver"] = proxy._proc.pid
            try:
                yield proxy
            finally:
                del self.__dict__["driver"]


@pytest.fixture
def conformance_resource_soak_target():
    """A worker of its own for each case."""
    # What a call or a connection leaks, a case leaks 50 times and more. A few descriptors and threads may outlive
    # their connection by more than the 50 ms that the case allows, when the machine is busy.
    limits = ResourceSoakLimits(
        rss_growth_bytes=32 * MEBIBYTE,
        rss_slope_bytes_per_epoch=2 * MEBIBYTE,
        descriptor_growth=10,
        thread_growth=4,
        child_growth=0,
    )
    if judges_client():
        with reference_http() as server:
            yield DriverSoakTarget(server, limits)
        return
    with http_worker(WORKER, "--no-sticky", "--no-compression") as server:
        yield ResourceSoakTarget("http", server.pid, lambda: http_connect(ConformanceService, server.url), limits)
