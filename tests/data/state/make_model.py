"""Writes mean.onnx: a running mean, the older values of which count less and less.

    pip install -r pipelines/requirements.txt && python tests/data/state/make_model.py

It takes `state` with the batch in its second dimension, as recurrent networks do, and `rate` as a single value:

    weight    = [1, 2, 3][kind]                 # a kind that is not there ends the run
    stateN[0] = state[0] * rate + weight * x
    stateN[1] = state[1] * rate + weight
    mean      = stateN[0] / stateN[1]
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64

nodes = [
    helper.make_node("Gather", ["weights", "kind"], ["weight"], axis=0),
    helper.make_node("Mul", ["x", "weight"], ["weighted"]),
    helper.make_node("Unsqueeze", ["weighted", "first"], ["weighted_row"]),
    helper.make_node("Unsqueeze", ["weight", "first"], ["weight_row"]),
    helper.make_node("Concat", ["weighted_row", "weight_row"], ["new"], axis=0),
    helper.make_node("Mul", ["state", "rate"], ["old"]),
    helper.make_node("Add", ["old", "new"], ["stateN"]),
    helper.make_node("Gather", ["stateN", "zero"], ["sum"], axis=0),
    helper.make_node("Gather", ["stateN", "one"], ["count"], axis=0),
    helper.make_node("Div", ["sum", "count"], ["mean"]),
]
constants = [
    numpy_helper.from_array(np.array([1, 2, 3], np.float32), "weights"),
    numpy_helper.from_array(np.array([0], np.int64), "first"),
    numpy_helper.from_array(np.array(0, np.int64), "zero"),
    numpy_helper.from_array(np.array(1, np.int64), "one"),
]
graph = helper.make_graph(
    nodes,
    "mean",
    [
        helper.make_tensor_value_info("x", FLOAT, ["batch"]),
        helper.make_tensor_value_info("kind", INT, ["batch"]),
        helper.make_tensor_value_info("state", FLOAT, [2, "batch"]),
        helper.make_tensor_value_info("rate", FLOAT, []),
    ],
    [
        helper.make_tensor_value_info("mean", FLOAT, ["batch"]),
        helper.make_tensor_value_info("stateN", FLOAT, [2, "batch"]),
    ],
    constants,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
checker.check_model(model)
Path(__file__).with_name("mean.onnx").write_bytes(model.SerializeToString(deterministic=True))
