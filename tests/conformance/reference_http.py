"""A program: the reference's HTTP server with features that only some cases need, as a peer for our client.

The reference's own command line serves HTTP without any options. The flags here are those of our worker that mean the same.
"""

from __future__ import annotations

import argparse
import socket

import falcon
import waitress
from vgi_rpc.conformance import ConformanceService, ConformanceServiceImpl
from vgi_rpc.conformance.fake_storage import FakeStorageBackend
from vgi_rpc.conformance.identity_fixture import PRINCIPAL_HEADER
from vgi_rpc.conformance.secondary import conformance_extra_protocols
from vgi_rpc.external import Compression, ExternalLocationConfig
from vgi_rpc.http import drain_handle, make_wsgi_app
from vgi_rpc.rpc import AuthContext, RpcServer, _configure_access_log

# The header that the cases expect every request of a session to repeat.
ECHO_HEADERS = {"x-vgi-conformance-echo": "conformance-fixed-marker"}
MAX_UPLOAD_BYTES = 64 * 1024 * 1024


class Drain:
    """Lets a case start and stop draining the server."""

    def __init__(self, handle):
        self.handle = handle

    def on_post(self, _request, response):
        self.handle.drain()
        response.status = falcon.HTTP_204

    def on_delete(self, _request, response):
        # The handle has no way to undo this, since a real server ends after draining.
        self.handle.shutdown.__self__.set_draining(False)
        response.status = falcon.HTTP_204


def principal_of(request):
    """Returns the principal that the request names, without checking a secret."""
    principal = request.get_header(PRINCIPAL_HEADER)
    domain = "conformance" if principal else None
    return AuthContext(domain=domain, authenticated=bool(principal), principal=principal or None)


def options():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--http", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--access-log")
    parser.add_argument("--compression", choices=("none", "zstd"), default="none")
    parser.add_argument("--externalize-threshold", type=int, default=4096)
    parser.add_argument("--fake-storage")
    parser.add_argument("--max-request-bytes", type=int)
    parser.add_argument("--max-response-bytes", type=int)
    parser.add_argument("--max-externalized-response-bytes", type=int)
    parser.add_argument("--no-call-state-cache", action="store_true")
    parser.add_argument("--sticky-auth", action="store_true")
    parser.add_argument("--sticky-ttl", type=float, default=300.0)
    parser.add_argument("--token-key", type=bytes.fromhex)
    return parser.parse_args()


def storing(arguments):
    """Returns where large results are stored, and what the server itself fetches."""
    if not arguments.fake_storage:
        return None
    return ExternalLocationConfig(
        storage=FakeStorageBackend(arguments.fake_storage),
        externalize_threshold_bytes=arguments.externalize_threshold,
        compression=Compression() if arguments.compression == "zstd" else None,
        url_validator=None,
    )


def main():
    arguments = options()
    external = storing(arguments)
    storage, compression = (external.storage, external.compression) if external else (None, None)
    server = RpcServer(
        ConformanceService,
        ConformanceServiceImpl(external_storage=storage, external_compression=compression),
        enable_describe=True,
        external_location=external,
        extra_protocols=conformance_extra_protocols(),
    )
    if arguments.access_log:
        _configure_access_log(
            path=arguments.access_log,
            max_bytes=0,
            backup_count=0,
            when=None,
            max_record_bytes=1 << 20,
            server_id=server.server_id,
        )
    app = make_wsgi_app(
        server,
        token_key=arguments.token_key,
        upload_url_provider=storage,
        # With a store, larger bodies are uploaded.
        max_request_bytes=arguments.max_request_bytes or (arguments.externalize_threshold if storage else None),
        max_upload_bytes=MAX_UPLOAD_BYTES if storage else None,
        max_response_bytes=arguments.max_response_bytes,
        max_externalized_response_bytes=arguments.max_externalized_response_bytes,
        authenticate=principal_of if arguments.sticky_auth else None,
        enable_sticky=True,
        sticky_default_ttl=arguments.sticky_ttl,
        sticky_echo_headers=ECHO_HEADERS,
        call_state_cache_entries=0 if arguments.no_call_state_cache else 4096,
    )
    app.add_route("/__test_drain__", Drain(drain_handle(app)))
    # Bound before its port is printed, so that no other server can take it in between.
    listener = socket.create_server(("127.0.0.1", arguments.port))
    print(f"PORT:{listener.getsockname()[1]}", flush=True)
    waitress.serve(app, sockets=[listener], _quiet=True)


if __name__ == "__main__":
    main()
