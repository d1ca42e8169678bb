"""The fixtures of the cases about external storage: a store, and one worker for each configuration that they need."""

from __future__ import annotations

import json
import os
import urllib.request

import pytest
from conformance.client_transports import REFLECTION, driver, judges_client
from conformance.http_fixtures import start_worker
from conformance.transports import resolving
from conformance.workers import fake_storage
from vgi_rpc.conformance import ConformanceService
from vgi_rpc.conformance._external_bytestream_pytest import ByteStreamExternalTarget
from vgi_rpc.rpc import connect

WORKER = os.environ["VGI_CONF_WORKER"]
EIGHT_MEBIBYTES = 8 * 1024 * 1024


@pytest.fixture(scope="session")
def conformance_fake_storage():
    with fake_storage() as storage:
        yield storage.url


def port_with_storage(*flags):
    """Returns a fixture: the port of a worker with the store, started with these flags."""

    @pytest.fixture(scope="class")
    def port(conformance_fake_storage):
        with start_worker("--fake-storage", conformance_fake_storage, *flags) as server:
            yield server.port

    return port


conformance_http_with_storage_port = port_with_storage()
conformance_http_with_zstd_storage_port = port_with_storage("--compression", "zstd")
# Fetches less than it accepts as a request, with two limits that can be reached independently.
conformance_http_external_security_port = port_with_storage(
    *("--max-request-bytes", "1048576", "--max-fetch-bytes", "4096"),
    *("--max-decompressed-fetch-bytes", "8192", "--reject-localhost-redirects"),
)
# The limit on stored objects is reached long before that on responses.
conformance_http_externalized_cap_port = port_with_storage(
    *("--max-externalized-response-bytes", "65536", "--max-response-bytes", str(EIGHT_MEBIBYTES))
)


@pytest.fixture(scope="session")
def conformance_bytestream_external_target(conformance_fake_storage):
    """A worker on a pipe that stores every batch with rows, with a process for each connection."""
    command = [WORKER, "--pipe", "--fake-storage", conformance_fake_storage, "--externalize-threshold", "1"]

    def connected(on_log=None):
        if judges_client():
            server = [*command, REFLECTION]
            return driver(ConformanceService).connect("stdio", server, on_log, external_config=resolving())
        return connect(ConformanceService, command, on_log=on_log, external_location=resolving())

    def uploaded_objects():
        with urllib.request.urlopen(f"{conformance_fake_storage}/_stats") as answer:
            return json.load(answer)["object_count"]

    return ByteStreamExternalTarget("pipe", connected, uploaded_objects)
