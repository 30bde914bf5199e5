"""Writes the models of the tests of wrong steps.

embedding.onnx   input_ids, attention_mask i64 [rows, 16] -> vector f32 [rows, 4]: the mean of the rows of
                 a table of 1,000 embeddings, looked up behind a Cast as some exporters have it
old.onnx         x f32 [rows, 2] -> y: the mask of a `Dropout` of operator set 9, which newer sets do not give
pair.onnx        X f32 [rows, 2] -> label i64, probabilities f32 [rows, 2]
same.onnx        X f32 [rows, 2] -> Y, the same
three.onnx       X f32 [rows, 3] -> Y, the same
whole.onnx       X i64 [rows, 2] -> sum i64
text.onnx        crop string [rows, 1], x f32 [rows, 1] -> name string, number f32

huge.png         a PNG whose header says 100,000 x 100,000 pixels, with nothing behind it
small.gif        a GIF of one pixel

Run: pip install onnx==1.23.2 protobuf==6.33.6 numpy==2.4.6 && python tests/data/step_faults/make.py
The same versions write the same bytes.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

HERE = Path(__file__).resolve().parent


def value(name, dtype, shape):
    return h.make_tensor_value_info(name, dtype, ["rows", *shape])


def save(name, nodes, inputs, outputs, constants, opset):
    graph = h.make_graph(nodes, name, inputs, outputs, [numpy_helper.from_array(array, key) for key, array in constants.items()])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", opset)], ir_version=8, producer_name="")
    onnx.checker.check_model(model)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def main():
    save(
        "embedding",
        [
            h.make_node("Cast", ["input_ids"], ["ids"], to=T.INT32),
            h.make_node("Gather", ["table", "ids"], ["words"]),
            h.make_node("Cast", ["attention_mask"], ["mask"], to=T.FLOAT),
            h.make_node("Unsqueeze", ["mask", "last"], ["weights"]),
            h.make_node("Mul", ["words", "weights"], ["kept"]),
            h.make_node("ReduceMean", ["kept"], ["vector"], axes=[1], keepdims=0),
        ],
        [value("input_ids", T.INT64, [16]), value("attention_mask", T.INT64, [16])],
        [value("vector", T.FLOAT, [4])],
        {"table": (np.arange(4000, dtype=np.float32).reshape(1000, 4) % 7), "last": np.array([-1], np.int64)},
        17,
    )
    save(
        "old",
        [
            h.make_node("Dropout", ["x"], ["kept", "mask"]),
            h.make_node("Add", ["kept", "mask"], ["both"]),
            h.make_node("ReduceSum", ["both"], ["y"], axes=[1], keepdims=0),
        ],
        [value("x", T.FLOAT, [2])],
        [h.make_tensor_value_info("y", T.FLOAT, ["rows"])],
        {},
        9,
    )
    save(
        "pair",
        [
            h.make_node("Softmax", ["X"], ["probabilities"], axis=1),
            h.make_node("ArgMax", ["X"], ["label"], axis=1, keepdims=0),
        ],
        [value("X", T.FLOAT, [2])],
        [h.make_tensor_value_info("label", T.INT64, ["rows"]), value("probabilities", T.FLOAT, [2])],
        {},
        17,
    )
    for name, width in [("same", 2), ("three", 3)]:
        nodes = [h.make_node("Identity", ["X"], ["Y"])]
        save(name, nodes, [value("X", T.FLOAT, [width])], [value("Y", T.FLOAT, [width])], {}, 17)
    save(
        "whole",
        [h.make_node("ReduceSum", ["X", "columns"], ["sum"], keepdims=0)],
        [value("X", T.INT64, [2])],
        [h.make_tensor_value_info("sum", T.INT64, ["rows"])],
        {"columns": np.array([1], np.int64)},
        17,
    )
    save(
        "text",
        [h.make_node("Squeeze", ["crop", "last"], ["name"]), h.make_node("Squeeze", ["x", "last"], ["number"])],
        [value("crop", T.STRING, [1]), value("x", T.FLOAT, [1])],
        [h.make_tensor_value_info("name", T.STRING, ["rows"]), h.make_tensor_value_info("number", T.FLOAT, ["rows"])],
        {"last": np.array([1], np.int64)},
        17,
    )
    (HERE / "huge.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )
    (HERE / "small.gif").write_bytes(
        bytes.fromhex("47494638396101000100800000ff0000ffffff2c00000000010001000002024401003b")
    )


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


if __name__ == "__main__":
    main()
