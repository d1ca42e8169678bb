"""Services declared by a trait, called by the reference's client, and their client, which calls the reference's worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typed.declaration import ABSENT, NESTED, NOW, PLAIN, PRESENT, Color, Number, Plain, Point, Title, Typed
from vgi_rpc.rpc import AnnotatedBatch, connect
from vgi_rpc.rpc._protocol_hash import compute_protocol_hash
from vgi_rpc.rpc._types import rpc_methods

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def typed_example():
    return os.environ["VGI_CONF_TYPED"]


@pytest.fixture(scope="module")
def proxy(typed_example):
    with connect(Typed, [typed_example, "worker"]) as proxy:
        yield proxy


def test_the_hash_is_that_of_the_same_declaration(typed_example):
    done = subprocess.run([typed_example, "hash"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == compute_protocol_hash("test.Typed.v1", rpc_methods(Typed))


def test_every_type_crosses(typed_example, proxy):
    assert proxy.plain() == PLAIN
    assert proxy.echo_plain(plain=PLAIN) == PLAIN


@pytest.mark.parametrize("sent", [ABSENT, PRESENT], ids=["absent", "present"])
def test_every_type_crosses_where_it_may_be_absent(typed_example, proxy, sent):
    assert proxy.echo_absent(absent=sent) == sent


def test_every_type_crosses_within_others(typed_example, proxy):
    assert proxy.nested() == NESTED
    assert proxy.echo_nested(nested=NESTED) == NESTED


@pytest.mark.parametrize("sent", [Point(1.0, 2.0), None], ids=["a record", "none"])
def test_a_record_may_be_absent(typed_example, proxy, sent):
    assert proxy.echo_point(point=sent) == sent


def test_parameters_have_every_kind_of_type(typed_example, proxy):
    arguments = {
        "truth": True,
        "int8": -128,
        "text": "text",
        "large_binary": b"\0\xff",
        "instant": NOW,
        "decimal": PLAIN.decimal,
        "color": Color.GREEN,
        "colors": [Color.RED, Color.GREEN],
        "points": [Point(1.0, 2.0), Point(3.0, 4.0)],
        "by_name": {"a": 1, "b": None},
    }
    expected = "true -128 text Some([0, 255]) 1764250245123456 -123456 Green 2 10.0 1"
    assert proxy.parameters(**arguments) == f"{expected} 7"
    assert proxy.parameters(**arguments, weight=8) == f"{expected} 8"


def test_streams_carry_records(typed_example, proxy):
    with proxy.count(end=3) as stream:
        assert stream.header == Title("up to 3")
        assert [row["n"] for output in stream for row in output.batch.to_pylist()] == [1, 2, 3]
    with proxy.plains(count=2) as stream:
        batches = [output.batch for output in stream]
    rows = [batch.slice(row, 1) for batch in batches for row in range(batch.num_rows)]
    assert [Plain.deserialize_from_batch(row) for row in rows] == [PLAIN] * 4
    with proxy.multiply(factor=3) as stream:
        numbers = Number.ARROW_SCHEMA.empty_table().schema
        sent = AnnotatedBatch.from_pydict({"n": [1, 2]}, schema=numbers)
        assert stream.exchange(sent).batch.to_pylist() == [{"n": 3}, {"n": 6}]


def test_the_client_calls_the_reference(typed_example):
    worker = Path(__file__).parents[1] / "typed" / "worker.py"
    command = [typed_example, "client", sys.executable, str(worker)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout) == (0, "all answers are as expected\n"), done.stderr
