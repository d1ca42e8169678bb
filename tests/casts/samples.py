"""The columns that capture.py casts, and the target types.

Each type has columns of one value each, so that an unsuitable value does not affect others: ordinary values, the ends of
ranges, values that lose a digit, valid and invalid texts. Further columns have nulls, no rows, or a slice.
"""

from __future__ import annotations

import datetime
import decimal

import pyarrow as pa

D = decimal.Decimal

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
FLOATS = [pa.float16(), pa.float32(), pa.float64()]
DECIMALS = [
    pa.decimal32(7, 2),
    pa.decimal64(12, 3),
    pa.decimal128(10, 2),
    pa.decimal128(38, 0),
    pa.decimal128(6, -2),
    pa.decimal256(40, 5),
]
TEXTS = [pa.string(), pa.large_string(), pa.string_view()]
BINARIES = [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(4), pa.binary(3)]
DATES = [pa.date32(), pa.date64()]
TIMES = [pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")]
UNITS = ["s", "ms", "us", "ns"]
NAIVE = [pa.timestamp(unit) for unit in UNITS]
ZONED = [
    pa.timestamp("s", "UTC"),
    pa.timestamp("us", "UTC"),
    pa.timestamp("us", "Europe/Berlin"),
    pa.timestamp("ns", "+01:00"),
    pa.timestamp("ms", "Etc/UTC"),
]
DURATIONS = [pa.duration(unit) for unit in UNITS]
INTERVAL = pa.month_day_nano_interval()
LISTS = [
    pa.list_(pa.int32()),
    pa.list_(pa.int64()),
    pa.list_(pa.string()),
    pa.list_(pa.field("item", pa.int32(), nullable=False)),
    pa.list_(pa.field("element", pa.int32())),
    pa.large_list(pa.int32()),
    pa.large_list(pa.int64()),
    pa.list_(pa.int32(), 2),
    pa.list_(pa.int64(), 2),
    pa.list_(pa.int32(), 3),
    pa.list_(pa.string(), 1),
    pa.list_view(pa.int32()),
    pa.list_view(pa.int64()),
    pa.large_list_view(pa.int32()),
]
STRUCTS = [
    pa.struct([("a", pa.int32()), ("b", pa.string())]),
    pa.struct([("a", pa.int64()), ("b", pa.large_string())]),
    pa.struct([("b", pa.string()), ("a", pa.int32())]),
    pa.struct([("a", pa.int32())]),
    pa.struct([("a", pa.int32()), ("b", pa.string()), ("c", pa.bool_())]),
    pa.struct([pa.field("a", pa.int32(), nullable=False), ("b", pa.string())]),
    pa.struct([("a", pa.int32()), ("a", pa.int64())]),
    pa.struct([("a", pa.int64()), ("a", pa.int64())]),
    pa.struct([]),
]
MAPS = [
    pa.map_(pa.string(), pa.int32()),
    pa.map_(pa.string(), pa.int64()),
    pa.map_(pa.large_string(), pa.int32()),
    pa.map_(pa.string(), pa.int32(), keys_sorted=True),
]
MAP_AS_LIST = pa.list_(pa.struct([pa.field("key", pa.string(), nullable=False), ("value", pa.int32())]))
DICTIONARIES = [
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.int32(), pa.string()),
    pa.dictionary(pa.uint16(), pa.large_string()),
    pa.dictionary(pa.int32(), pa.int64()),
    pa.dictionary(pa.int32(), pa.float64()),
    pa.dictionary(pa.int32(), pa.binary()),
    pa.dictionary(pa.int32(), pa.string(), ordered=True),
]
RUNS = [
    pa.run_end_encoded(pa.int32(), pa.int64()),
    pa.run_end_encoded(pa.int16(), pa.int64()),
    pa.run_end_encoded(pa.int32(), pa.string()),
    pa.run_end_encoded(pa.int32(), pa.float64()),
]
UNIONS = [
    pa.sparse_union([pa.field("a", pa.int32()), pa.field("b", pa.string())]),
    pa.dense_union([pa.field("a", pa.int32()), pa.field("b", pa.string())]),
]
# Dictionaries of other values, only as targets.
ENCODED = [
    pa.dictionary(pa.int32(), pa.bool_()),
    pa.dictionary(pa.int32(), pa.decimal128(10, 2)),
    pa.dictionary(pa.int32(), pa.date32()),
    pa.dictionary(pa.int32(), pa.timestamp("us")),
    pa.dictionary(pa.int32(), pa.float16()),
    pa.dictionary(pa.int32(), pa.string_view()),
    pa.dictionary(pa.int32(), pa.binary(4)),
]
SOURCES = [
    pa.null(),
    pa.bool_(),
    *INTEGERS,
    *FLOATS,
    *DECIMALS,
    *TEXTS,
    *BINARIES,
    *DATES,
    *TIMES,
    *NAIVE,
    *ZONED,
    *DURATIONS,
    INTERVAL,
    *LISTS,
    *STRUCTS,
    *MAPS,
    MAP_AS_LIST,
    *DICTIONARIES,
    *RUNS,
    *UNIONS,
]
TARGETS = [*SOURCES, *ENCODED]

WORDS = [
    *[
        "",
        "a",
        "abcd",
        "äöüß",
        "text that is longer than twelve bytes",
        "1",
        "-1",
        "+1",
        " 1",
        "1 ",
        "01",
        "300",
        "70000",
    ],
    *["9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551615", "0x1F", "1_000"],
    *["1.5", "-1.25", "1.", ".5", "1e3", "1E-3", "1e400", "1e-400", "nan", "NaN", "-nan", "inf", "Infinity", "-inf"],
    *["16777217", "65520", "0.1", "123456.785", "123456.78", "1,5", "--1", "1e", "-0", "-0.0", "0"],
    *["true", "false", "True", "FALSE", "yes", "no", "t", "f", "on", "y", "tRuE"],
    *["2020-01-02", "2020-1-2", "20200102", "2020-02-30", "9999-12-31", "0001-01-01", "10000-01-01", "-0001-01-01"],
    *["2020-01-02 03:04:05", "2020-01-02T03:04:05", "2020-01-02T03:04:05Z", "2020-01-02T03:04:05+01:00"],
    *[
        "2020-01-02T03:04:05.678",
        "2020-01-02T03:04:05.678901234",
        "2020-01-02T03:04",
        "2020-01-02T03",
        "2020-01-02T25:00:00",
    ],
    *[
        "2020-01-02T03:04:05.678+0100",
        "2020-01-02T03:04:05-23",
        "1677-09-21T00:12:43",
        "2262-04-12T00:00:00",
        "2020-01-02T03:04:05 UTC",
    ],
    *["2020-03-29T02:30:00", "2020-10-25T02:30:00"],
    *["03:04:05", "03:04", "03", "03:04:05.6", "03:04:05.678901234", "24:00:00", "23:59:60", "3:04:05", "03:04:05Z"],
    *[
        "0xFF",
        "0x1FF",
        "-0x1",
        "0X1f",
        "0x",
        "00000000000000000000001",
        "-00000000000000000000001",
        "128",
        "255",
        "256",
    ],
    *[
        "1e2",
        "100e-2",
        "+1.5",
        "-.5",
        ".",
        "-",
        "+",
        "99999999.99",
        "99999999.999",
        "100000000",
        "1.50",
        "0.000",
        "1.5e1",
        "1e+2",
    ],
    *["P1D", "1 day", "null", "None", "1970-01-01", "1969-12-31T23:59:59"],
]


def utf8(data_type):
    """Whether all values of this type are created from text."""
    return data_type in TEXTS


def integers(data_type):
    """Returns values of an integer type that do or do not fit the neighbouring types."""
    unsigned = str(data_type).startswith("uint")
    bits = data_type.bit_width
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    some = [
        low,
        low + 1,
        -1,
        0,
        1,
        2,
        100,
        127,
        128,
        255,
        256,
        2049,
        32767,
        32768,
        65505,
        86399,
        86400,
        2**24,
        2**24 + 1,
        2**31 - 1,
        2**31,
    ]
    some += [2**32, 86400 * 10**6, 2**53, 2**53 + 1, 99999, 100000, 10**9, 10**10, high]
    return sorted({value for value in some if low <= value <= high})


ZONELESS = [
    datetime.datetime(1970, 1, 1),
    datetime.datetime(1969, 12, 31, 23, 59, 59),
    datetime.datetime(2020, 1, 2),
    datetime.datetime(2020, 1, 2, 3, 4, 5),
    datetime.datetime(2020, 7, 2, 3, 4, 5, 678000),
    datetime.datetime(2020, 7, 2, 3, 4, 5, 678901),
    datetime.datetime(2020, 3, 29, 2, 30),
    datetime.datetime(2020, 10, 25, 2, 30),
    datetime.datetime(1, 1, 1),
    datetime.datetime(9999, 12, 31, 23, 59, 59),
    datetime.datetime(1600, 2, 29, 12),
]
LIST_VALUES = [[], [1], [1, 2], [1, None], [1, 2, 3], [2**31 - 1, 5]]


def built(data_type, values):
    """Returns an array of these values, without those that do not fit the type."""
    arrays = []
    for value in values:
        try:
            array = pa.array([value], data_type)
            array.validate(full=True)
            arrays.append(array)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, ValueError):
            continue
    return arrays


def samples_of(data_type):
    """Returns columns of a type with one value each."""
    if data_type == pa.null():
        return [pa.nulls(1)]
    if data_type == pa.bool_():
        return built(data_type, [True, False])
    if data_type in INTEGERS:
        return built(data_type, integers(data_type))
    if data_type in FLOATS:
        values = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            -0.5,
            1.5,
            2.5,
            0.1,
            0.25,
            127.0,
            128.0,
            255.0,
            256.0,
            2049.0,
            65504.0,
            65520.0,
            1e5,
            123456.789,
        ]
        values += [
            16777216.0,
            16777217.0,
            2147483648.0,
            9007199254740992.0,
            9007199254740993.0,
            9.223372036854775e18,
            9.223372036854775807e18,
        ]
        values += [
            1.8446744073709552e19,
            1e10,
            1e15,
            1e16,
            1e17,
            1e20,
            1e30,
            1e38,
            1e39,
            1e100,
            1e300,
            1e-3,
            1e-5,
            1e-7,
            1e-10,
            5e-324,
        ]
        values += [
            float("nan"),
            float("inf"),
            float("-inf"),
            1.005,
            3.4e38,
            1234567.0,
            12345678.9,
            0.3,
            1 / 3,
            6e-8,
            99999.99,
            99999.995,
        ]
        return [pa.array(values, pa.float64()).slice(n, 1).cast(data_type, safe=False) for n in range(len(values))]
    if data_type in DECIMALS:
        texts = [
            "0",
            "1",
            "-1",
            "1.5",
            "2.25",
            "-2.25",
            "0.01",
            "127",
            "128",
            "255",
            "256",
            "300",
            "65504",
            "99999.99",
            "99999",
            "100000",
        ]
        texts += [
            "2147483648",
            "9007199254740993",
            "9223372036854775808",
            "12345678901234567890",
            "1" * 35 + ".12345",
            "9" * 38,
            "100",
            "12300",
            "0.00001",
            "10",
        ]
        return built(data_type, [D(text) for text in texts])
    if utf8(data_type):
        return built(data_type, WORDS)
    if data_type in BINARIES:
        values = [
            b"",
            b"a",
            b"abc",
            b"abcd",
            b"\xff\xfe\xfd\xfc",
            b"\xff\xfe\xfd",
            b"123",
            b"1234",
            b"1.50",
            "ü12".encode(),
            b"bytes that are longer than twelve",
        ]
        return built(data_type, values)
    if data_type in DATES:
        days = [-1, 0, 1, 18263, 2932896, 2932897, 106751, 106752, -106751, -719162, -719529, -1085000, 96465292, 32767]
        if data_type == pa.date32():
            return [pa.array([day], pa.int32()).view(data_type) for day in days]
        milliseconds = [*(day * 86_400_000 for day in days), 1500, -1]
        return [pa.array([n], pa.int64()).view(data_type) for n in milliseconds]
    if data_type in TIMES:
        values = [
            datetime.time(0),
            datetime.time(3, 4, 5),
            datetime.time(3, 4, 5, 678000),
            datetime.time(3, 4, 5, 678901),
            datetime.time(23, 59, 59, 999999),
        ]
        storage = pa.int32() if pa.types.is_time32(data_type) else pa.int64()
        day = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}[data_type.unit] * 86400
        return built(data_type, values) + [pa.array([n], storage).view(data_type) for n in (-1, day)]
    if data_type in NAIVE or data_type in ZONED:
        kept = [
            n for array in built(pa.timestamp(data_type.unit), ZONELESS) for n in array.view(pa.int64()).to_pylist()
        ]
        return [pa.array([n], pa.int64()).view(data_type) for n in kept]
    if data_type in DURATIONS:
        values = [-1, 0, 1, 1000, 1500, 1_000_000, 86_400_000, 10**9, 10**10, 10**13, 2**53 + 1, 2**62]
        return [pa.array([n], pa.int64()).view(data_type) for n in values]
    if data_type == INTERVAL:
        return built(data_type, [pa.MonthDayNano([0, 0, 0]), pa.MonthDayNano([1, 2, 3]), pa.MonthDayNano([0, 1, 0])])
    if pa.types.is_map(data_type):
        return built(data_type, [[], [("k", 1)], [("k", 1), ("l", None)], [("k", 1), ("k", 2)]])
    if data_type == MAP_AS_LIST:
        return built(data_type, [[], [{"key": "k", "value": 1}], [{"key": "k", "value": None}]])
    if data_type in LISTS:
        if pa.types.is_string(data_type.value_type):
            return built(data_type, [[], ["a"], ["1"], ["1", "2"], ["1", None]])
        return built(data_type, LIST_VALUES)
    if data_type in STRUCTS:
        if [field.name for field in data_type] == ["a", "a"]:
            children = [pa.array([1], data_type.field(0).type), pa.array([2], data_type.field(1).type)]
            return [pa.StructArray.from_arrays(children, fields=list(data_type))]
        values = [{"a": 1, "b": "x", "c": True}, {"a": None, "b": None}, {"a": 2**31 - 1, "b": "1"}]
        return built(data_type, values)
    if data_type in ENCODED:
        values = samples_of(data_type.value_type)[:1]
        return [pa.DictionaryArray.from_arrays(pa.array([0], data_type.index_type), value) for value in values]
    if data_type in DICTIONARIES:
        key, ordered = pa.array([0], data_type.index_type), data_type.ordered
        return [pa.DictionaryArray.from_arrays(key, array, ordered=ordered) for array in plain(data_type.value_type)]
    if data_type in RUNS:
        return [
            pa.RunEndEncodedArray.from_arrays(pa.array([len(a)], data_type.run_end_type), a, type=data_type)
            for a in plain(data_type.value_type)
        ]
    if data_type == UNIONS[0]:
        return [
            pa.UnionArray.from_sparse(
                pa.array([0], pa.int8()), [pa.array([1], pa.int32()), pa.array(["x"])], ["a", "b"]
            )
        ]
    if data_type == UNIONS[1]:
        return [
            pa.UnionArray.from_dense(
                pa.array([1], pa.int8()),
                pa.array([0], pa.int32()),
                [pa.array([1], pa.int32()), pa.array(["x"])],
                ["a", "b"],
            )
        ]
    raise NotImplementedError(data_type)


def plain(data_type):
    """Returns dictionary-encoded and run-encoded columns."""
    if pa.types.is_integer(data_type):
        return built(data_type, [1, -1, 2**40])
    if pa.types.is_floating(data_type):
        return built(data_type, [1.0, 1.5, 1e300])
    if pa.types.is_binary(data_type):
        return built(data_type, [b"a", b"\xff", b"1"])
    return built(data_type, ["a", "1", "2020-01-02", "text that is longer than twelve bytes"])


def special():
    """Returns columns of more than one row, with nulls in several places."""
    for data_type in SOURCES:
        single = samples_of(data_type)
        yield "no rows", single[0].slice(0, 0)
        if pa.types.is_union(data_type):
            continue
        yield "a null", pa.nulls(1, data_type)
        if data_type == pa.null():
            yield "three rows", pa.nulls(3)
        elif not pa.types.is_run_end_encoded(data_type):
            for number, first in enumerate(single[:2]):
                rows = pa.concat_arrays([first, pa.nulls(1, data_type), first])
                yield f"rows of value {number} with a null", rows
                yield f"rows of value {number} with a null, sliced", rows.slice(1, 2)
    nulls = pa.array([0, 1, None], pa.int8())
    yield "null value", pa.DictionaryArray.from_arrays(nulls, pa.array(["a", None]))
    yield "null value", pa.DictionaryArray.from_arrays(nulls.cast(pa.int32()), pa.array([1, None], pa.int64()))
    yield "unused value", pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int32()), pa.array(["1", "word"]))
    yield "repeated value", pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array(["1", "1"]))
    yield "two runs", pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array([1, None], pa.int64()))
    yield "two runs", pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["a", None]))
    hidden = pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int32()))
    yield "even lists", pa.array([[1, 2], [3, 4]], pa.list_(pa.int32()))
    yield "even lists and a null", hidden
    bad = pa.StructArray.from_arrays(
        [pa.array([2**40, 1]), pa.array(["x", "y"])], ["a", "b"], mask=pa.array([True, False])
    )
    yield "overflow under a null", bad.cast(STRUCTS[1])
    texts = pa.StructArray.from_arrays(
        [pa.array([1, 1], pa.int32()), pa.array(["word", "1"])], ["a", "b"], mask=pa.array([True, False])
    )
    yield "text under a null", texts
    number = pa.Array.from_buffers(
        pa.int64(), 2, [pa.py_buffer(b"\x02"), pa.py_buffer((2**40).to_bytes(8, "little") + bytes(8))]
    )
    yield "overflow under a null", number
    number = pa.Array.from_buffers(
        pa.float64(), 2, [pa.py_buffer(b"\x02"), pa.py_buffer(bytes(6) + b"\xf8\x7f" + bytes(8))]
    )
    yield "NaN under a null", number
    yield (
        "word under a null",
        pa.Array.from_buffers(
            pa.string(),
            2,
            [pa.py_buffer(b"\x02"), pa.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0])), pa.py_buffer(b"x1")],
        ),
    )


def samples():
    """Returns all columns, each with a name."""
    for data_type in SOURCES:
        for number, array in enumerate(samples_of(data_type)):
            yield f"value {number}", array
    yield from special()
