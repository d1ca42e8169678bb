"""The reference worker as a separate program: the installed one has no sticky sessions, and logs."""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import socket
import sys

import waitress
from vgi_rpc.conformance import ConformanceService, ConformanceServiceImpl
from vgi_rpc.conformance.secondary import conformance_extra_protocols
from vgi_rpc.http import make_wsgi_app
from vgi_rpc.rpc import RpcServer, serve_unix


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unix", metavar="PATH", help="listen on a socket, not on HTTP")
    path = parser.parse_args().unix
    # Its logs about refused requests are not part of its responses.
    logging.disable(logging.CRITICAL)
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    extra = conformance_extra_protocols()
    server = RpcServer(ConformanceService, ConformanceServiceImpl(), enable_describe=True, extra_protocols=extra)
    if path:
        serve_unix(server, path, threaded=True, on_bound=lambda bound: print(f"UNIX:{bound}", flush=True))
    else:
        echoed = {"x-vgi-conformance-echo": "conformance-fixed-marker"}
        app = make_wsgi_app(server, enable_sticky=True, sticky_echo_headers=echoed, token_key=secrets.token_bytes(32))
        listener = socket.create_server(("127.0.0.1", 0))
        print(f"PORT:{listener.getsockname()[1]}", flush=True)
        waitress.serve(app, sockets=[listener], _quiet=True)


if __name__ == "__main__":
    main()
