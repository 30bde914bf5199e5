"""Writes tests/data/hanging/model.onnx: a model that never ends on some rows.

Input x, one float a row; output y = 2 x. It counts to the largest x of the batch
first, so a row of 1e15 keeps it busy for years: the row that brings a service down.

Run: pip install onnx && python tests/data/make_hanging.py
"""

from pathlib import Path

from onnx import TensorProto as T
from onnx import checker
from onnx import helper as h

OUT = Path(__file__).resolve().parent / "hanging" / "model.onnx"


def constant(name, dtype, value):
    return h.make_node("Constant", [], [name], value=h.make_tensor(name, dtype, [], [value]))


body = h.make_graph(
    [
        constant("one", T.FLOAT, 1.0),
        h.make_node("Add", ["count_in", "one"], ["count_out"]),
        h.make_node("Identity", ["go_in"], ["go_out"]),
    ],
    "count",
    [
        h.make_tensor_value_info("i", T.INT64, []),
        h.make_tensor_value_info("go_in", T.BOOL, []),
        h.make_tensor_value_info("count_in", T.FLOAT, []),
    ],
    [
        h.make_tensor_value_info("go_out", T.BOOL, []),
        h.make_tensor_value_info("count_out", T.FLOAT, []),
    ],
)
graph = h.make_graph(
    [
        h.make_node("ReduceMax", ["x"], ["largest"], keepdims=0),
        h.make_node("Cast", ["largest"], ["times"], to=T.INT64),
        constant("go", T.BOOL, True),
        constant("zero", T.FLOAT, 0.0),
        h.make_node("Loop", ["times", "go", "zero"], ["counted"], body=body),
        # The result of the loop is used, so that it is not left out.
        h.make_node("Mul", ["counted", "zero"], ["nothing"]),
        h.make_node("Add", ["x", "x"], ["twice"]),
        h.make_node("Add", ["twice", "nothing"], ["y"]),
    ],
    "hanging",
    [h.make_tensor_value_info("x", T.FLOAT, ["rows"])],
    [h.make_tensor_value_info("y", T.FLOAT, ["rows"])],
)
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=8)
checker.check_model(model)
OUT.parent.mkdir(exist_ok=True)
OUT.write_bytes(model.SerializeToString())
