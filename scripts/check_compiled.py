"""Runs what `forebay compile` writes in Python's onnxruntime, beside what `forebay run` publishes.

    python scripts/check_compiled.py target/debug/forebay

For every pipeline in tests/data/compile and every example in pipelines/: the files are written twice and
must be the same bytes, pass onnx.checker, have the digest that they say they have, and give, fed with
nothing but what their metadata says, what `forebay run` publishes, within 1e-6; and the lines of Python that
`forebay compile` prints must run. Needs onnx, onnxruntime and numpy; `make test-compiled` brings them.
"""

import base64
import hashlib
import json
import math
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

ROOT = Path(__file__).resolve().parent.parent
NEAR = 1e-6
NUMPY = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64, "u8": np.uint8,
         "bool": np.bool_, "string": object}


def forebay(*args):
    done = subprocess.run([sys.argv[1], *map(str, args)], capture_output=True, text=True, cwd=ROOT)
    if done.returncode != 0:
        raise SystemExit(f"forebay {' '.join(map(str, args))}:\n{done.stderr}")
    return done.stdout


def examples(folder):
    """The example pipelines, from file to file."""
    named = [(name, "pipeline") for name in
             ("income", "digits", "penguins", "filetype", "sentences", "textline", "margin")]
    for name, file in [*named, ("penguins", "pipeline.steps"), ("margin", "pipeline.model")]:
        original = ROOT / "pipelines" / name / f"{file}.yaml"
        text = original.read_text(encoding="utf-8")
        for block in ("source", "sink", "dead_letter", "http", "golden"):
            text = re.sub(rf"^{block}:.*\n(?:[ #].*\n)*", "", text, flags=re.M)
        # A line of a file is no tensor.
        text = re.sub(r"^decode:\n  tensor:.*\n", "fields: { pixels: { dtype: f32, shape: [64] } }\n", text, flags=re.M)
        text = re.sub(r"^decode:\n  bytes:.*\n", "", text, flags=re.M)
        rows = original.parent / "sample.jsonl"
        # Results come in any order, and are told by this.
        if "pass:" not in text:
            key = told_by(lines(rows.read_text(encoding="utf-8")))
            text = text.replace("encode:\n  json:\n", f"encode:\n  json:\n    pass: [{key}]\n")
        text = re.sub(r"path: (\w+\.onnx)", rf"path: {original.parent}/\1", text)
        text = text.replace("../../.models/", f"{ROOT / '.models'}/")
        text += f'source: {{ file: {{ path: {rows} }} }}\nsink: {{ file: {{ path: "-" }} }}\n'
        name += file.removeprefix("pipeline")
        changed = Path(folder) / f"{name}.yaml"
        changed.write_text(text, encoding="utf-8")
        yield name, original, changed, rows


def made():
    for pipeline in sorted((ROOT / "tests/data/compile").glob("*/pipeline.yaml")):
        yield pipeline.parent.name, pipeline, pipeline, pipeline.parent / "rows.jsonl"


def told_by(rows):
    """The key that tells the rows of a sample apart."""
    return "id" if "id" in rows[0] else "name"


def lines(text):
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def check_file(path):
    """The checker's word, the digest, and what goes in and out."""
    onnx.checker.check_model(str(path))
    model = onnx.load(str(path))
    meta = {entry.key: entry.value for entry in model.metadata_props}
    kept = [entry for entry in model.metadata_props if not entry.key.startswith("forebay.")]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    raw = model.SerializeToString(deterministic=True)
    texts = [meta.get(f"forebay.{key}", "") for key in ("inputs", "outputs", "when")]
    digest = hashlib.sha256(raw + "".join(texts).encode()).hexdigest()
    assert digest == meta["forebay.digest"], f"{path}: its digest is {digest}, and it says {meta['forebay.digest']}"
    return [json.loads(text or "null") for text in texts]


def flat(value):
    return [part for parts in value for part in flat(parts)] if isinstance(value, list) else [value]


def column(about, rows, results, made):
    """One column for all rows, as [rows, width]."""
    if "output" in about:
        return made[about["output"]].reshape(len(rows), -1)
    name = about["field"]
    # What a step on the host makes is among the results, under its own name.
    values = [result[name] for result in results] if "made_of" in about else [row.get(name) for row in rows]
    missing = np.nan if about.get("nullable") else about.get("default")
    width = math.prod(about["shape"])
    full = [[missing] * width if value is None else flat(value) for value in values]
    return np.array(full, NUMPY[about["dtype"]]).reshape(len(rows), -1)


def run(path, inputs, rows, results, made):
    """All outputs of one file for all rows, by their names in the pipeline file."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = {}
    for about in inputs:
        dtype = NUMPY[about["dtype"]]
        parts = [column(part, rows, results, made).astype(dtype) for part in about["columns"]]
        feeds[about["name"]] = np.concatenate(parts, 1).reshape(len(rows), *about["shape"])
    fixed = session.get_inputs()[0].shape[0]
    most = fixed if isinstance(fixed, int) else len(rows)
    names = [output.name for output in session.get_outputs()]
    all_parts = []
    for start in range(0, len(rows), most):
        part = {name: values[start:start + most] for name, values in feeds.items()}
        count = len(next(iter(part.values())))
        part = {name: np.concatenate([v] + [v[-1:]] * (most - count)) for name, v in part.items()}
        all_parts.append([value[:count] for value in session.run(names, part)])
    return {name: np.concatenate(parts) for name, parts in zip(names, zip(*all_parts))}


def difference(found, expected):
    """How far apart; infinite where they are of another kind."""
    if isinstance(expected, list):
        same = len(expected) == len(found)
        return max((difference(f, e) for f, e in zip(found, expected)), default=0.0) if same else math.inf
    if np.ndim(found) > 0 and np.size(found) == 1:
        found = np.reshape(found, ())[()]
    if found is None:
        return 0.0 if expected is None else math.inf
    if expected is None:
        return 0.0 if not np.isfinite(found) else math.inf
    if isinstance(expected, (str, bool)):
        return 0.0 if found == expected else math.inf
    if isinstance(found, np.float32):
        found = float(str(found))
    return abs(float(found) - expected)


def of_rows(rows, results, key):
    """The results in the order of the rows."""
    by_key = {result[key]: result for result in results}
    return [by_key[row[key]] for row in rows]


def check(name, original, runnable, rows_file, folder):
    out, again = Path(folder) / name, Path(folder) / f"{name}-again"
    listing = json.loads(forebay("compile", original, "-o", out, "--json"))
    printed = forebay("compile", original, "-o", again)
    rows = lines(rows_file.read_text(encoding="utf-8"))
    results = lines(forebay("run", runnable, "--log", "error"))
    assert len(results) == len(rows), f"{name}: {len(results)} results for {len(rows)} rows"
    key = told_by(rows)
    results = of_rows(rows, results, key)
    columns = [column for file in listing["files"] for about in file["inputs"] for column in about["columns"]]
    hosts = {column["field"] for column in columns if "made_of" in column}
    if not hosts <= results[0].keys():
        # What steps on the host make is written by another command.
        done = forebay("transform", runnable, "-i", rows_file, "-o", "-", "--outputs", ",".join(sorted(hosts)))
        fields = of_rows(rows, lines(done), key)
        results = [{**field, **result} for field, result in zip(fields, results)]
    made, worst, compared = {}, 0.0, 0
    for file in listing["files"]:
        path = Path(file["file"])
        assert path.read_bytes() == (again / path.name).read_bytes(), f"{path}: other bytes the second time"
        inputs, outputs, when = check_file(path)
        found = run(path, inputs, rows, results, made)
        runs = np.ones(len(rows), bool)
        for condition in when["all"] if when else []:
            runs &= made[condition].reshape(-1)
        for output in outputs:
            values = found[output["name"]]
            if not runs.all():
                values = values.astype(object)
                values[~runs] = when["otherwise"]
            assert list(values.shape[1:]) == output["shape"], f"{path}: {output['name']} is {values.shape}"
            made[output["output"]] = values
            for published in output["published"]:
                for value, result in zip(values, results):
                    expected = result[published["key"]]
                    if published["element"] is not None:
                        value = value.reshape(-1)[published["element"]]
                    elif output["labels"]:
                        assert list(expected) == output["labels"], f"{path}: {expected}"
                        expected = list(expected.values())
                    worst = max(worst, difference(value, expected))
                    compared += 1
    assert compared >= len(rows), f"{name}: {compared} values of {len(rows)} rows were compared"
    snippet = textwrap.dedent(printed.split("with made-up values:\n", 1)[1])
    exec(compile(snippet, name, "exec"), {"print": lambda *made: None})
    return len(listing["files"]), len(rows), worst


def check_held(folder):
    """The voice example: a row at a time, with what is held of the row before for the same speaker."""
    original = ROOT / "pipelines/voice/pipeline.yaml"
    text = original.read_text(encoding="utf-8")
    for block in ("source", "sink", "dead_letter", "http", "decode"):
        text = re.sub(rf"^{block}:.*\n(?:[ #].*\n)*", "", text, flags=re.M)
    text = re.sub(r"^order_by:.*", "order_by: speaker", text, flags=re.M)
    text = text.replace("fields:\n", "fields:\n  speaker: { dtype: string }\n")
    text = text.replace("encode:\n  json:\n", "encode:\n  json:\n    pass: [speaker, number]\n")
    text = text.replace("../../.models/", f"{ROOT / '.models'}/")
    sample = original.parent / "sample.jsonl"
    text += f'source: {{ file: {{ path: {sample} }} }}\nsink: {{ file: {{ path: "-" }} }}\n'
    runnable = Path(folder) / "voice.yaml"
    runnable.write_text(text, encoding="utf-8")
    rows = lines(sample.read_text(encoding="utf-8"))
    results = {(r["speaker"], r["number"]): r for r in lines(forebay("run", runnable, "--log", "error"))}
    assert len(results) == len(rows), f"voice: {len(results)} results for {len(rows)} rows"
    listing = json.loads(forebay("compile", original, "-o", Path(folder) / "voice", "--json"))
    (path,) = (Path(file["file"]) for file in listing["files"])
    inputs, outputs, _ = check_file(path)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst, held = 0.0, {}
    for row in rows:
        known = held.setdefault(row["speaker"], {})
        samples = np.frombuffer(base64.b64decode(row["chunk"]), "<i2").astype(np.float32) / 32768
        feeds = {}
        for about in inputs:
            parts = [known.get(part["state"], np.full(part["shape"], part["initial"], NUMPY[part["dtype"]])).reshape(-1)
                     if "state" in part else samples for part in about["columns"]]
            feeds[about["name"]] = np.concatenate(parts).reshape(1, *about["shape"])
        found = session.run([output["name"] for output in outputs], feeds)
        for output, values in zip(outputs, found):
            known.update({name: values[0] for name in output.get("held", [])})
            for published in output["published"]:
                expected = results[row["speaker"], row["number"]][published["key"]]
                worst = max(worst, difference(values.reshape(-1)[published["element"]], expected))
    assert set(held) == {row["speaker"] for row in rows} and all(len(known) == 2 for known in held.values())
    return 1, len(rows), worst


def main():
    ort.set_default_logger_severity(3)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for case in [*examples(folder), *made()]:
            files, rows, worst = check(*case, folder)
            failed |= not worst <= NEAR
            print(f"{case[0]:14} {files} file{'s' if files > 1 else ' '} {rows:5} rows, largest difference {worst:.2e}")
        files, rows, worst = check_held(folder)
        failed |= not worst <= NEAR
        print(f"{'voice':14} {files} file  {rows:5} rows, largest difference {worst:.2e}")
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
