"""Writes filetype/sample.jsonl and expected.jsonl, and the long lists in pipeline.yaml.

The sample is small files of many kinds: some of this repository, and some that are made here. What is expected is
what the magika package itself says about them, in its default mode (high confidence).

    make models && pip install magika==1.0.3 -r pipelines/requirements.txt && python pipelines/filetype/reference.py
"""

import base64
import json
import re
import sys
import textwrap
from collections import Counter
from pathlib import Path

import magika

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from common import number, write_jsonl  # noqa: E402
from files import made, of_repository  # noqa: E402

MODEL = HERE.parent.parent / ".models" / "magika"


def written(pipeline, name, values):
    """The pipeline file with these values in the list below `# NAME`."""
    lines = textwrap.wrap("[" + ", ".join(map(str, values)) + "]", 108, break_long_words=False)
    found = re.subn(rf"(?m)^( *)(# {name}\b.*\n *\w+:\n)((?:\1  .*\n)+)",
                    lambda found: found[1] + found[2] + "".join(f"{found[1]}  {line}\n" for line in lines), pipeline)
    assert found[1] == 1, f"pipeline.yaml has {found[1]} lists below `# {name}`"
    return found[0]


def write_lists():
    config = json.loads((MODEL / "config.json").read_text())
    kinds = json.loads((MODEL / "content_types.json").read_text())
    labels = config["target_labels_space"]
    said = [config["overwrite_map"].get(label, label) for label in labels]
    thresholds = [config["thresholds"].get(label, config["medium_confidence_threshold"]) for label in labels]
    # A class that reaches its threshold is the best one, as the probabilities sum to 1.
    assert min(thresholds) >= 0.5
    text = [index for index, label in enumerate(said) if kinds[label]["is_text"]]
    binary = [index for index, label in enumerate(said) if not kinds[label]["is_text"]]
    pipeline = (HERE / "pipeline.yaml").read_text()
    for name, values in [("thresholds", thresholds), ("text classes", text), ("binary classes", binary),
                         ("labels", said + ["txt", "unknown"])]:
        pipeline = written(pipeline, name, values)
    (HERE / "pipeline.yaml").write_text(pipeline)


def main():
    write_lists()
    detector = magika.Magika()
    samples, expected, reasons = [], [], Counter()
    for name, content in [*of_repository(), *made()]:
        result = detector.identify_bytes(content).prediction
        if result.dl.label == "undefined":
            print(f"{name}: too short for the model, left out")
            continue
        reasons[str(result.overwrite_reason)] += 1
        samples.append({"name": name, "file": base64.b64encode(content).decode()})
        expected.append({"name": name, "label": str(result.output.label), "score": number(round(result.score, 6))})
    write_jsonl(HERE / "sample.jsonl", samples)
    write_jsonl(HERE / "expected.jsonl", expected)
    kinds = Counter(row["label"] for row in expected)
    print(f"{len(samples)} files of {len(kinds)} kinds; {dict(reasons)}")
    print(", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))


if __name__ == "__main__":
    main()
