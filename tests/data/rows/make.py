"""Writes the samples of the examples as CSV and Parquet, and Parquet files of many kinds.

pip install -r pipelines/requirements.txt && python tests/data/rows/make.py
"""

import datetime
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
PIPELINES = HERE.parents[2] / "pipelines"
ROWS = 300


def sample(name):
    lines = (PIPELINES / name / "sample.jsonl").read_text().splitlines()[:ROWS]
    return pd.DataFrame([json.loads(line) for line in lines])


def examples():
    for name in ["income", "penguins", "digits"]:
        rows = sample(name)
        # Several row groups, of which none ends where a batch does.
        rows.to_parquet(HERE / f"{name}.parquet", row_group_size=70, index=False)
        if name == "digits":
            pixels = pd.DataFrame(rows.pixels.tolist()).add_prefix("pixels_")
            rows = pd.concat([rows.drop(columns="pixels"), pixels], axis=1)
        rows.to_csv(HERE / f"{name}.csv", index=False)


def kinds():
    """Every kind of column that is read, with a null in the second row."""
    when = datetime.datetime(2024, 2, 29, 12, 0, 0, 500000, datetime.timezone.utc)
    columns = {
        "i8": pa.array([-1, None, 3], pa.int8()),
        "u8": pa.array([255, None, 3], pa.uint8()),
        "u32": pa.array([2**32 - 1, None, 3], pa.uint32()),
        "u64": pa.array([2**64 - 1, None, 3], pa.uint64()),
        "i64": pa.array([-(2**63), None, 3], pa.int64()),
        "f32": pa.array([np.float32(0.1), None, float("nan")], pa.float32()),
        "f64": pa.array([0.1, None, 1e300], pa.float64()),
        "bool": pa.array([True, None, False]),
        "text": pa.array(["a\"b\n", None, ""]),
        "category": pa.array(["x", None, "x"]).dictionary_encode(),
        "date": pa.array([when.date(), None, datetime.date(1969, 12, 31)]),
        "ms": pa.array([when, None, when], pa.timestamp("ms", "UTC")),
        "local": pa.array([when.replace(tzinfo=None), None, when.replace(tzinfo=None)], pa.timestamp("us")),
        "list": pa.array([[1, 2], None, []], pa.list_(pa.int64())),
        "gaps": pa.array([["a", None], None, [None]], pa.list_(pa.string())),
        "nested": pa.array([[[1.5], [2, 3]], None, [[]]], pa.list_(pa.list_(pa.float32()))),
        "bytes": pa.array([b"\x00\xff", None, b""], pa.binary()),
    }
    table = pa.table(columns)
    pq.write_table(table, HERE / "kinds.parquet", compression="zstd", version="2.6")
    pq.write_table(table, HERE / "kinds_v2.parquet", compression="none", data_page_version="2.0", use_dictionary=False)
    odd = {
        "decimal": pa.array([None], pa.decimal128(10, 2)),
        "struct": pa.array([{"a": 1, "b": 2}]),
        "latin": pa.array([b"\xe9"], pa.binary()),
        "x": pa.array([1.0]),
    }
    pq.write_table(pa.table(odd), HERE / "odd.parquet")


def codecs():
    """Compressed as forebay does not read it."""
    for codec in ["gzip", "brotli", "lz4"]:
        pq.write_table(pa.table({"a": pa.array([1.0, 2.0])}), HERE / f"{codec}.parquet", compression=codec)


examples()
kinds()
codecs()
