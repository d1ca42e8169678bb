"""A program: the reference's worker with the reference's own command line, as a peer for our client.

The command line of `vgi-rpc-conformance` has no idle timeout, which a launcher requires, and cannot host the protocol that
reports the transport. The flags here are those of `vgi_rpc.rpc.run_server`, and two of our worker: `--pipe`, the default,
and `--transport-kind-probe`.
"""

from __future__ import annotations

import sys
from typing import ClassVar, Protocol

from vgi_rpc.conformance import ConformanceService, ConformanceServiceImpl
from vgi_rpc.conformance.secondary import conformance_extra_protocols
from vgi_rpc.rpc import CallContext, RpcServer, run_server

PROBE = "--transport-kind-probe"


class TransportKindProbe(Protocol):
    """What is hosted, alone, with PROBE."""

    protocol_name: ClassVar[str] = "conformance.TransportKindProbe.v1"

    def report_transport_kind(self) -> str: ...


class Reporter:
    def report_transport_kind(self, ctx: CallContext) -> str:
        return ctx.kind.value


def server():
    probed = PROBE in sys.argv
    sys.argv = [word for word in sys.argv if word not in (PROBE, "--pipe")]
    if probed:
        return RpcServer(TransportKindProbe, Reporter())
    return RpcServer(
        ConformanceService,
        ConformanceServiceImpl(),
        enable_describe=True,
        extra_protocols=conformance_extra_protocols(),
    )


if __name__ == "__main__":
    run_server(server())
