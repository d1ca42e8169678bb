"""The shared conformance suite: its classes, its `protocol_target` fixture, and its limit of 5 s for each case."""

from vgi_rpc.conformance._pytest_suite import *  # noqa: F403
