"""Writes the rows of the pipelines here, and the one model that has its weights in a file of its own.

Same versions, same bytes: `pip install numpy==2.4.6 onnx==1.22.0 && python tests/data/compile/make.py`.
"""

import base64
import json
import random
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
DATA = HERE.parent
ROWS = 16


def write(name, rows):
    with open(HERE / name / "rows.jsonl", "w", encoding="utf-8", newline="\n") as out:
        for row in rows:
            out.write(json.dumps(row, separators=(",", ":"), allow_nan=False, ensure_ascii=False) + "\n")


def model_rows(name):
    return [json.loads(line) for line in open(DATA / "models" / name / "rows.jsonl", encoding="utf-8")]


def numbered(rows):
    return [{"id": number} | row for number, row in enumerate(rows)]


def tables(random):
    for number in range(ROWS):
        yield {
            "id": number,
            "age": None if number % 5 == 3 else random.randint(18, 90),
            "hours": round(random.uniform(0, 60), 1),
            "state": random.choice(["NY", "CA", "TX", "WA"]),
            "level": random.choice(["low", "mid", "high", "none"]),
            "at": random.randint(0, 2_000_000_000),
        } | ({} if number % 4 == 1 else {"kids": random.randint(0, 4)})


def floats(random, *shape):
    if not shape:
        return round(random.gauss(0, 1), 4)
    return [floats(random, *shape[1:]) for _ in range(shape[0])]


def external():
    rng = np.random.default_rng(7)
    weights = rng.normal(size=(6, 3)).astype(np.float32)
    raw = weights.tobytes()
    (HERE / "external" / "weights.bin").write_bytes(raw)
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[6, 3])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "weights.bin", "offset": "0", "length": str(len(raw))}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    bias = numpy_helper.from_array(rng.normal(size=3).astype(np.float32), "b")
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"])],
        "external",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [tensor, bias],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (HERE / "external" / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))


def main():
    rows = random.Random(4)
    for name, model in [
        ("scaled", "mlp30"),
        ("around", "sk_groups"),
        ("zipmap", "lgbm_three_classes_zipmap"),
        ("zipmap_alone", "sk_columns_zipmap"),
        ("several", "sk_logreg"),
        ("types", "all_types"),
        ("fixed", "sk_batch8"),
        ("when", "sk_logreg"),
    ]:
        write(name, numbered(model_rows(model)))
    write("tabular", tables(rows))
    write("old", ({"id": n, "x": floats(rows, 3, 4)} for n in range(ROWS)))
    write("external", ({"id": n, "a": floats(rows, 4), "b": floats(rows), "c": floats(rows)} for n in range(ROWS)))
    texts = json.loads((DATA / "text" / "texts.json").read_text(encoding="utf-8"))
    texts = [text for text in texts["texts"] if 0 < len(text) < 400][:ROWS]
    write("text", ({"id": n, "title": text} for n, text in enumerate(texts)))
    pictures = ["photo.jpg", "rgb.png", "gray.jpg", "palette.png", "lossy.webp", "exif_6.jpg"]
    read = lambda folder, file: base64.b64encode((DATA / folder / file).read_bytes()).decode()
    write("image", ({"id": name, "picture": read("images", name)} for name in pictures))
    sounds = ["pcm16_1.wav", "pcm8_1.wav", "pcm24_1.wav", "float_1.wav"]
    write("audio", ({"id": name, "sound": read("audio", name)} for name in sounds))
    write("margin", (
        {"id": n, "yield": round(rows.uniform(40, 220), 1), "price": round(rows.uniform(3, 6), 2),
         "cost": round(rows.uniform(200, 900), 1)} for n in range(ROWS)
    ))
    external()


if __name__ == "__main__":
    main()
