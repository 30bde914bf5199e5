"""Writes the small models of old operator sets in this folder, and checks what they become.

    pip install onnx==1.23.2 onnxruntime==1.31.1
    python tests/data/raise/make_raise.py           # writes NAME.onnx
    python tests/data/raise/make_raise.py --check [FOLDER]
                                                    # after the tests: checks the raised models (in target/tmp/raise)

Every operator that changed from set 7 to 13 must be in a model of each set in which it had another form, or in the list
of those that only took on more types.
"""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

HERE = pathlib.Path(__file__).parent
RAISED = HERE.parents[2] / "target" / "tmp" / "raise"
F, I, B, D, H = T.FLOAT, T.INT64, T.BOOL, T.DOUBLE, T.FLOAT16


def const(name, values, dtype=np.float32):
    return numpy_helper.from_array(np.array(values, dtype), name)


def info(name, kind, shape):
    return h.make_tensor_value_info(name, kind, shape)


def node(op, inputs, outputs="y", **attributes):
    return h.make_node(op, inputs.split(","), outputs.split(","), **attributes)


def runs(model):
    """What a model gives for zeros."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    kinds = {"tensor(float)": np.float32, "tensor(double)": np.float64}
    feeds = {each.name: np.zeros(each.shape, kinds[each.type]) for each in session.get_inputs()}
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))


CASES = {}


def case(name, opsets, nodes, inputs, outputs="y", constants=(), kinds=None):
    """A model at each of these sets: inputs are {name: shape} or {name: (kind, shape)}."""
    kinds = kinds or {}
    for opset in opsets:
        declared = []
        for key, shape in inputs.items():
            kind, shape = shape if isinstance(shape, tuple) else (F, shape)
            declared.append(info(key, kind, shape))
        outs = [info(key, kinds.get(key, F), None) for key in outputs.split(",")]
        graph = h.make_graph(nodes if isinstance(nodes, list) else [nodes], "g", declared, outs, list(constants))
        model = h.make_model(graph, opset_imports=[h.make_opsetid("", opset)], producer_name="forebay tests")
        model.ir_version = 7
        model = onnx.shape_inference.infer_shapes(model)
        for output in model.graph.output:
            if not output.type.tensor_type.HasField("shape"):
                rank = 0 if name.startswith("refused") else runs(model)[output.name].ndim
                output.type.tensor_type.shape.SetInParent()
                for at in range(rank):
                    output.type.tensor_type.shape.dim.add().dim_param = f"{output.name}{at}"
        onnx.checker.check_model(model)
        CASES[f"{name}_{opset}"] = model


ALL = range(7, 13)
X = {"x": [2, 3, 4]}
IMAGE = {"x": [1, 2, 5, 6]}

# Attributes that became inputs.
case("squeeze", [7, 11, 12], node("Squeeze", "x", axes=[0, 2]), {"x": [1, 3, 1]})
case("squeeze_all", [7, 12], node("Squeeze", "x"), {"x": [1, 3, 1]})
case("squeeze_negative", [11], node("Squeeze", "x", axes=[-1]), {"x": [1, 3, 1]})
case("unsqueeze", [7, 11, 12], node("Unsqueeze", "x", axes=[0, 3]), X)
case("reduce_sum", [7, 11, 12], node("ReduceSum", "x", axes=[1], keepdims=0), X)
case("reduce_sum_all", [7, 12], node("ReduceSum", "x"), X)
case("split", [7, 11, 12], node("Split", "x", "y,z", axis=1, split=[1, 2]), X, "y,z")
case("split_even", [7, 12], node("Split", "x", "y,z", axis=2), X, "y,z")
case("slice", [7, 9], node("Slice", "x", axes=[1, 2], starts=[1, -3], ends=[9999, -1]), X)
case("slice_all", [7], node("Slice", "x", starts=[0, 1], ends=[1, 3]), X)
case("slice_inputs", [10, 11], node("Slice", "x,s,e,a,t"), X,
     constants=[const("s", [3], np.int64), const("e", [0], np.int64), const("a", [2], np.int64), const("t", [-2], np.int64)])
case("pad", [7, 10], node("Pad", "x", pads=[0, 1, 0, 1, 0, 2], value=1.5), X)
case("pad_zero", [7], node("Pad", "x", pads=[0, 1, 0, 1, 0, 2]), X)
case("pad_double", [10], node("Pad", "x", pads=[0, 1, 1, 0], value=0.1), {"x": (D, [2, 3])}, kinds={"y": D})
case("pad_reflect", [7, 10], node("Pad", "x", mode="reflect", pads=[0, 1, 1, 0, 1, 2]), X)
case("pad_edge", [10], node("Pad", "x", mode="edge", pads=[0, 1, 1, 0, 1, 2]), X)
case("pad_inputs", [11, 12], node("Pad", "x,p,v"), X, constants=[const("p", [0, 1, 0, 1, 0, 2], np.int64), const("v", 2.5)])
case("clip", [7, 10], node("Clip", "x", min=-0.3, max=0.4), X)
case("clip_min", [7, 10], node("Clip", "x", min=0.0), X)
case("clip_none", [7], node("Clip", "x"), X)
case("clip_inputs", [11, 12], node("Clip", "x,lo,hi"), X, constants=[const("lo", -0.2), const("hi", 0.2)])
case("clip_after", [10], [node("Cast", "x", "c", to=F), node("Relu", "c", "r"), node("Clip", "r", max=0.4)], {"x": (D, [2, 3])})
case("top_k", [7, 9], node("TopK", "x", "y,z", k=2, axis=1), X, "y,z", kinds={"z": I})
case("top_k_input", [10, 11], node("TopK", "x,k", "y,z"), X, "y,z", constants=[const("k", [3], np.int64)], kinds={"z": I})
case("dropout", [7, 9, 10, 11], node("Dropout", "x", ratio=0.3), X)
case("dropout_mask", [7, 10], [node("Dropout", "x", "d,m", ratio=0.3), node("Neg", "d")], X)
case("dropout_input", [12], node("Dropout", "x,r"), X, constants=[const("r", 0.3)])
case("upsample", [7, 8], node("Upsample", "x", mode="nearest", scales=[1.0, 1.0, 2.0, 1.5]), IMAGE)
case("upsample_linear", [7], node("Upsample", "x", mode="linear", scales=[1.0, 1.0, 2.0, 1.5]), IMAGE)
for mode in ("nearest", "linear"):
    case(f"upsample_input_{mode}", [9], node("Upsample", "x,s", mode=mode), IMAGE, constants=[const("s", [1, 1, 2.3, 3])])

# The same words with another meaning.
for op in ("Softmax", "LogSoftmax", "Hardmax"):
    name = op.lower()
    case(name, ALL, node(op, "x"), X)
    case(f"{name}_first", [7, 12], node(op, "x", axis=0), X)
    case(f"{name}_last", [7, 12], node(op, "x", axis=2), X)
    case(f"{name}_matrix", [9], node(op, "x"), {"x": [4, 5]})
    case(f"{name}_vector", [9], node(op, "x", axis=0), {"x": [5]})
    case(f"{name}_negative", [11], node(op, "x", axis=-2), X)
    case(f"{name}_behind", [8], [node("Flatten", "x", "f"), node("Relu", "f", "r"), node(op, "r")], X)
for mode in ("nearest", "linear"):
    for what, scales in (("larger", [1, 1, 2.3, 3]), ("smaller", [1, 1, 0.6, 0.4])):
        case(f"resize_{mode}_{what}", [10], node("Resize", "x,s", mode=mode), IMAGE, constants=[const("s", scales)])
made = node("Constant", "", "s", value=const("", [1, 1, 0.6, 0.6]))
del made.input[:]
case("resize_made", [10], [made, node("Resize", "x,s")], IMAGE)
case("constant", [7, 9, 11, 12], [made, node("Add", "x,s")], X)
for mode in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"):
    for how in ("nearest", "linear"):
        case(f"resize_{how}_{mode}", [11], node("Resize", "x,r,s", mode=how, coordinate_transformation_mode=mode), IMAGE,
             constants=[const("r", np.zeros(0)), const("s", [1, 1, 0.6, 1.7])])
case("resize_sizes", [11, 12], node("Resize", "x,r,e,s", mode="cubic"), IMAGE,
     constants=[const("r", np.zeros(0)), const("e", np.zeros(0)), const("s", [1, 2, 9, 3], np.int64)])
case("resize_tf", [11], node("Resize", "x,r,s", mode="nearest", nearest_mode="floor",
     coordinate_transformation_mode="tf_half_pixel_for_nn"), IMAGE, constants=[const("r", np.zeros(0)), const("s", [1, 1, 0.6, 1.7])])
norm = [const(n, np.linspace(0.5, 1.5, 2)) for n in ("scale", "b", "mean", "var")]
case("batch_norm", [7, 8], node("BatchNormalization", "x,scale,b,mean,var", spatial=1), IMAGE, constants=norm)
case("batch_norm_plain", [7, 9], node("BatchNormalization", "x,scale,b,mean,var"), IMAGE, constants=norm)
scatter = [const("i", [[0, 1, 1]], np.int64), const("u", [[9, 8, 7]])]
case("scatter", [9, 10], node("Scatter", "x,i,u", axis=1), {"x": [2, 3]}, constants=scatter)
case("scatter_elements", [11, 12], node("ScatterElements", "x,i,u", axis=1), {"x": [2, 3]}, constants=scatter)
hot = [const("i", [0, 2, -1, 5], np.int64), const("n", [3], np.int64), const("v", [0, 1])]
case("one_hot", [9, 10, 11], node("OneHot", "i,n,v", "h"), X, "h", constants=hot)

# The same, in more types or with more to say.
case("gemm", [7, 9, 11], node("Gemm", "x,w,c", transB=1, alpha=0.5), {"x": [2, 3]}, constants=[const("w", np.ones((4, 3))), const("c", [1, 2, 3, 4])])
case("cast", [7, 9], [node("Cast", "x", "i", to=I), node("Cast", "i", to=D)], X, kinds={"y": D})
case("max_pool", [7, 8, 10, 12], node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2], pads=[1, 1, 0, 0]), IMAGE)
case("max_pool_same", [7, 11], node("MaxPool", "x", kernel_shape=[3, 2], auto_pad="SAME_LOWER"), IMAGE)
case("average_pool", [7, 10, 11], node("AveragePool", "x", kernel_shape=[2, 2], pads=[1, 0, 0, 1], count_include_pad=1), IMAGE)
case("lp_pool", [7, 11], node("LpPool", "x", kernel_shape=[2, 2]), IMAGE)
case("max_unpool", [9, 11], [node("MaxPool", "x", "p,i", kernel_shape=[2, 2], strides=[2, 2]), node("MaxUnpool", "p,i", kernel_shape=[2, 2], strides=[2, 2])], {"x": [1, 2, 4, 6]})
kernel = [const("w", np.linspace(-1, 1, 2 * 2 * 3 * 3).reshape(2, 2, 3, 3))]
case("conv", [7, 11], node("Conv", "x,w", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), IMAGE, constants=kernel)
case("conv_transpose", [7, 11], node("ConvTranspose", "x,w", strides=[2, 2], auto_pad="SAME_UPPER"), IMAGE, constants=kernel)
case("depth_to_space", [7, 11], node("DepthToSpace", "x", blocksize=2), {"x": [1, 8, 2, 3]})
case("space_to_depth", [7], node("SpaceToDepth", "x", blocksize=2), {"x": [1, 2, 4, 6]})
case("flatten", [7, 9, 11], node("Flatten", "x", axis=2), X)
case("gather", [7, 11], node("Gather", "x,i", axis=1), X, constants=[const("i", [2, 0], np.int64)])
case("gather_nd", [11, 12], node("GatherND", "x,i"), X, constants=[const("i", [[1, 0]], np.int64)])
case("gather_elements", [11], node("GatherElements", "x,i", axis=1), {"x": [2, 3]}, constants=[const("i", [[2], [-1]], np.int64)])
case("scatter_nd", [11], node("ScatterND", "x,i,u"), {"x": [4]}, constants=[const("i", [[1]], np.int64), const("u", [5])])
case("concat", [7, 11], node("Concat", "x,x", axis=2), X)
case("lrn", [7], node("LRN", "x", size=3), IMAGE)
case("prelu", [7, 9], node("PRelu", "x,s"), X, constants=[const("s", [0.1, 0.2, 0.3, 0.4])])
case("pow", [7, 12], node("Pow", "x,e"), X, constants=[const("e", 2)])
case("tile", [7], node("Tile", "x,r"), X, constants=[const("r", [1, 2, 1], np.int64)])
case("expand", [8], node("Expand", "x,s"), X, constants=[const("s", [2, 1, 3, 4], np.int64)])
case("transpose", [7], node("Transpose", "x", perm=[2, 0, 1]), X)
case("reshape", [7], node("Reshape", "x,s"), X, constants=[const("s", [0, -1], np.int64)])
case("shape_size", [7], [node("Shape", "x", "y"), node("Size", "x", "z")], X, "y,z", kinds={"y": I, "z": I})
case("compress", [9, 11], node("Compress", "x,c", axis=1), X, constants=[const("c", [True, False, True], bool)])
case("arg", [7, 11, 12], [node("ArgMax", "x", "y", axis=1), node("ArgMin", "x", "z", axis=2, keepdims=0)], X, "y,z", kinds={"y": I, "z": I})
for op in "L1 L2 LogSum LogSumExp Max Mean Min Prod SumSquare".split():
    case(f"reduce_{op.lower()}", [7, 11, 12], [node("Abs", "x", "a"), node(f"Reduce{op}", "a", axes=[0, 2])], X)
case("unary", [7, 9, 12], [node(op, "a", op) for op in "Abs Ceil Exp Floor Identity Log Neg Reciprocal Relu Sigmoid Sqrt Tanh".split()],
     {"a": [3, 4]}, "Abs,Ceil,Exp,Floor,Identity,Log,Neg,Reciprocal,Relu,Sigmoid,Sqrt,Tanh")
case("unary_9", [9, 12], [node(op, "a", op) for op in "Erf Sign".split()] + [node("IsNaN", "a", "n"), node("NonZero", "a", "z")], {"a": [3, 4]},
     "Erf,Sign,n,z", kinds={"n": B, "z": I})
case("binary", [7, 8, 11, 12], [node(op, "a,b", op) for op in "Add Div Mul Sub Max Min Sum Mean MatMul".split()], {"a": [3, 3], "b": [3, 3]},
     "Add,Div,Mul,Sub,Max,Min,Sum,Mean,MatMul")
case("compare", [7, 9, 11], [node("Greater", "a,b", "g"), node("Less", "a,b", "l"), node("Cast", "a", "i", to=I), node("Cast", "b", "j", to=I), node("Equal", "i,j", "e")],
     {"a": [3, 3], "b": [3, 3]}, "g,l,e", kinds={"g": B, "l": B, "e": B})
case("mod", [10], node("Mod", "a,b", fmod=1), {"a": [3, 3], "b": [3, 3]})
case("quantize", [10], [node("QuantizeLinear", "x,s,z", "q"), node("DequantizeLinear", "q,s,z")], X, constants=[const("s", 0.1), const("z", 128, np.uint8)])
boxes = [const("b", [[[0, 0, 1, 1], [0, 0, 1, 1.1], [2, 2, 3, 3]]]), const("s", [[[0.9, 0.8, 0.7]]]), const("m", [3], np.int64), const("t", [0.5])]
case("nms", [10, 11], node("NonMaxSuppression", "b,s,m,t", "n"), X, "n", constants=boxes, kinds={"n": I})
case("mvn", [9], node("MeanVarianceNormalization", "x"), IMAGE)
for opset in (7, 9, 11, 12):
    then = h.make_graph([node("Softmax", "x", "s"), node("Squeeze", "s", "t", axes=[0])], "then", [], [info("t", F, None)])
    other = h.make_graph([node("ReduceSum", "x", "o", axes=[0], keepdims=0)], "else", [], [info("o", F, None)])
    choice = h.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)
    flag = [node("ReduceMax", "x", "m", keepdims=0), node("Greater", "m,zero", "c")]
    case("if", [opset], [*flag, choice], {"x": [1, 3, 4]}, constants=[const("zero", 0)])
for opset in (7, 11):
    body = h.make_graph([node("Identity", "go", "go_on"), node("Unsqueeze", "v", "u", axes=[0]), node("Squeeze", "u", "w", axes=[0]), node("Softmax", "w", "v2")],
                        "body", [info("i", I, []), info("go", B, []), info("v", F, [2, 3, 4])], [info("go_on", B, []), info("v2", F, [2, 3, 4])])
    case("loop", [opset], h.make_node("Loop", ["n", "go0", "x"], ["y"], body=body), X, constants=[const("n", 3, np.int64), const("go0", True, bool)])
for opset in (9, 11):
    body = h.make_graph([node("Add", "sum,row", "next"), node("Clip", "next", "out", max=0.2) if opset < 11 else node("Identity", "next", "out")],
                        "body", [info("sum", F, [4]), info("row", F, [4])], [info("next", F, [4]), info("out", F, [4])])
    case("scan", [opset], h.make_node("Scan", ["start", "x"], ["last", "y"], body=body, num_scan_inputs=1), {"x": [3, 4]}, "last,y",
         constants=[const("start", [0, 0, 0, 0])])

# Refused: nothing in set 13 is the same.
body = h.make_graph([node("Add", "sum,row", "next"), node("Identity", "next", "out")], "body",
                    [info("sum", F, [4]), info("row", F, [4])], [info("next", F, [4]), info("out", F, [4])])
case("refused_scan", [8], h.make_node("Scan", ["", "start", "x"], ["last", "y"], name="walk", body=body, num_scan_inputs=1), {"x": [1, 3, 4]}, "last,y",
     constants=[const("start", [[0, 0, 0, 0]])])
case("refused_batch_norm", [7], h.make_node("BatchNormalization", ["x", "scale", "b", "mean", "var"], ["y"], spatial=0), IMAGE,
     constants=[const(n, np.ones((2, 5, 6))) for n in ("scale", "b", "mean", "var")])
case("refused_mask", [10], node("Dropout", "x", "y,m", name="drop"), X, "y,m", kinds={"m": B})
case("refused_resize", [10], node("Resize", "x,s", name="zoom"), IMAGE, constants=[const("s", [1, 1, 2, 0.5])])
case("refused_resize_computed", [10], node("Resize", "x,s", name="zoom"), IMAGE | {"s": [4]})
case("refused_tf", [11], node("Resize", "x,r,s", name="zoom", mode="linear", coordinate_transformation_mode="tf_half_pixel_for_nn"), IMAGE,
     constants=[const("r", np.zeros(0)), const("s", [1, 1, 0.6, 1.7])])
case("refused_old", [6], node("Relu", "x"), X)

# Not in any model: for training, sequences of values, or drawn by chance.
LEFT_OUT = {"NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"}


def nodes(graph):
    for each in graph.node:
        yield each
        for attribute in each.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from nodes(attribute.g)


def every_form_is_there():
    """Each form that an operator had in sets 7 to 12, and no longer has in 13, is in a model."""
    there = {(each.op_type, onnx.defs.get_schema(each.op_type, model.opset_import[0].version).since_version)
             for model in CASES.values() for each in nodes(model.graph)}
    wanted = set()
    for opset in ALL:
        for schema in onnx.defs.get_all_schemas_with_history():
            if schema.domain or schema.name in LEFT_OUT:
                continue
            try:
                now = onnx.defs.get_schema(schema.name, opset)
                then = onnx.defs.get_schema(schema.name, 13)
            except onnx.defs.SchemaError:
                continue
            if now.since_version != then.since_version and not now.deprecated:
                wanted.add((schema.name, now.since_version))
    missing = sorted(wanted - there)
    assert not missing, f"no model has {missing}"


def main():
    every_form_is_there()
    if "--check" in sys.argv:
        names = [name for name in CASES if not name.startswith("refused")]
        folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else RAISED
        for name in names:
            model = onnx.load(folder / f"{name}.onnx")
            # What onnx 1.23 infers shapes by for this operator does not take itself.
            onnx.checker.check_model(model, full_check=not name.startswith("mvn"))
            assert model.opset_import[0].version == 13, name
            onnxruntime.InferenceSession(model.SerializeToString())
        print(f"{len(names)} raised models are sound")
        return
    for old in HERE.glob("*.onnx"):
        old.unlink()
    for name, model in CASES.items():
        (HERE / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
        if not name.startswith("refused_"):
            runs(model)
    print(f"{len(CASES)} models")


if __name__ == "__main__":
    main()
