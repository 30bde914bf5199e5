"""Trains digits/model.onnx and writes sample.jsonl and expected.jsonl.

Data: scikit-learn's copy of the UCI handwritten digits: 1,797 images of 8 x 8
pixels with 17 grey levels (0 to 16). A quarter of them is held out.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import number, predict, save, write_jsonl  # noqa: E402

SAMPLE_ROWS = 500


def main():
    pixels, digits = load_digits(return_X_y=True)
    pixels = pixels.astype(np.float32)
    ids = np.arange(len(pixels))
    train, held_out = train_test_split(
        ids, test_size=SAMPLE_ROWS, stratify=digits, random_state=7
    )

    model = make_pipeline(
        MinMaxScaler(),
        MLPClassifier(hidden_layer_sizes=(64, 32), alpha=1e-3, max_iter=400, random_state=7),
    )
    model.fit(pixels[train], digits[train])
    onnx_model = convert_sklearn(
        model, name="digits", target_opset=17, options={"zipmap": False},
        initial_types=[("pixels", FloatTensorType([None, 64]))],
    )
    save(onnx_model, HERE / "model.onnx", "digits")

    X, y = pixels[held_out], digits[held_out]
    write_jsonl(HERE / "sample.jsonl", (
        {"id": int(id_), "pixels": [number(v) for v in row], "digit": int(digit)}
        for id_, row, digit in zip(held_out, X, y)
    ))
    predictions = predict(HERE / "model.onnx", {"pixels": X})
    write_jsonl(HERE / "expected.jsonl", (
        {"id": int(id_)} | p for id_, p in zip(held_out, predictions)
    ))
    accuracy = np.mean([p["label"] == digit for p, digit in zip(predictions, y)])
    print(f"digits: {len(X)} held-out rows, accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
