"""What benches/steps.rs puts in front of a model of thirty columns, with scikit-learn and with numpy alone: medians of
sixty turns, in microseconds of a batch, on one thread.

    pip install numpy scikit-learn pandas && python benches/steps.py
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import statistics
import time

import numpy as np
import pandas as pd
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

TEXTS = ["mortgage", "own", "rent", "with relatives, for free"]
TURNS = 60


def numbers(rows, columns):
    row, column = np.arange(rows)[:, None], np.arange(columns)[None, :]
    return ((row * 7 + column * 13) % 97).astype(np.float32) / np.float32(10)


def texts(rows, columns):
    return np.array(
        [[TEXTS[(row * 5 + row // 3 + at) % 4] for at in range(columns)] for row in range(rows)],
        dtype=object,
    )


def each(start, columns):
    return (start + np.arange(columns) / 10).astype(np.float32)


def with_numpy(table, words, clip, kind):
    columns = table.shape[1]
    fill, center, spread = each(3.0, columns), each(4.0, columns), each(2.0, columns)
    low, high = each(0.5, columns), each(7.0, columns)
    codes = {text: code for code, text in enumerate(TEXTS)}
    hot = np.vstack([np.eye(4, dtype=np.float32), np.zeros((1, 4), np.float32)])

    def run():
        known = np.where(np.isnan(table), fill, table)
        if clip:
            known = np.clip(known, low, high)
        scaled = (known - center) / spread
        if kind is None:
            return scaled
        found = np.array([[codes.get(text, -1) for text in row] for row in words])
        if kind == "ordinal":
            return np.concatenate([scaled, found.astype(np.float32)], axis=1)
        return np.concatenate([scaled, hot[found].reshape(len(words), -1)], axis=1)

    return run


def with_sklearn(table, words, clip, kind):
    columns = table.shape[1]
    names = [f"x{at}" for at in range(columns)]
    frame = pd.DataFrame(table, columns=names)
    steps = [SimpleImputer()]
    if clip:
        low, high = each(0.5, columns), each(7.0, columns)
        steps.append(FunctionTransformer(lambda x: np.clip(x, low, high)))
    parts = [("numbers", make_pipeline(*steps, StandardScaler()), names)]
    if kind is not None:
        named = [f"t{at}" for at in range(words.shape[1])]
        frame[named] = words
        lists = [TEXTS] * len(named)
        if kind == "ordinal":
            unknown = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
            encoder = OrdinalEncoder(categories=lists, dtype=np.float32, **unknown)
        else:
            known = {"handle_unknown": "ignore", "sparse_output": False}
            encoder = OneHotEncoder(categories=lists, dtype=np.float32, **known)
        parts.append(("texts", encoder, named))
    transformer = ColumnTransformer(parts).fit(frame)
    return lambda: transformer.transform(frame)


def median(work, times):
    took = []
    for _ in range(TURNS):
        begin = time.perf_counter()
        for _ in range(times):
            work()
        took.append((time.perf_counter() - begin) / times)
    return statistics.median(took) * 1e6


SIDES = {
    "impute, scale": (30, 0, False, None),
    "impute, clip, scale": (30, 0, True, None),
    "impute, scale, ordinal": (25, 5, False, "ordinal"),
    "impute, scale, one_hot": (10, 5, False, "one_hot"),
}

print("numpy", np.__version__, "and scikit-learn", sklearn.__version__)
print("| with | rows |", " | ".join(SIDES), "|")
print("|---|--:|" + "--:|" * len(SIDES))
for name, make, times in (("numpy", with_numpy, 50), ("ColumnTransformer", with_sklearn, 2)):
    for rows in (64, 512):
        cells = []
        for columns, words, clip, kind in SIDES.values():
            work = make(numbers(rows, columns), texts(rows, words), clip, kind)
            cells.append(f"{median(work, times):.1f}")
        print(f"| {name} | {rows} |", " | ".join(cells), "|")
