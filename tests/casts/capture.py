"""Captures the reference's casts of columns to types, with their results, for a Rust test to replay.

    tests/conf.py setup
    .test-run/venv/bin/python tests/casts/capture.py

The columns and types are those of samples.py. It writes matrix.zst: a zstd frame of consecutive Arrow IPC streams. The
first stream has no rows, and one column per target type, named by its number. Each further stream is one sample: its
schema's metadata names the sample, its first column is the input, and each other column is the result of a cast to
the target with that number. A target without a column was refused. Two captures with the same versions write the
same bytes.

matrix.txt is a readable list of how many samples of each type were cast to which types.
"""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import pyarrow as pa
from samples import TARGETS, samples, samples_of
from vgi_rpc.rpc._wire import _coerce_input_batch

HERE = Path(__file__).parent


def invalid(array):
    """Whether a column has nulls that its type does not allow. The reference accepts these, Arrow for Rust refuses them."""
    if pa.types.is_list(array.type):
        first, last = array.offsets[0].as_py(), array.offsets[-1].as_py()
        items = array.values.slice(first, last - first)
        return (not array.type.value_field.nullable and items.null_count > 0) or invalid(items)
    if pa.types.is_struct(array.type):
        fields = [(field, array.field(n).filter(array.is_valid())) for n, field in enumerate(array.type)]
        return any((not field.nullable and child.null_count > 0) or invalid(child) for field, child in fields)
    return False


def cast(array, target):
    """Returns the reference's cast of an input column, or None."""
    if pa.types.is_list_view(array.type) or pa.types.is_large_list_view(array.type):
        # Its casts of list views lose their items, so only casts to the same type are captured.
        return array if array.type == target else None
    batch = pa.RecordBatch.from_arrays([array], schema=pa.schema([("column", array.type)]))
    try:
        column = _coerce_input_batch(batch, pa.schema([("column", target)])).column(0)
        return None if invalid(column) else column
    except TypeError:
        return None


def stream(names, arrays, metadata):
    """Returns a stream of one batch."""
    fields = [pa.field(name, array.type) for name, array in zip(names, arrays, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, metadata=metadata))
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def main():
    """Write both files."""
    empty = [samples_of(target)[0].slice(0, 0) for target in TARGETS]
    streams = [stream([str(n) for n in range(len(TARGETS))], empty, {})]
    kinds: dict[str, Counter[str]] = {}
    for name, array in samples():
        if invalid(array):
            continue
        array.validate()
        results = {number: cast(array, target) for number, target in enumerate(TARGETS)}
        kept = {number: column for number, column in results.items() if column is not None}
        streams.append(stream(["source", *map(str, kept)], [array, *kept.values()], {"sample": name}))
        kinds.setdefault(str(array.type), Counter()).update(str(TARGETS[number]) for number in kept)
    lines = [f"{source}: {', '.join(f'{t} {n}' for t, n in counts.items())}\n" for source, counts in kinds.items()]
    with pa.OSFile(str(HERE / "matrix.zst"), "wb") as file:
        file.write(pa.Codec("zstd", compression_level=19).compress(b"".join(streams)))
    (HERE / "matrix.txt").write_text("".join(lines))
    print(len(streams) - 1, "samples", len(TARGETS), "targets")


if __name__ == "__main__":
    main()
