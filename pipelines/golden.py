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
}

for name, result in RESULTS.items():
    rows, answers = read(name, "sample.jsonl"), read(name, "expected.jsonl")
    every = max(1, len(rows) // 50)
    write(HERE / name / "golden.jsonl", rows[::every])
    write(HERE / name / "golden.expected.jsonl", map(result, rows[::every], answers[::every]))
