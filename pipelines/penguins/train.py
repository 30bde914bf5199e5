"""Trains penguins/model.onnx and classifier.onnx, and writes sample.jsonl and expected.jsonl.

Data: the palmerpenguins package, 344 penguins, 11 of them with missing values.
The whole scikit-learn pipeline goes into the ONNX file: filling in what is
missing, scaling, one-hot encoding of the strings, and the classifier. classifier.onnx
is the classifier alone; what stands before it is printed, for pipeline.steps.yaml.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from palmerpenguins import load_penguins
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import number, predict, save, write_jsonl  # noqa: E402

STRINGS = ["island", "sex"]
NUMBERS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
LABEL = "species"
# What a missing string is before it reaches the model; pipeline.yaml's `default`.
MISSING = "unknown"


def print_steps(columns):
    """What pipeline.steps.yaml must say."""
    impute, scale = (step for _, step in columns.named_transformers_["numbers"].steps)
    print(f"impute: {impute.statistics_.tolist()}")
    print(f"scale: center {scale.mean_.tolist()}, scale {scale.scale_.tolist()}")
    impute, one_hot = (step for _, step in columns.named_transformers_["strings"].steps)
    print(f"impute: {impute.statistics_.tolist()}")
    print(f"one_hot: {[categories.tolist() for categories in one_hot.categories_]}")


def main():
    table = load_penguins()
    table["id"] = np.arange(len(table))
    incomplete = table[STRINGS + NUMBERS].isna().any(axis=1)
    table[STRINGS] = table[STRINGS].astype(object).fillna(MISSING)
    # Hold out 30 % of the complete rows, the same of each species, and 7 of the 11 incomplete.
    train, held_out = train_test_split(
        table[~incomplete], test_size=0.3, random_state=7, stratify=table[LABEL][~incomplete]
    )
    gaps_train, gaps_held_out = train_test_split(table[incomplete], test_size=7, random_state=7)
    train, held_out = pd.concat([train, gaps_train]), pd.concat([held_out, gaps_held_out])
    held_out = held_out.sort_values("id")

    model = make_pipeline(
        ColumnTransformer([
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
            ("strings", make_pipeline(
                SimpleImputer(missing_values=MISSING, strategy="most_frequent"),
                OneHotEncoder(handle_unknown="ignore"),
            ), STRINGS),
        ]),
        LogisticRegression(C=0.2, max_iter=1000),
    )
    model.fit(train[STRINGS + NUMBERS], train[LABEL])
    # One input for each column; ZipMap stays on, so the scores come out as maps.
    onnx_model = convert_sklearn(
        model, name="penguins", target_opset=17,
        initial_types=[(name, StringTensorType([None, 1])) for name in STRINGS]
        + [(name, FloatTensorType([None, 1])) for name in NUMBERS],
    )
    save(onnx_model, HERE / "model.onnx", "penguins")

    columns, classifier = model[0], model[-1]
    width = classifier.n_features_in_
    onnx_classifier = convert_sklearn(
        classifier, name="classifier", target_opset=17, initial_types=[("columns", FloatTensorType([None, width]))]
    )
    save(onnx_classifier, HERE / "classifier.onnx", "classifier")
    print_steps(columns)

    rows = held_out.to_dict("records")
    write_jsonl(HERE / "sample.jsonl", (
        {"id": row["id"]}
        | {name: None if row[name] == MISSING else row[name] for name in STRINGS}
        | {name: number(row[name]) for name in NUMBERS}
        | {LABEL: row[LABEL]}
        for row in rows
    ))
    feeds = {name: held_out[[name]].to_numpy(dtype=object) for name in STRINGS}
    feeds |= {name: held_out[[name]].to_numpy(dtype=np.float32) for name in NUMBERS}
    predictions = predict(HERE / "model.onnx", feeds)
    write_jsonl(HERE / "expected.jsonl", (
        {"id": row["id"]} | p for row, p in zip(rows, predictions)
    ))
    accuracy = np.mean([p["output_label"] == row[LABEL] for p, row in zip(predictions, rows)])
    same = np.mean(model.predict(held_out) == [p["output_label"] for p in predictions])
    print(f"penguins: {len(rows)} held-out rows ({incomplete[held_out.index].sum()} incomplete), "
          f"accuracy {accuracy:.4f}, labels equal to scikit-learn's: {same:.2%}")


if __name__ == "__main__":
    main()
