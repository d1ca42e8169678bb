"""The run loop in the core's documentation, on its own stdin and stdout, with the reference's client."""

from __future__ import annotations

import os
from typing import ClassVar, Protocol

import pytest
from vgi_rpc.rpc import RpcError, SubprocessTransport, connect

pytestmark = pytest.mark.timeout(30)


class Six(Protocol):
    """What the example hosts."""

    protocol_name: ClassVar[str] = "demo.Six.v1"

    def times_six(self, n: int) -> int: ...


class Seven(Protocol):
    """The same protocol with a method that the example has not."""

    protocol_name: ClassVar[str] = "demo.Six.v1"

    def times_seven(self, n: int) -> int: ...


@pytest.fixture(scope="module")
def run_loop_example():
    return os.environ["VGI_CONF_RUN_LOOP"]


def test_every_answer_is_flushed(run_loop_example):
    with connect(Six, [run_loop_example]) as proxy:
        assert [proxy.times_six(n=n) for n in range(100)] == [6 * n for n in range(100)]


def test_an_error_leaves_the_connection_usable(run_loop_example):
    from vgi_rpc.rpc import _RpcProxy

    child = SubprocessTransport([run_loop_example])
    try:
        with pytest.raises(RpcError):
            _RpcProxy(Seven, child, None).times_seven(n=1)
        assert _RpcProxy(Six, child, None).times_six(n=7) == 42
    finally:
        child.close()


def test_start_up_work_is_done_before_the_first_call(run_loop_example, capfd):
    with connect(Six, [run_loop_example]) as proxy:
        assert proxy.times_six(n=1) == 6
    assert "serving over Pipe" in capfd.readouterr().err
