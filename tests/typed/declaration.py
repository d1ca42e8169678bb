"""The protocol of the example `typed` in Python: the same declaration, and the same values."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import Enum
from typing import Annotated, ClassVar, Protocol

import pyarrow as pa
from vgi_rpc.rpc import ExchangeState, ProducerState, Stream
from vgi_rpc.utils import ArrowSerializableDataclass, ArrowType

INSTANT = pa.timestamp("us", tz="UTC")
DECIMAL = pa.decimal128(20, 4)
FIXED = pa.binary(4)
PAIR = pa.list_(pa.float64(), 2)


class Color(Enum):
    RED = "red one"
    GREEN = "green"


@dataclass(frozen=True)
class Point(ArrowSerializableDataclass):
    x: float
    y: float


@dataclass(frozen=True)
class Plain(ArrowSerializableDataclass):
    truth: bool
    int8: Annotated[int, ArrowType(pa.int8())]
    int16: Annotated[int, ArrowType(pa.int16())]
    int32: Annotated[int, ArrowType(pa.int32())]
    int64: int
    uint8: Annotated[int, ArrowType(pa.uint8())]
    uint16: Annotated[int, ArrowType(pa.uint16())]
    uint32: Annotated[int, ArrowType(pa.uint32())]
    uint64: Annotated[int, ArrowType(pa.uint64())]
    float32: Annotated[float, ArrowType(pa.float32())]
    float64: float
    text: str
    large_text: Annotated[str, ArrowType(pa.large_string())]
    text_view: Annotated[str, ArrowType(pa.string_view())]
    binary: bytes
    large_binary: Annotated[bytes, ArrowType(pa.large_binary())]
    binary_view: Annotated[bytes, ArrowType(pa.binary_view())]
    fixed: Annotated[bytes, ArrowType(FIXED)]
    instant: Annotated[dt.datetime, ArrowType(INSTANT)]
    local: Annotated[dt.datetime, ArrowType(pa.timestamp("us"))]
    seconds: Annotated[dt.datetime, ArrowType(pa.timestamp("s", tz="UTC"))]
    date: Annotated[dt.date, ArrowType(pa.date32())]
    time: Annotated[dt.time, ArrowType(pa.time64("us"))]
    duration: Annotated[dt.timedelta, ArrowType(pa.duration("us"))]
    decimal: Annotated[Decimal, ArrowType(DECIMAL)]
    wide_decimal: Annotated[Decimal, ArrowType(pa.decimal256(50, 2))]
    id: Annotated[bytes, ArrowType(pa.binary(16))]
    color: Color
    point: Point
    encoded_point: Annotated[Point, ArrowType(pa.binary())]


@dataclass(frozen=True)
class Absent(ArrowSerializableDataclass):
    truth: bool | None = None
    int8: Annotated[int | None, ArrowType(pa.int8())] = None
    uint64: Annotated[int | None, ArrowType(pa.uint64())] = None
    float64: float | None = None
    text: str | None = None
    large_text: Annotated[str | None, ArrowType(pa.large_string())] = None
    text_view: Annotated[str | None, ArrowType(pa.string_view())] = None
    binary: bytes | None = None
    large_binary: Annotated[bytes | None, ArrowType(pa.large_binary())] = None
    binary_view: Annotated[bytes | None, ArrowType(pa.binary_view())] = None
    fixed: Annotated[bytes | None, ArrowType(FIXED)] = None
    instant: Annotated[dt.datetime | None, ArrowType(INSTANT)] = None
    local: Annotated[dt.datetime | None, ArrowType(pa.timestamp("us"))] = None
    date: Annotated[dt.date | None, ArrowType(pa.date32())] = None
    time: Annotated[dt.time | None, ArrowType(pa.time64("us"))] = None
    duration: Annotated[dt.timedelta | None, ArrowType(pa.duration("us"))] = None
    decimal: Annotated[Decimal | None, ArrowType(DECIMAL)] = None
    wide_decimal: Annotated[Decimal | None, ArrowType(pa.decimal256(50, 2))] = None
    id: Annotated[bytes | None, ArrowType(pa.binary(16))] = None
    color: Color | None = None
    point: Point | None = None
    encoded_point: Annotated[Point | None, ArrowType(pa.binary())] = None
    items: Annotated[list[int] | None, ArrowType(pa.list_(pa.int64()))] = None
    array: Annotated[list[float] | None, ArrowType(PAIR)] = None
    mapping: dict[str, int] | None = None
    batch: pa.RecordBatch | None = None
    schema: pa.Schema | None = None


@dataclass(frozen=True)
class Nested(ArrowSerializableDataclass):
    texts: list[str]
    numbers: list[int | None]
    matrix: list[list[float]]
    blobs: list[bytes]
    colors: list[Color]
    points: list[Point | None]
    instants: Annotated[list[dt.datetime], ArrowType(pa.list_(INSTANT))]
    decimals: Annotated[list[Decimal | None], ArrowType(pa.list_(DECIMAL))]
    distinct: frozenset[str]
    distinct_bytes: Annotated[list[int], ArrowType(pa.list_(pa.uint8()))]
    array: Annotated[list[float], ArrowType(PAIR)]
    arrays: Annotated[list[bytes | None], ArrowType(pa.list_(FIXED))]
    large_list: Annotated[list[int], ArrowType(pa.large_list(pa.int64()))]
    mapping: dict[str, int | None]
    by_color: dict[Color, list[Point | None]]
    batch: pa.RecordBatch
    schema: pa.Schema
    plain: Plain
    absent: list[Absent | None]


@dataclass(frozen=True)
class Number(ArrowSerializableDataclass):
    n: int


@dataclass(frozen=True)
class Title(ArrowSerializableDataclass):
    title: str


class Typed(Protocol):
    protocol_name: ClassVar[str] = "test.Typed.v1"
    protocol_version: ClassVar[str] = "1.0.0"

    def plain(self) -> Plain: ...

    def nested(self) -> Nested: ...

    def echo_plain(self, plain: Plain) -> Plain: ...

    def echo_absent(self, absent: Absent) -> Absent: ...

    def echo_nested(self, nested: Nested) -> Nested: ...

    def echo_point(self, point: Point | None) -> Point | None: ...

    def parameters(
        self,
        truth: bool,
        int8: Annotated[int, ArrowType(pa.int8())],
        text: str,
        large_binary: Annotated[bytes | None, ArrowType(pa.large_binary())],
        instant: Annotated[dt.datetime, ArrowType(INSTANT)],
        decimal: Annotated[Decimal, ArrowType(DECIMAL)],
        color: Color,
        colors: list[Color],
        points: list[Point],
        by_name: dict[str, int | None],
        weight: int = 7,
    ) -> str: ...

    def count(self, end: int) -> Stream[ProducerState, Title]: ...

    def plains(self, count: int) -> Stream[ProducerState]: ...

    def multiply(self, factor: int) -> Stream[ExchangeState]: ...


SCHEMA = pa.schema([pa.field("value", pa.int64())])
BATCH = pa.RecordBatch.from_pydict({"value": [1, None]}, schema=SCHEMA)
EPOCH = dt.datetime(1970, 1, 1)
NOW = (EPOCH + dt.timedelta(microseconds=1_764_250_245_123_456)).replace(tzinfo=dt.UTC)

PLAIN = Plain(
    truth=True,
    int8=-(2**7),
    int16=-(2**15),
    int32=-(2**31),
    int64=-(2**63),
    uint8=2**8 - 1,
    uint16=2**16 - 1,
    uint32=2**32 - 1,
    uint64=2**64 - 1,
    float32=1.5,
    float64=-2.25,
    text="größer",
    large_text="large",
    text_view="a text that is longer than a view holds",
    binary=b"\0\xff",
    large_binary=b"",
    binary_view=b"\1" * 20,
    fixed=b"\1\2\3\4",
    instant=NOW,
    local=EPOCH + dt.timedelta(microseconds=-1_500_001),
    seconds=NOW.replace(microsecond=0),
    date=dt.date(1969, 7, 20),
    time=dt.time(23, 59, 58, 123_456),
    duration=dt.timedelta(microseconds=-1_500_001),
    decimal=Decimal("-12.3456"),
    wide_decimal=Decimal("123.45"),
    id=uuid.UUID("67e55044-10b1-426f-9247-bb680e5fe0c8").bytes,
    color=Color.GREEN,
    point=Point(1.0, 2.0),
    encoded_point=Point(3.0, 4.0),
)

ABSENT = Absent()
PRESENT = Absent(
    **{field.name: getattr(PLAIN, field.name) for field in fields(Absent) if hasattr(PLAIN, field.name)},
    items=[1, 2],
    array=[0.5, 1.5],
    mapping={"a": 1},
    batch=BATCH,
    schema=SCHEMA,
)

NESTED = Nested(
    texts=["a", ""],
    numbers=[1, None],
    matrix=[[0.5], [], [1.5, 2.5]],
    blobs=[b"\0\xff", b""],
    colors=[Color.GREEN, Color.RED, Color.GREEN],
    points=[Point(1.0, 2.0), None],
    instants=[NOW],
    decimals=[Decimal("-12.3456"), None],
    distinct=frozenset({"a", "b"}),
    distinct_bytes=[0, 255],
    array=[0.5, 1.5],
    arrays=[b"\1\2\3\4", None],
    large_list=[1, 2],
    mapping={"a": 1, "b": None},
    by_color={Color.RED: [Point(1.0, 2.0), None], Color.GREEN: []},
    batch=BATCH,
    schema=SCHEMA,
    plain=PLAIN,
    absent=[ABSENT, None, PRESENT],
)
