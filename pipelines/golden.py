"""Writes golden.jsonl and golden.expected.jsonl of the examples: some of their sample rows, and what Python's
onnxruntime answers to them (expected.jsonl) in the form of the pipeline's results. Needs only Python."""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent


def read(name, file):
    return [json.loads(line) for line in (HERE / name / file).read_text(encoding="utf-8").splitlines()]


def write(path, rows):
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        for row in rows:
            out.write(json.dumps(row, separators=(",", ":"), allow_nan=False, ensure_ascii=False) + "\n")


RESULTS = {
    "income": lambda row, answer: {"id": row["id"], "employed": row["employed"], "label": answer["label"],
                                   "score": answer["probabilities"][1]},
    "digits": lambda row, answer: {"digit": answer["label"], "probabilities": answer["probabilities"]},
    "penguins": lambda row, answer: {"id": row["id"], "species": row["species"], "label": answer["output_label"],
                                     "scores": answer["output_probability"]},
    "filetype": lambda row, answer: {"label": answer["label"], "score": answer["score"]},
    "sentences": lambda row, answer: {"id": row["id"], "vector": answer["vector"]},
    "textline": lambda row, answer: {"id": row["id"], "classes": padded(answer["classes"]),
                                     "length": len(answer["classes"]), "score": answer["score"]},
}
# How a message is written, where it is not the row itself.
MESSAGES = {"filetype": lambda row: {"base64": row["file"]}}
# Large models cost more at each start, and their results are long.
FEW = {"filetype": 16, "sentences": 4, "textline": 4}


def padded(classes):
    """To the 40 steps of a picture."""
    return classes + [-1] * (40 - len(classes))


for name, result in RESULTS.items():
    rows, answers = read(name, "sample.jsonl"), read(name, "expected.jsonl")
    if name == "textline":
        # Pictures of another height are resized by other rules in the package that answered.
        same = [at for at, answer in enumerate(answers) if answer["height"] == 48]
        rows, answers = [rows[at] for at in same], [answers[at] for at in same]
    every = max(1, len(rows) // FEW.get(name, 50))
    write(HERE / name / "golden.jsonl", map(MESSAGES.get(name, lambda row: row), rows[::every]))
    write(HERE / name / "golden.expected.jsonl", map(result, rows[::every], answers[::every]))
