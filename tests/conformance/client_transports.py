"""The transports of the tests of our client: the client driver's side, and the reference's server.

As in `transports.py`, an entry of CLIENT_TRANSPORTS is a context manager that runs a server and yields
`connect(protocol, on_log=None)`; it takes the path of the reference's server. Every connection has its own driver.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from pathlib import Path

from conformance.transports import EXTERNALIZE_ALWAYS, Transport, resolving
from conformance.workers import fake_storage, http_worker, listening, shared_batches

# Reflection is hosted on request only.
REFLECTION = "--describe"
REFERENCE_HTTP = Path(__file__).with_name("reference_http.py")
REFERENCE_WORKER = Path(__file__).with_name("reference_worker.py")


def driver(protocol):
    """Returns the client driver for calls to this protocol."""
    from vgi_rpc.conformance.client_driver import ClientDriver

    return ClientDriver.from_env(service=protocol)


@contextlib.contextmanager
def pipe(server):
    """The driver starts a separate server for each connection."""
    yield lambda protocol, on_log=None: driver(protocol).connect("stdio", [server, "--pipe", REFLECTION], on_log)


@contextlib.contextmanager
def subprocess(server):
    """One driver and one server for each protocol, shared by all cases: data that a case leaves unread reaches the next one."""
    with contextlib.ExitStack() as running:

        @functools.cache
        def shared(protocol):
            return running.enter_context(driver(protocol).connect("stdio", [server, "--pipe", REFLECTION]))

        def connect(protocol, on_log=None):
            proxy = shared(protocol)
            proxy._on_log = on_log
            return contextlib.nullcontext(proxy)

        yield connect


@contextlib.contextmanager
def shm(server):
    """Like `subprocess`, with every batch with rows in shared memory. Fails at the end if there was none."""
    import tempfile

    from vgi_rpc.conformance.client_driver import ClientDriver

    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder, "counts")
        variables = {"VGI_CONF_SHM_COUNTS": str(counts), "VGI_RPC_SHM_MIN_BATCH_BYTES": "1"}
        with contextlib.ExitStack() as running:

            @functools.cache
            def shared(protocol):
                client = ClientDriver.from_env(service=protocol, env=variables)
                return running.enter_context(client.connect("shm", [server, "--pipe", REFLECTION]))

            def connect(protocol, on_log=None):
                proxy = shared(protocol)
                proxy._on_log = on_log
                return contextlib.nullcontext(proxy)

            yield connect
        text = counts.read_text() if counts.exists() else "the driver has counted nothing"
        assert not shared.cache_info().currsize or shared_batches(text), f"no batches were shared: {text}"


@contextlib.contextmanager
def unix(server, *mode):
    """One connection at a time, unless the mode says otherwise: a driver that does not close its connection blocks the lane."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        with listening(server, "--unix", f"{folder}/s", REFLECTION, *mode) as started:
            yield lambda protocol, on_log=None: driver(protocol).connect("unix", started.address, on_log)


def unix_threaded(server):
    """Concurrent connections."""
    return unix(server, "--threaded")


@contextlib.contextmanager
def unix_launcher(_server):
    """A server that the reference's launcher starts, and that ends by itself after the run."""
    import tempfile

    from vgi_rpc.conformance import ConformanceService
    from vgi_rpc.launcher import LaunchConfig, launch

    with tempfile.TemporaryDirectory() as folder:
        worker = (sys.executable, str(REFERENCE_WORKER))
        path = launch(LaunchConfig(worker_argv=worker, state_dir=folder))
        # Kept open during the run: otherwise the server would end while cases of other lanes run.
        with driver(ConformanceService).connect("unix", path):
            yield lambda protocol, on_log=None: driver(protocol).connect("unix", path, on_log)


@contextlib.contextmanager
def tcp(server):
    with listening(server, "--tcp", "127.0.0.1:0", "--threaded", REFLECTION) as started:
        yield lambda protocol, on_log=None: driver(protocol).connect("tcp", started.address, on_log)


@contextlib.contextmanager
def http(server):
    with listening(server, "--http", "0", REFLECTION) as started:
        yield lambda protocol, on_log=None: driver(protocol).connect("http", started.url, on_log)


def reference_http(*flags):
    """Returns the reference's HTTP server with the features that these flags enable in our worker."""
    return http_worker([sys.executable, REFERENCE_HTTP], *flags)


@contextlib.contextmanager
def http_externalize_always(_server):
    """Every result is a pointer into a store."""
    with (
        fake_storage() as storage,
        reference_http("--fake-storage", storage.url, *EXTERNALIZE_ALWAYS) as started,
    ):
        yield lambda protocol, on_log=None: driver(protocol).connect(
            "http", started.url, on_log, external_config=resolving()
        )


CLIENT_TRANSPORTS = {
    # 190 by connection, 2 by reflection; the pipe lane also reports the kind of each transport. The raw cases write their
    # own bytes, and test only a server.
    "pipe": Transport(pipe, 193, byte_stream=False),
    "subprocess": Transport(subprocess, 192, byte_stream=False),
    "shm": Transport(shm, 192, byte_stream=False),
    "unix": Transport(unix, 192, byte_stream=False),
    "unix_threaded": Transport(unix_threaded, 192, byte_stream=False),
    "unix_launcher": Transport(unix_launcher, 192, byte_stream=False),
    "tcp": Transport(tcp, 192, byte_stream=False),
    "http": Transport(http, 192, byte_stream=False),
    "http_externalize_always": Transport(http_externalize_always, 192, byte_stream=False),
}


def judges_client() -> bool:
    """Whether this run tests our client instead of our worker."""
    return "VGI_CLIENT_DRIVER" in os.environ
