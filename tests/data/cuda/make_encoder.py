"""Writes encoder.onnx: two layers of an encoder as exporters write them, with few numbers (onnx, numpy)."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TOKENS, HIDDEN, HEADS, INNER, WORDS, LAYERS = 8, 16, 2, 32, 10, 2
random = np.random.default_rng(7)
nodes, constants = [], []


def constant(name, value):
    constants.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def weights(name, *shape, scale=0.3):
    return constant(name, (random.standard_normal(shape) * scale).astype(np.float32))


def node(op, inputs, output, **attributes):
    nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
    return output


def linear(x, name, rows, columns):
    made = node("MatMul", [x, weights(f"{name}.w", rows, columns)], f"{name}.mm")
    return node("Add", [weights(f"{name}.b", columns), made], f"{name}.out")


def norm(x, name):
    one = constant(f"{name}.g", (1 + random.standard_normal(HIDDEN) * 0.1).astype(np.float32))
    return node("LayerNormalization", [x, one, weights(f"{name}.b", HIDDEN)], f"{name}.out", axis=-1, epsilon=1e-5)


def heads(x, name, order):
    split = node("Reshape", [x, "by_heads"], f"{name}.split")
    return node("Transpose", [split], f"{name}.heads", perm=order)


constant("by_heads", np.array([0, 0, HEADS, HIDDEN // HEADS], dtype=np.int64))
constant("flat", np.array([0, 0, HIDDEN], dtype=np.int64))
constant("axes", np.array([1, 2], dtype=np.int64))
for name, number in [("one", 1), ("half", 0.5), ("root2", 2**0.5), ("far", -10000), ("root", (HIDDEN // HEADS) ** 0.5)]:
    constant(name, np.float32(number))

numbers = node("Cast", ["mask"], "numbers", to=TensorProto.FLOAT)
wide = node("Unsqueeze", [numbers, "axes"], "wide")
hidden = node("Sub", ["one", wide], "hidden")
added = node("Mul", [hidden, "far"], "added")
embedded = node("Gather", [weights("words", WORDS, HIDDEN, scale=1), "ids"], "embedded")
placed = node("Add", [embedded, weights("places", TOKENS, HIDDEN)], "placed")
x = norm(placed, "start")
for layer in range(LAYERS):
    at = f"layer{layer}"
    q = heads(linear(x, f"{at}.q", HIDDEN, HIDDEN), f"{at}.q", [0, 2, 1, 3])
    k = heads(linear(x, f"{at}.k", HIDDEN, HIDDEN), f"{at}.k", [0, 2, 3, 1])
    v = heads(linear(x, f"{at}.v", HIDDEN, HIDDEN), f"{at}.v", [0, 2, 1, 3])
    scores = node("Div", [node("MatMul", [q, k], f"{at}.qk"), "root"], f"{at}.scores")
    parts = node("Softmax", [node("Add", [scores, added], f"{at}.masked")], f"{at}.parts", axis=-1)
    back = node("Transpose", [node("MatMul", [parts, v], f"{at}.pv")], f"{at}.back", perm=[0, 2, 1, 3])
    context = node("Reshape", [back, "flat"], f"{at}.context")
    x = norm(node("Add", [linear(context, f"{at}.o", HIDDEN, HIDDEN), x], f"{at}.sum"), f"{at}.norm")
    up = linear(x, f"{at}.up", HIDDEN, INNER)
    erf = node("Erf", [node("Div", [up, "root2"], f"{at}.div")], f"{at}.erf")
    product = node("Mul", [up, node("Add", [erf, "one"], f"{at}.plus")], f"{at}.times")
    gelu = node("Mul", [product, "half"], f"{at}.gelu")
    x = norm(node("Add", [linear(gelu, f"{at}.down", INNER, HIDDEN), x], f"{at}.sum2"), f"{at}.norm2")
node("ReduceMean", [x], "pooled", axes=[1], keepdims=0)
first = node("Gather", [x, constant("zero", np.int64(0))], "first", axis=1)
node("Tanh", [linear(first, "pool", HIDDEN, HIDDEN)], "pool")

inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", TOKENS]) for name in ("ids", "mask")]
outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", HIDDEN]) for name in ("pooled", "pool")]
graph = helper.make_graph(nodes, "encoder", inputs, outputs, constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, Path(__file__).with_name("encoder.onnx"))
