"""Writes tests/data/models/ and tests/data/bad_models/.

models/CASE/ holds a model.onnx, 16 rows.jsonl keyed by model input name, and
expected.jsonl, what Python's onnxruntime answers (format: pipelines/common.py).
The models stand for what data scientists export: scikit-learn, LightGBM and
XGBoost with 30 float features or with string columns, and the shapes and types
that exporters produce. bad_models/ holds files that must be refused.

Run: pip install -r pipelines/requirements.txt && python tests/data/make_models.py
The same versions write the same bytes.
"""

import json
import shutil
import sys
import warnings
from pathlib import Path

import lightgbm as lgb
import numpy as np
import onnx
import xgboost as xgb
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as ToolsFloat
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import (
    GradientBoostingClassifier, GradientBoostingRegressor,
    HistGradientBoostingClassifier, HistGradientBoostingRegressor,
    IsolationForest, RandomForestClassifier, RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import (
    DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType,
)

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "pipelines"))
from common import number, plain, predict, save, session, write_jsonl  # noqa: E402

MODELS = HERE / "models"
BAD = HERE / "bad_models"
ROWS = 16
OPSET = 15


# ---------------------------------------------------------------- one case

def case(name, model, feeds, batch=None):
    """Writes one case and checks it: `feeds` holds ROWS rows for every model input.

    `batch` is the model's fixed batch size. Then the rows go through in pieces of
    that size, as forebay has to do it.
    """
    folder = MODELS / name
    save(model, folder / "model.onnx", name)
    write_jsonl(folder / "rows.jsonl", (
        {key: row_value(values[i]) for key, values in feeds.items()} for i in range(ROWS)
    ))
    step = batch or ROWS
    predictions = []
    for start in range(0, ROWS, step):
        piece = {key: values[start:start + step] for key, values in feeds.items()}
        predictions += predict(folder / "model.onnx", piece)
    assert len(predictions) == ROWS
    write_jsonl(folder / "expected.jsonl", predictions)
    check_one_by_one(name, folder / "model.onnx", feeds, predictions, batch)
    describe(name, folder / "model.onnx", feeds, step)


def check_one_by_one(name, path, feeds, predictions, batch):
    """The expected values must not depend on how rows are batched."""
    if batch:
        return
    for i in range(ROWS):
        alone = predict(path, {key: values[i:i + 1] for key, values in feeds.items()})[0]
        for key, value in alone.items():
            assert close(value, predictions[i][key]), f"{name}: {key} of row {i} depends on the batch"


def close(a, b):
    """Equal within 1e-5, through arrays and objects."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= 1e-5 * max(1, abs(a))
    return a == b


def row_value(value):
    """One row's value of one input: [n, 1] and [n] become a scalar, the rest nested lists."""
    value = np.asarray(value)
    if value.size == 1:
        value = value.reshape(-1)[0]
        return number(value) if isinstance(value, (float, np.floating)) else plain(value)
    if value.dtype.kind == "f":
        return [row_value(v) if np.ndim(v) else number(v) for v in value]
    return plain(value)


def describe(name, path, feeds, rows):
    """Prints what the model declares beside what it returns."""
    model = session(path)
    inputs = ", ".join(f"{i.name} {short(i.type)}{shape(i.shape)}" for i in model.get_inputs())
    found = model.run(None, {key: values[:rows] for key, values in feeds.items()})
    outputs = []
    for output, value in zip(model.get_outputs(), found):
        real = shape(value.shape) if isinstance(value, np.ndarray) else f"list of {len(value)}"
        outputs.append(f"{output.name} {short(output.type)}{shape(output.shape)} -> {real}")
    if "-v" in sys.argv:
        print(f"{name:28} {inputs} | {'; '.join(outputs)}")


def short(kind):
    return kind.replace("tensor(", "").replace(")", "", 1) if kind.startswith("tensor") else kind


def shape(dims):
    return "[" + ",".join("?" if d is None else str(d) for d in dims) + "]"


# ---------------------------------------------------------------- data

def float_data():
    """Breast cancer: 30 float features; a binary label, three classes, and a regression target."""
    X, y = load_breast_cancer(return_X_y=True)
    # The regression target: two of the columns, and noise.
    rng = np.random.default_rng(7)
    target = X[:, 0] * 0.5 + X[:, 20] * 0.1 + rng.normal(0, 0.2, len(X))
    order = rng.permutation(len(X))
    X, y, target = X[order].astype(np.float32), y[order], target[order]
    classes = np.array(["high", "low", "middle"])[np.digitize(target, np.quantile(target, [1 / 3, 2 / 3]))]
    return X, y, target, classes


def people(n):
    """Made-up rows with two number and two string columns, and a binary label."""
    rng = np.random.default_rng(11)
    age = rng.integers(18, 80, n).astype(np.float32)
    hours = rng.normal(38, 8, n).round(1).astype(np.float32)
    state = rng.choice(np.array(["MA", "NY", "CA"], dtype=object), n)
    job = rng.choice(np.array(["clerk", "nurse", "größer, \"quoted\""], dtype=object), n)
    y = (age / 80 + hours / 60 + (state == "MA") * 0.4 + rng.normal(0, 0.2, n) > 1.3).astype(int)
    return age, hours, state, job, y


# ---------------------------------------------------------------- exporters

def sk(model, *, zipmap=None, kind=FloatTensorType, width=30, first=None, opset=OPSET):
    """skl2onnx with one matrix input `X`; `zipmap` None leaves the default (on)."""
    options = None if zipmap is None else {id(model): {"zipmap": zipmap}}
    return convert_sklearn(
        model, initial_types=[("X", kind([first, width]))], options=options,
        target_opset={"": opset, "ai.onnx.ml": 3},
    )


def write_sklearn(X, y, target, classes):
    """Classifiers and regressors of scikit-learn on 30 float features."""
    rows = {"X": X[-ROWS:]}
    X, y, target, classes = X[:-ROWS], y[:-ROWS], target[:-ROWS], classes[:-ROWS]
    seed = {"random_state": 7}
    small_net = {"hidden_layer_sizes": (32, 16), "max_iter": 300} | seed

    logreg = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    case("sk_logreg_zipmap", sk(logreg), rows)
    case("sk_logreg", sk(logreg, zipmap=False), rows)
    # One output for each class instead of one array.
    case("sk_logreg_zipmap_columns", sk(logreg, zipmap="columns"), rows)
    case("sk_mlp_clf", sk(make_pipeline(StandardScaler(), MLPClassifier(**small_net)).fit(X, y)), rows)
    case("sk_mlp_reg", sk(make_pipeline(StandardScaler(), MLPRegressor(**small_net)).fit(X, target)), rows)
    case("sk_linear_reg", sk(LinearRegression().fit(X, target)), rows)
    case("sk_two_targets_reg", sk(LinearRegression().fit(X, np.c_[target, -target])), rows)

    forest = {"n_estimators": 10, "max_depth": 5, "n_jobs": 1} | seed
    case("sk_forest_clf", sk(RandomForestClassifier(**forest).fit(X, y)), rows)
    case("sk_forest_reg", sk(RandomForestRegressor(**forest).fit(X, target)), rows)
    boost = {"n_estimators": 15, "max_depth": 3} | seed
    case("sk_gb_clf", sk(GradientBoostingClassifier(**boost).fit(X, y)), rows)
    case("sk_gb_reg", sk(GradientBoostingRegressor(**boost).fit(X, target)), rows)
    hist = {"max_iter": 15, "max_leaf_nodes": 8, "early_stopping": False} | seed
    case("sk_hist_clf", sk(HistGradientBoostingClassifier(**hist).fit(X, y)), rows)
    case("sk_hist_reg", sk(HistGradientBoostingRegressor(**hist).fit(X, target)), rows)

    case("sk_tree_clf", sk(DecisionTreeClassifier(max_depth=5, **seed).fit(X, y), zipmap=False), rows)
    svc = SVC(probability=True, **seed)
    case("sk_svc", sk(make_pipeline(StandardScaler(), svc).fit(X[:200], y[:200])), rows)
    knn = make_pipeline(StandardScaler(), KNeighborsClassifier(5)).fit(X[:200], y[:200])
    case("sk_knn", sk(knn), rows)
    case("sk_gaussian_nb", sk(GaussianNB().fit(X, y)), rows)
    case("sk_isolation_forest", sk(
        IsolationForest(n_estimators=10, max_samples=64, n_jobs=1, **seed).fit(X)), rows)

    three = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, classes)
    case("sk_three_classes_zipmap", sk(three), rows)
    case("sk_three_classes", sk(three, zipmap=False), rows)

    # The batch size fixed in the file.
    case("sk_batch1", sk(logreg, zipmap=False, first=1), rows, batch=1)
    case("sk_batch8", sk(logreg, zipmap=False, first=8), rows, batch=8)

    # Other element types.
    whole = np.rint(X).astype(np.int64)
    counts = LogisticRegression(max_iter=5000).fit(whole[:, :10], y)
    case("sk_int64_clf", sk(counts, zipmap=False, kind=Int64TensorType, width=10),
         {"X": np.rint(rows["X"]).astype(np.int64)[:, :10]})
    exact = X.astype(np.float64)
    case("sk_double_reg", sk(LinearRegression().fit(exact, target), kind=DoubleTensorType),
         {"X": rows["X"].astype(np.float64)})
    double = make_pipeline(StandardScaler(), LogisticRegression()).fit(exact, y)
    case("sk_double_clf", sk(double, zipmap=False, kind=DoubleTensorType),
         {"X": rows["X"].astype(np.float64)})


def write_strings():
    """Pipelines with string columns: an input for each column, and inputs of two columns each."""
    age, hours, state, job, y = people(400)

    def pipeline(numbers, strings):
        columns = ColumnTransformer([
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            ("strings", OneHotEncoder(handle_unknown="ignore"), strings),
        ])
        return make_pipeline(columns, LogisticRegression())

    table = np.empty((len(y), 4), dtype=object)
    table[:, 0], table[:, 1], table[:, 2], table[:, 3] = age, hours, state, job
    model = pipeline([0, 1], [2, 3]).fit(table[:-ROWS], y[:-ROWS])
    last = slice(len(y) - ROWS, None)
    # A category that training never saw must work too.
    state[-1] = "atlantis"

    options = {"target_opset": {"": OPSET, "ai.onnx.ml": 3}}
    column = {"age": age, "hours": hours, "state": state, "job": job}
    feeds = {name: values[last].reshape(-1, 1) for name, values in column.items()}
    per_column = [
        ("age", FloatTensorType([None, 1])), ("hours", FloatTensorType([None, 1])),
        ("state", StringTensorType([None, 1])), ("job", StringTensorType([None, 1])),
    ]
    case("sk_columns_zipmap", convert_sklearn(model, initial_types=per_column, **options), feeds)
    case("sk_columns", convert_sklearn(
        model, initial_types=per_column, options={id(model): {"zipmap": False}}, **options), feeds)
    case("sk_groups", convert_sklearn(
        model, options={id(model): {"zipmap": False}}, **options,
        initial_types=[("num", FloatTensorType([None, 2])), ("cat", StringTensorType([None, 2]))],
    ), {
        "num": np.c_[age, hours][last].astype(np.float32),
        "cat": np.c_[state, job][last].astype(object),
    })


def write_boosters(X, y, target, classes):
    """LightGBM and XGBoost through onnxmltools."""
    rows = {"X": X[-ROWS:]}
    X, y, target, classes = X[:-ROWS], y[:-ROWS], target[:-ROWS], classes[:-ROWS]
    types = {"initial_types": [("X", ToolsFloat([None, 30]))], "target_opset": OPSET}
    number_of_class = np.unique(classes, return_inverse=True)[1]

    quiet = {"n_estimators": 12, "num_leaves": 8, "n_jobs": 1, "random_state": 7,
             "deterministic": True, "force_row_wise": True, "verbose": -1}
    for name, labels in (("binary", y), ("three_classes", classes)):
        model = lgb.LGBMClassifier(**quiet).fit(X, labels)
        case(f"lgbm_{name}_zipmap", convert_lightgbm(model, zipmap=True, **types), rows)
        case(f"lgbm_{name}", convert_lightgbm(model, zipmap=False, **types), rows)
    case("lgbm_reg", convert_lightgbm(lgb.LGBMRegressor(**quiet).fit(X, target), **types), rows)

    small = {"n_estimators": 12, "max_depth": 3, "n_jobs": 1, "random_state": 7}
    case("xgb_binary", convert_xgboost(xgb.XGBClassifier(**small).fit(X, y), **types), rows)
    case("xgb_three_classes", convert_xgboost(
        xgb.XGBClassifier(**small).fit(X, number_of_class), **types), rows)
    case("xgb_reg", convert_xgboost(xgb.XGBRegressor(**small).fit(X, target), **types), rows)


# ---------------------------------------------------------------- hand-made

def graph(nodes, inputs, outputs, weights=(), opset=OPSET, ml=False):
    """A model from its parts; `weights` is a dict of numpy arrays."""
    made = h.make_graph(
        nodes, "graph",
        [h.make_tensor_value_info(*i) for i in inputs],
        [h.make_tensor_value_info(*o) for o in outputs],
        [numpy_helper.from_array(array, name) for name, array in dict(weights).items()],
    )
    opsets = [h.make_opsetid("", opset)] + ([h.make_opsetid("ai.onnx.ml", 3)] if ml else [])
    return h.make_model(made, opset_imports=opsets, ir_version=8)


def write_handmade(X):
    """Shapes and types that exporters of neural networks produce."""
    rng = np.random.default_rng(13)
    rows = {"X": X[-ROWS:]}

    def weight(*dims):
        return (rng.normal(0, 1, dims) / np.sqrt(dims[0])).astype(np.float32)

    # The benchmark's model: 30 -> 64 -> 32 -> 1.
    case("mlp30", graph(
        [
            h.make_node("Gemm", ["X", "w1", "b1"], ["h1"]), h.make_node("Relu", ["h1"], ["r1"]),
            h.make_node("Gemm", ["r1", "w2", "b2"], ["h2"]), h.make_node("Relu", ["h2"], ["r2"]),
            h.make_node("Gemm", ["r2", "w3", "b3"], ["h3"]), h.make_node("Sigmoid", ["h3"], ["score"]),
        ],
        [("X", T.FLOAT, ["N", 30])], [("score", T.FLOAT, ["N", 1])],
        {"w1": weight(30, 64), "b1": weight(64), "w2": weight(64, 32), "b2": weight(32),
         "w3": weight(32, 1), "b3": weight(1)},
    ), {"X": rng.normal(0, 1, (ROWS, 30)).astype(np.float32)})

    # A named batch dimension and rows of 4 x 5; one output of rank 3, one of rank 1.
    case("rank3", graph(
        [
            h.make_node("Mul", ["x", "w"], ["y"]),
            h.make_node("ReduceMean", ["y"], ["mean"], axes=[1, 2], keepdims=0),
        ],
        [("x", T.FLOAT, ["batch", 4, 5])],
        [("y", T.FLOAT, ["batch", 4, 5]), ("mean", T.FLOAT, ["batch"])],
        {"w": weight(4, 5)},
    ), {"x": rng.normal(0, 1, (ROWS, 4, 5)).astype(np.float32)})

    # Three outputs: scores, the class as a number, the class as text.
    case("three_outputs", graph(
        [
            h.make_node("MatMul", ["X", "w"], ["logits"]),
            h.make_node("Softmax", ["logits"], ["scores"], axis=1),
            h.make_node("ArgMax", ["scores"], ["class"], axis=1, keepdims=0),
            h.make_node("LabelEncoder", ["class"], ["name"], domain="ai.onnx.ml",
                        keys_int64s=[0, 1, 2], values_strings=["red", "grün", "blue"],
                        default_string="?"),
        ],
        [("X", T.FLOAT, ["N", 30])],
        [("scores", T.FLOAT, ["N", 3]), ("class", T.INT64, ["N"]), ("name", T.STRING, ["N"])],
        {"w": weight(30, 3) / 100}, ml=True,
    ), rows)

    # A bool output, one a row and five a row.
    case("bool_outputs", graph(
        [
            h.make_node("Slice", ["X", "zero", "five", "one"], ["first"]),
            h.make_node("Greater", ["first", "limits"], ["above"]),
            h.make_node("ReduceMean", ["X"], ["mean"], axes=[1], keepdims=0),
            h.make_node("Greater", ["mean", "limit"], ["large"]),
        ],
        [("X", T.FLOAT, ["N", 30])], [("above", T.BOOL, ["N", 5]), ("large", T.BOOL, ["N"])],
        {"zero": np.array([0]), "five": np.array([5]), "one": np.array([1]),
         "limits": np.array([14, 18, 90, 600, 0.1], np.float32),
         "limit": np.array(60, np.float32)},
    ), rows)

    # Every element type as input and as output, some of rank 1, and one output never finite.
    case("all_types", graph(
        [h.make_node("Identity", [f"in_{t}"], [f"out_{t}"])
         for t in ("f32", "f64", "i32", "i64", "u8", "bool", "string")]
        + [h.make_node("Div", ["in_f32", "zero"], ["out_infinite"])],
        [("in_f32", T.FLOAT, ["N"]), ("in_f64", T.DOUBLE, ["N", 1]), ("in_i32", T.INT32, ["N", 3]),
         ("in_i64", T.INT64, ["N"]), ("in_u8", T.UINT8, ["N", 2, 2]), ("in_bool", T.BOOL, ["N", 1]),
         ("in_string", T.STRING, ["N"])],
        [("out_f32", T.FLOAT, ["N"]), ("out_f64", T.DOUBLE, ["N", 1]), ("out_i32", T.INT32, ["N", 3]),
         ("out_i64", T.INT64, ["N"]), ("out_u8", T.UINT8, ["N", 2, 2]), ("out_bool", T.BOOL, ["N", 1]),
         ("out_string", T.STRING, ["N"]), ("out_infinite", T.FLOAT, ["N"])],
        {"zero": np.array(0, np.float32)},
    ), {
        "in_f32": rng.normal(0, 1, ROWS).astype(np.float32),
        "in_f64": rng.normal(0, 1, (ROWS, 1)),
        "in_i32": rng.integers(-2**31, 2**31, (ROWS, 3)).astype(np.int32),
        # Beyond 2^53 a float64 on the way would lose digits.
        "in_i64": rng.integers(-2**63, 2**63 - 1, ROWS),
        "in_u8": rng.integers(0, 256, (ROWS, 2, 2)).astype(np.uint8),
        "in_bool": rng.integers(0, 2, (ROWS, 1)).astype(bool),
        "in_string": np.array([f"row {i} – \"ü\"" if i else "" for i in range(ROWS)], dtype=object),
    })


# ---------------------------------------------------------------- bad models

def write_bad():
    """Files that must be refused, each with its own sentence."""
    BAD.mkdir(parents=True, exist_ok=True)
    whole = (MODELS / "mlp30" / "model.onnx").read_bytes()
    (BAD / "truncated.onnx").write_bytes(whole[: len(whole) * 2 // 3])
    (BAD / "not_onnx.onnx").write_text("This is a text file that somebody named .onnx.\n")
    (BAD / "empty.onnx").write_bytes(b"")

    x, y = ("X", T.FLOAT, ["N", 30]), ("Y", T.FLOAT, ["N", 30])
    relu = [h.make_node("Relu", ["X"], ["Y"])]
    write_raw("future_opset", graph(relu, [x], [y], opset=99))
    write_raw("unknown_op", graph([h.make_node("Frobnicate", ["X"], ["Y"])], [x], [y]))
    # These two load and run, but what comes out has no row dimension: a scalar, and
    # always one element, however many rows went in.
    write_raw("no_batch", graph(
        [h.make_node("ReduceSum", ["X"], ["total"], keepdims=0)], [x], [("total", T.FLOAT, [])]))
    write_raw("no_batch_one", graph(
        [h.make_node("ReduceSum", ["X"], ["all"], keepdims=0),
         h.make_node("Reshape", ["all", "one"], ["total"])],
        [x], [("total", T.FLOAT, [1])], {"one": np.array([1])}))


def write_raw(name, model):
    """Writes without onnx.checker, which would refuse most of these."""
    model.graph.name = name
    (BAD / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def check_bad():
    """Shows how onnxruntime takes each of them."""
    for path in sorted(BAD.glob("*.onnx")):
        try:
            shapes = [value.shape for value in session(path).run(None, {"X": np.ones((3, 30), np.float32)})]
            answer = f"runs; 3 rows give {shapes}"
        except Exception as error:  # noqa: BLE001: every kind of refusal is welcome here
            answer = " ".join(str(error).replace(str(BAD), "").split())
        assert answer.startswith("runs") == path.stem.startswith("no_batch"), f"{path.name}: {answer}"
        if "-v" in sys.argv:
            print(f"{path.name:20} {path.stat().st_size:6} bytes: {answer}")


def main():
    warnings.filterwarnings("ignore")
    shutil.rmtree(MODELS, ignore_errors=True)
    shutil.rmtree(BAD, ignore_errors=True)
    data = float_data()
    write_sklearn(*data)
    write_strings()
    write_boosters(*data)
    write_handmade(data[0])
    write_bad()
    check_bad()
    sizes = [path.stat().st_size for path in MODELS.glob("*/model.onnx")]
    assert max(sizes) <= 100_000 and sum(sizes) <= 3_000_000
    print(f"{len(sizes)} models, {sum(sizes):,} bytes, the largest {max(sizes):,}")


if __name__ == "__main__":
    main()
