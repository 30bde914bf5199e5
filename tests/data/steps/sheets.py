"""Writes the files that tests/it/steps reads: cases of a step, with the answers of another library."""

import json
import math
import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent
NAMES = {"float32": "f32", "float64": "f64", "int32": "i32", "int64": "i64", "uint8": "u8", "bool": "bool"}


def dtype_name(array):
    """The name that pipeline files use; anything that is no number is text."""
    return NAMES.get(array.dtype.name, "string")


def element(value):
    """One element as JSON has it: null is NaN, and "inf" and "-inf" are what JSON lacks."""
    if isinstance(value, np.float32):
        value = float(str(value))  # the shortest digits that are the same f32
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        if value.is_integer() and abs(value) < 1e6 and not (value == 0 and math.copysign(1, value) < 0):
            return int(value)
    return value


def tensor(array, part=None, labels=None):
    """An input or an output: the first dimension of `array` is the row."""
    array = np.asarray(array)
    made = {} if part is None else {"part": part}
    made |= {"dtype": dtype_name(array), "shape": list(array.shape[1:])}
    if labels is not None:
        made["labels"] = list(labels)
    return made | {"values": [element(value) for value in array.ravel()]}


def plain(value):
    """Parameters as a pipeline file would write them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value]
    return element(value) if isinstance(value, (np.generic, float)) else value


def case(params, inputs, outputs, rtol=0.0, atol=0.0):
    """One case. `inputs` are arrays or what `tensor` gives; `outputs` an array, or a dictionary by part.

    Where both tolerances are 0 the answer must be the same to the last bit.
    """
    if not isinstance(outputs, dict) or "dtype" in outputs:
        outputs = {"": outputs}
    ready = [item if isinstance(item, dict) else tensor(item) for item in inputs]
    first = inputs[0]
    rows = first["rows"] if isinstance(first, dict) else np.asarray(first).shape[0]
    for item in ready:
        item.pop("rows", None)
    made = []
    for part, item in outputs.items():
        made.append({"part": part} | item if isinstance(item, dict) else tensor(item, part))
    for item in made:
        item.pop("rows", None)
    return {"params": plain(params), "rows": int(rows), "inputs": ready, "outputs": made, "rtol": rtol, "atol": atol}


def labelled(array, labels):
    """An array whose elements have names."""
    array = np.asarray(array)
    return tensor(array, labels=labels) | {"rows": array.shape[0]}


def write(step, against, cases, name=None):
    """Writes NAME.json (or STEP.json): one line for each case."""
    lines = ",\n".join(json.dumps(one, ensure_ascii=False, allow_nan=False) for one in cases)
    head = f'{{"step": {json.dumps(step)}, "against": {json.dumps(against)}, "cases": [\n'
    path = FOLDER / f"{name or step}.json"
    path.write_text(head + lines + "\n]}\n", encoding="utf-8")
    size = path.stat().st_size
    print(f"{path.name}: {len(cases)} cases, {size} bytes")
    if size > 60_000:
        raise SystemExit(f"{path.name} is larger than 60 kB: fewer rows or cases")
