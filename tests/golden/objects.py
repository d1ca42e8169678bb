"""Captures external objects as the reference writes them, for Rust tests to resolve.

    tests/conf.py setup
    .test-run/venv/bin/python tests/golden/objects.py

For each object it writes objects/NAME.object.bin, as uploaded to the store, and objects/NAME.pointer.bin, an IPC stream with
only the pointer batch; and one objects/index.json, with each object's content coding, its numbers of logs and rows, and the
size by which the reference decides whether a batch is externalised. Two captures write the same bytes.
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pyarrow as pa
from vgi_rpc.external import (
    Compression,
    ServerExternalConfig,
    maybe_externalize_batch,
    maybe_externalize_collector,
    publish_external,
)
from vgi_rpc.log import Level
from vgi_rpc.rpc import OutputCollector
from vgi_rpc.utils import new_ipc_stream

FOLDER = Path(__file__).parent / "objects"
SCHEMA = pa.schema([pa.field("n", pa.int64(), nullable=False), pa.field("text", pa.utf8())])
ROWS = 300


class Store:
    """Stores the last uploaded object."""

    def upload(self, data, schema, *, content_encoding=None):
        self.object, self.coding = data, content_encoding
        return "https://storage.example/golden?signature=secret"


def batch():
    texts = [None if n % 7 == 0 else f"row {n}" for n in range(ROWS)]
    return pa.RecordBatch.from_arrays([pa.array(range(ROWS), pa.int64()), pa.array(texts)], schema=SCHEMA)


def turn(config):
    """A turn of a stream with two logs before its batch, whose metadata has a cursor."""
    out = OutputCollector(SCHEMA, server_id="golden-server")
    out.client_log(Level.INFO, "first")
    out.client_log(Level.WARN, "second", rows=str(ROWS))
    out.emit(batch(), metadata={"application": "x"})
    ((pointer, metadata),), size = maybe_externalize_collector(out, config)
    return pointer, metadata, 2


def single(config):
    pointer, metadata, size = maybe_externalize_batch(batch(), None, config)
    return pointer, metadata, 0


def published(config):
    one = pa.RecordBatch.from_pydict({"n": [1], "text": ["published"]}, schema=SCHEMA)
    ref = publish_external(one, config.storage, config.compression, include_sha256=False)
    return *ref.pointer_batch(SCHEMA), 0


CASES = {
    "turn": (turn, None),
    "turn_zstd": (turn, Compression("zstd", 3)),
    "turn_gzip": (turn, Compression("gzip", 6)),
    "single": (single, None),
    "published_without_digest": (published, Compression("zstd", 3)),
}


def main():
    FOLDER.mkdir(exist_ok=True)
    entries = {}
    for name, (make, compression) in CASES.items():
        store = Store()
        pointer, metadata, logs = make(
            ServerExternalConfig(storage=store, externalize_threshold_bytes=1, compression=compression)
        )
        stream = BytesIO()
        with new_ipc_stream(stream, SCHEMA) as writer:
            writer.write_batch(pointer, custom_metadata=metadata)
        (FOLDER / f"{name}.object.bin").write_bytes(store.object)
        (FOLDER / f"{name}.pointer.bin").write_bytes(stream.getvalue())
        rows = 1 if make is published else ROWS
        entries[name] = {"coding": store.coding, "logs": logs, "rows": rows}
    index = {
        "about": "External objects of vgi-rpc 0.52.2, as objects.py recorded them",
        "total_buffer_size": batch().get_total_buffer_size(),
        "objects": entries,
    }
    (FOLDER / "index.json").write_text(json.dumps(index, indent=2) + "\n")


if __name__ == "__main__":
    main()
