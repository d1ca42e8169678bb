"""Serves the protocol of the example `typed` from Python, on stdin and stdout."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from vgi_rpc.rpc import (
    AnnotatedBatch,
    CallContext,
    ExchangeState,
    OutputCollector,
    ProducerState,
    RpcServer,
    Stream,
    serve_stdio,
)

sys.path.insert(0, str(Path(__file__).parents[1]))
from typed.declaration import NESTED, PLAIN, Number, Plain, Title, Typed  # noqa: E402

NUMBERS = Number.ARROW_SCHEMA


@dataclass
class Count(ProducerState):
    next: int
    end: int

    def produce(self, out: OutputCollector, ctx: CallContext) -> None:
        if self.next >= self.end:
            out.finish()
            return
        self.next += 1
        out.emit_pydict({"n": [self.next]})


@dataclass
class Plains(ProducerState):
    left: int

    def produce(self, out: OutputCollector, ctx: CallContext) -> None:
        if self.left == 0:
            out.finish()
            return
        self.left -= 1
        row = PLAIN._serialize()
        out.emit(pa.Table.from_batches([row, row]).combine_chunks().to_batches()[0])


@dataclass
class Multiply(ExchangeState):
    factor: int

    def exchange(self, input: AnnotatedBatch, out: OutputCollector, ctx: CallContext) -> None:
        out.emit_pydict({"n": [n * self.factor for n in input.batch.column("n").to_pylist()]})


class Worker:
    def plain(self):
        return PLAIN

    def nested(self):
        return NESTED

    def echo_plain(self, plain):
        return plain

    def echo_absent(self, absent):
        return absent

    def echo_nested(self, nested):
        return nested

    def echo_point(self, point):
        return point

    def parameters(
        self, truth, int8, text, large_binary, instant, decimal, color, colors, points, by_name, weight
    ):
        words = [
            str(truth).lower(),
            int8,
            text,
            large_binary,
            round(instant.timestamp() * 1_000_000),
            int(decimal * 10_000),
            color.name.capitalize(),
            len(colors),
            sum(point.x + point.y for point in points),
            sum(number for number in by_name.values() if number is not None),
            weight,
        ]
        return " ".join(map(str, words))

    def count(self, end):
        return Stream(output_schema=NUMBERS, state=Count(next=0, end=end), header=Title(title=f"up to {end}"))

    def plains(self, count):
        return Stream(output_schema=Plain.ARROW_SCHEMA, state=Plains(left=count))

    def multiply(self, factor):
        return Stream(output_schema=NUMBERS, input_schema=NUMBERS, state=Multiply(factor=factor))


if __name__ == "__main__":
    serve_stdio(RpcServer(Typed, Worker()))
