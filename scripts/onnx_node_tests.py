#!/usr/bin/env python3
"""ONNX's own test cases of single operators: written as folders, run in Python, compared with forebay.

    onnx_node_tests.py write FOLDER                one folder for each case
    onnx_node_tests.py some FOLDER                 the few that the project's tests keep
    onnx_node_tests.py codes OUT.json              what the codes of small floats stand for, by ml_dtypes
    onnx_node_tests.py run FOLDER OUT.json         runs them with Python's onnxruntime on the CPU
    onnx_node_tests.py compare PYTHON.json FOREBAY.json

`compare` fails unless everything that passes in Python passes in `forebay verify --json`.
Needs `pip install onnx==1.22.0 onnxruntime==1.31.1 ml_dtypes==0.6.0`; `make verify-onnx` does that and all the rest.
onnx 1.22.0 is the newest whose operators nearly all have a version that ONNX Runtime 1.31.1 knows.
"""

import collections
import json
import pathlib
import shutil
import sys
import warnings

RTOL, ATOL = 1e-3, 1e-7
# Two units in the last place; what onnx's own runner allows bfloat16.
BFLOAT16_RTOL = 2**-6

# Of every element type, shape and kind of value a few, all small.
SOME = """
abs add_bcast and2d argmax_default_axis_example bitshift_left_uint16 bitwise_and_i16_3d cast_BFLOAT16_to_FLOAT
cast_FLOAT16_to_DOUBLE cast_FLOAT_to_BFLOAT16 cast_FLOAT_to_FLOAT8E4M3FN cast_FLOAT_to_FLOAT8E5M2FNUZ cast_INT4_to_FLOAT
cast_FLOAT_to_UINT4 cast_FLOAT8E5M2_to_FLOAT16 cast_FLOAT8E4M3FNUZ_to_FLOAT cast_FLOAT_to_INT2 cast_UINT2_to_UINT8
clip_default_int8_inbounds concat_1d_axis_0 constant constantofshape_int_shape_zero
dequantizelinear_int4 dequantizelinear_e4m3fn det_2d equal_string gather_elements_0
identity_opt identity_sequence if_seq isinf isnan ai_onnx_ml_label_encoder_string_int loop16_seq_none
max_uint64 min_uint32 mod_uint8 nonzero_example optional_get_element_optional_tensor optional_has_element_empty_optional_input
quantizelinear_e5m2 reduce_sum_empty_set sequence_insert_at_back split_zero_size_splits_opset18 string_concat
string_split_basic sub_uint16 where_long_example
cast_FLOAT4E2M1_to_FLOAT if_opt sequence_map_add_1_sequence_1_tensor
""".split()


def collect():
    import onnx  # noqa: F401
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return collect_testcases(None)


def map_proto(value, name=""):
    """numpy_helper.from_dict knows no string keys."""
    import numpy as np
    from onnx import MapProto, SequenceProto, TensorProto, numpy_helper

    proto = MapProto(name=name)
    if all(isinstance(key, str) for key in value):
        proto.key_type = TensorProto.STRING
        proto.string_keys.extend(key.encode() for key in value)
    else:
        proto.key_type = TensorProto.INT64
        proto.keys.extend(value)
    proto.values.elem_type = SequenceProto.TENSOR
    proto.values.tensor_values.extend(numpy_helper.from_array(np.asarray(one)) for one in value.values())
    return proto


def as_proto(value, info):
    from onnx import SequenceProto, TensorProto, numpy_helper

    kind = info.type.WhichOneof("value")
    if kind == "map_type":
        return map_proto(value, info.name)
    if kind == "sequence_type" and value and isinstance(value[0], dict):
        return SequenceProto(name=info.name, elem_type=SequenceProto.MAP, map_values=[map_proto(one) for one in value])
    if kind == "sequence_type":
        return numpy_helper.from_list(value, info.name)
    if kind == "optional_type":
        return numpy_helper.from_optional(value, info.name)
    return value if isinstance(value, TensorProto) else numpy_helper.from_array(value, info.name)


def own_cases():
    """What onnx has no cases for: maps, strings that are not UTF-8, a type that nothing can read back, and so on."""
    import numpy as np
    from onnx import TensorProto as T, helper as h
    from onnx.backend.test.case.test_case import TestCase

    def case(name, nodes, inputs, outputs, data_sets, initializers=(), ml=False):
        opsets = [h.make_opsetid("", 21)] + ([h.make_opsetid("ai.onnx.ml", 3)] if ml else [])
        graph = h.make_graph(nodes, name, inputs, outputs, list(initializers))
        model = h.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="")
        return TestCase(name, name, None, None, model, data_sets, "own", RTOL, ATOL)

    def tensor(name, element, shape):
        return h.make_tensor_value_info(name, element, shape)

    x = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    text_map = h.make_map_type_proto(T.STRING, h.make_tensor_type_proto(T.FLOAT, []))
    int_map = h.make_map_type_proto(T.INT64, h.make_tensor_type_proto(T.FLOAT, []))
    value = np.float32
    yield case(
        "own_map_in",
        [h.make_node("DictVectorizer", ["m"], ["y"], domain="ai.onnx.ml", string_vocabulary=["a", "b", "c"])],
        [h.make_value_info("m", text_map)],
        [tensor("y", T.FLOAT, [1, 3])],
        [([{"a": value(1.5), "c": value(-2.0)}], [np.array([[1.5, 0.0, -2.0]], np.float32)])],
        ml=True,
    )
    for name, labels, kind, keys in (
        ("own_maps_out_int64", {"classlabels_int64s": [7, -1]}, int_map, [7, -1]),
        ("own_maps_out_string", {"classlabels_strings": ["no", "yes"]}, text_map, ["no", "yes"]),
    ):
        yield case(
            name,
            [h.make_node("ZipMap", ["x"], ["z"], domain="ai.onnx.ml", **labels)],
            [tensor("x", T.FLOAT, [2, 2])],
            [h.make_value_info("z", h.make_sequence_type_proto(kind))],
            [([x], [[dict(zip(keys, row)) for row in x]])],
            ml=True,
        )
    texts = h.make_tensor("x", T.STRING, [3], [b"\xff\xfe", b"a\0b", "\u00e4".encode()])
    yield case(
        "own_strings_that_are_not_utf8",
        [h.make_node("Shape", ["x"], ["y"])],
        [tensor("x", T.STRING, [3])],
        [tensor("y", T.INT64, [1])],
        [([texts], [np.array([3])])],
    )
    yield case(
        "own_two_data_sets",
        [h.make_node("Sub", ["a", "b"], ["y"])],
        [tensor("a", T.FLOAT, ["n"]), tensor("b", T.FLOAT, ["n"])],
        [tensor("y", T.FLOAT, ["n"])],
        [([value([3]), value([1])], [value([2])]), ([value([3, 1]), value([1, 5])], [value([2, -4])])],
    )
    four = h.make_tensor("y", T.FLOAT4E2M1, [2], [1.0, -6.0])
    yield case(
        "own_float4_out", [], [], [tensor("y", T.FLOAT4E2M1, [2])], [([], [four])], initializers=[four]
    )


def write(folder, names=None):
    """Each case as FOLDER/NAME/{model.onnx,test_data_set_N/{input,output}_M.pb}, as onnx lays them out."""
    shutil.rmtree(folder, ignore_errors=True)
    count = 0
    for case in [*collect(), *(own_cases() if names is not None else [])]:
        if names is not None and case.kind == "node" and case.name.removeprefix("test_") not in names:
            continue
        count += 1
        base = folder / case.name
        base.mkdir(parents=True)
        (base / "model.onnx").write_bytes(case.model.SerializeToString(deterministic=True))
        for number, values in enumerate(case.data_sets):
            data = base / f"test_data_set_{number}"
            data.mkdir()
            for word, infos, given in zip(("input", "output"), (case.model.graph.input, case.model.graph.output), values):
                for at, value in enumerate(given):
                    proto = as_proto(value, infos[at])
                    (data / f"{word}_{at}.pb").write_bytes(proto.SerializeToString(deterministic=True))
    print(f"wrote {count} cases to {folder}", file=sys.stderr)


def codes(out):
    """For each type, how many codes there are from one to the next, and their numbers as text."""
    import ml_dtypes
    import numpy as np

    table = {}
    for name, dtype, bits, step in (
        ("float16", np.float16, 16, 257),
        ("bfloat16", ml_dtypes.bfloat16, 16, 257),
        ("float8e4m3fn", ml_dtypes.float8_e4m3fn, 8, 1),
        ("float8e4m3fnuz", ml_dtypes.float8_e4m3fnuz, 8, 1),
        ("float8e5m2", ml_dtypes.float8_e5m2, 8, 1),
        ("float8e5m2fnuz", ml_dtypes.float8_e5m2fnuz, 8, 1),
        ("float8e8m0", ml_dtypes.float8_e8m0fnu, 8, 1),
    ):
        every = np.arange(0, 2**bits, step, dtype=np.uint16 if bits == 16 else np.uint8)
        table[name] = [str(float(number)) for number in every.view(dtype)]
    four = np.arange(16, dtype=np.uint8).view(ml_dtypes.float4_e2m1fn)
    table["float4e2m1"] = [str(float(number)) for number in four]
    out.write_text(json.dumps(table) + "\n")


def read(path, info):
    from onnx import OptionalProto, SequenceProto, TensorProto, MapProto, numpy_helper

    make, to_python = {
        "tensor_type": (TensorProto, numpy_helper.to_array),
        "sequence_type": (SequenceProto, numpy_helper.to_list),
        "optional_type": (OptionalProto, numpy_helper.to_optional),
        "map_type": (MapProto, numpy_helper.to_dict),
    }[info.type.WhichOneof("value")]
    proto = make()
    proto.ParseFromString(path.read_bytes())
    return to_python(proto)


def element_type(info):
    return info.type.tensor_type.elem_type if info.type.WhichOneof("value") == "tensor_type" else 0


def numpy_of(value):
    """A runtime's tensor as an array; types that numpy lacks are cast to float, which holds all their values."""
    import onnxruntime
    from onnx import TensorProto, helper

    plain = "float double float16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool string".split()
    name = value.data_type().removeprefix("tensor(").removesuffix(")")
    if name in plain:
        return value.numpy()
    element = getattr(TensorProto, name.upper())
    graph = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)],
        "cast",
        [helper.make_tensor_value_info("x", element, None)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=11)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    array = session.run_with_ort_values(None, {"x": value})[0].numpy()
    return array.astype(helper.tensor_dtype_to_np_dtype(element))


def feed(value, element):
    """A tensor for the runtime, of any type; as onnxruntime has no numpy type for some, by way of a model's constant."""
    import onnxruntime
    from onnx import helper, numpy_helper

    tensor = numpy_helper.from_array(value, "c")
    graph = helper.make_graph([], "constant", [], [helper.make_tensor_value_info("c", element, None)], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=11)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run_with_ort_values(None, {})[0]


def same(found, expected):
    """As onnx's own runner compares."""
    import numpy

    if isinstance(expected, (list, tuple)):
        assert isinstance(found, (list, tuple)) and len(found) == len(expected), "lengths differ"
        for one, other in zip(found, expected):
            same(one, other)
        return
    if expected is None or found is None:
        assert expected is None and found is None, "one is nothing"
        return
    found, expected = numpy.asarray(found), numpy.asarray(expected)
    assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
    if expected.dtype == object or expected.dtype.kind in "SUT":
        numpy.testing.assert_array_equal(found.astype(object), expected.astype(object))
        return
    assert found.dtype == expected.dtype, f"{found.dtype}, expected {expected.dtype}"
    rtol = RTOL
    if found.dtype.kind not in "fiubc" or found.dtype.itemsize < 2:
        rtol = max(RTOL, BFLOAT16_RTOL) if found.dtype.name == "bfloat16" else RTOL
        if found.dtype.kind != "b":
            found, expected = found.astype(numpy.float32), expected.astype(numpy.float32)
    numpy.testing.assert_allclose(found, expected, rtol=rtol, atol=ATOL)


def run_case(folder):
    import onnx
    import onnxruntime

    model = onnx.load(folder / "model.onnx")
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    inputs, outputs = model.graph.input, model.graph.output
    plain = all(i.type.WhichOneof("value") == "tensor_type" for i in [*inputs, *outputs])
    for data in sorted(folder.glob("test_data_set_*")):
        given = [read(data / f"input_{at}.pb", info) for at, info in enumerate(inputs)]
        expected = [read(data / f"output_{at}.pb", info) for at, info in enumerate(outputs)]
        if plain:
            values = {i.name: feed(value, element_type(i)) for i, value in zip(inputs, given)}
            found = [numpy_of(value) for value in session.run_with_ort_values(None, values)]
        else:
            found = session.run(None, {i.name: value for i, value in zip(inputs, given)})
        for one, other in zip(found, expected, strict=True):
            same(one, other)


def run(folder, out):
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    results = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in sorted(folder.iterdir()):
            try:
                run_case(case)
                results[case.name] = "passed"
            except Exception as error:  # whatever it is, the case does not pass
                results[case.name] = " ".join(str(error).split())[:300] or type(error).__name__
    out.write_text(json.dumps(results, indent=1))
    print(f"Python: {sum(why == 'passed' for why in results.values())} of {len(results)} cases pass", file=sys.stderr)


def compare(python, forebay):
    python = json.loads(python.read_text())
    ours = collections.defaultdict(list)
    for data in json.loads(forebay.read_text())["data_sets"]:
        ours[pathlib.Path(data["data_set"]).parent.name].append(data)
    passed = {name for name, sets in ours.items() if all(data["result"] == "passed" for data in sets)}
    there = {name for name, why in python.items() if why == "passed"}
    kinds = collections.Counter(data["result"] for sets in ours.values() for data in sets)
    print(f"cases:                               {len(python)}")
    print(f"pass in Python (onnxruntime, CPU):   {len(there)}")
    print(f"of these pass in forebay verify:     {len(there & passed)}")
    print(f"forebay verify in all:               {', '.join(f'{kind} {count}' for kind, count in sorted(kinds.items()))}")
    for name in sorted(there - passed):
        why = "; ".join(data.get("why", data["result"]) for data in ours.get(name, [])) or "not run"
        print(f"  passes in Python only: {name}: {why}")
    for name in sorted(passed - there):
        print(f"  passes in forebay only: {name}: in Python {python.get(name, 'not run')}")
    return 1 if there - passed else 0


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "write":
        return write(pathlib.Path(arguments[1]))
    if len(arguments) == 2 and arguments[0] == "some":
        write(pathlib.Path(arguments[1]), set(SOME))
        missing = [name for name in SOME if not (pathlib.Path(arguments[1]) / f"test_{name}").exists()]
        return f"onnx has no such cases: {missing}" if missing else 0
    if len(arguments) == 2 and arguments[0] == "codes":
        return codes(pathlib.Path(arguments[1]))
    if len(arguments) == 3 and arguments[0] == "run":
        return run(pathlib.Path(arguments[1]), pathlib.Path(arguments[2]))
    if len(arguments) == 3 and arguments[0] == "compare":
        return compare(pathlib.Path(arguments[1]), pathlib.Path(arguments[2]))
    print(__doc__.strip(), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
