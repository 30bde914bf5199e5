"""Writes the cases of the steps for tables and scores. `pip install -r requirements.txt`, then run it: same versions, same bytes."""

import numpy as np
import scipy
import sklearn
from scipy.special import expit
from sklearn import preprocessing
from sklearn.impute import SimpleImputer

from sheets import case, labelled, write

SKLEARN = f"scikit-learn {sklearn.__version__}"
NUMPY = f"numpy {np.__version__}"


class Draw:
    """Seeded random numbers, and what the cases have in common."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def rows(self, number):
        """1 row now and then."""
        return 1 if number % 7 == 0 else int(self.rng.integers(2, 7))

    def shape(self, number, ranks=(0, 1, 1, 2)):
        """The shape of a row."""
        rank = ranks[number % len(ranks)]
        return tuple(int(size) for size in self.rng.integers(1, 5, rank))

    def floats(self, rows, shape, dtype=np.float32, spread=10.0, nan=0.0, inf=0.0):
        array = (self.rng.normal(0, spread, (rows, *shape))).astype(dtype)
        array = np.round(array, 3)
        array[self.rng.random(array.shape) < inf] = np.inf
        array[self.rng.random(array.shape) < inf] = -np.inf
        array[self.rng.random(array.shape) < nan] = np.nan
        return array

    def ints(self, rows, shape, dtype=np.int64, low=-9, high=10):
        if dtype == np.uint8:
            low = max(low, 0)
        return self.rng.integers(low, high, (rows, *shape)).astype(dtype)

    def numbers(self, number, rows, shape, **more):
        """Every type of number in turn."""
        dtype = [np.float32, np.float64, np.float32, np.int64, np.float32, np.int32, np.uint8][number % 7]
        if np.issubdtype(dtype, np.floating):
            return self.floats(rows, shape, dtype, **more)
        return self.ints(rows, shape, dtype)


def floating(array):
    """The type that a step answers in: f64 stays, everything else is f32."""
    return array if array.dtype == np.float64 else array.astype(np.float32)


def as_table(array):
    """Rows and columns, as scikit-learn takes them."""
    return array.reshape(-1, array.shape[-1] if array.ndim > 1 else 1)


def concat():
    draw, cases = Draw(1), []
    for number in range(24):
        rows = draw.rows(number)
        kinds = [(np.float32,), (np.int64, np.float32), (np.float32, np.float64), (np.int32, np.int64), (np.uint8, np.int32)]
        parts = []
        for place in range(int(draw.rng.integers(1, 5))):
            dtype = kinds[number % len(kinds)][place % len(kinds[number % len(kinds)])]
            shape = draw.shape(place + number, (0, 1))
            if np.issubdtype(dtype, np.floating):
                parts.append(draw.floats(rows, shape, dtype, nan=0.2))
            else:
                parts.append(draw.ints(rows, shape, dtype))
        wide = [part.reshape(rows, -1) for part in parts]
        order = [np.uint8, np.int32, np.int64, np.float32, np.float64]
        dtype = max((part.dtype.type for part in parts), key=order.index)
        answer = np.concatenate([part.astype(dtype) for part in wide], axis=1)
        cases.append(case({}, parts, answer))
    write("concat", NUMPY + " concatenate", cases)


def scale():
    draw, cases = Draw(2), []
    cases.append(case({"center": 40, "scale": 10}, [np.array([55], np.float32)], np.array([1.5], np.float32)))
    for number in range(27):
        rows = draw.rows(number)
        shape = draw.shape(number)
        train = draw.floats(60, shape, np.float64, spread=100.0) + 30
        array = draw.numbers(number, rows, shape, nan=0.1, inf=0.05)
        fitted = [preprocessing.StandardScaler(), preprocessing.RobustScaler(), preprocessing.MinMaxScaler()][number % 3]
        fitted.fit(as_table(train))
        center, spread = {
            0: lambda: (fitted.mean_, fitted.scale_),
            1: lambda: (fitted.center_, fitted.scale_),
            2: lambda: (fitted.data_min_, fitted.data_range_),
        }[number % 3]()
        table = as_table(floating(array)).astype(np.float64)
        table = np.where(np.isinf(table), 0, table)  # scikit-learn refuses infinite numbers
        answer = fitted.transform(table)
        answer = np.where(np.isinf(as_table(floating(array))), as_table(floating(array)), answer)
        answer = answer.reshape(array.shape).astype(floating(array).dtype)
        one = center.size == 1 and number % 2 == 0
        params = {"center": center[0] if one else center, "scale": spread[0] if one else spread}
        rtol = 1e-12 if array.dtype == np.float64 else 1e-6
        cases.append(case(params, [array], answer, rtol, 1e-7 if rtol > 1e-9 else 1e-13))
    write("scale", SKLEARN + " StandardScaler, RobustScaler, MinMaxScaler", cases)


def softmax():
    draw, cases = Draw(3), []
    cases.append(case({}, [np.zeros((1, 2), np.float32)], np.full((1, 2), 0.5, np.float32)))
    for number in range(23):
        shape = draw.shape(number, (1, 2, 1, 3))
        array = draw.numbers(number, draw.rows(number), shape)
        wide = floating(array).astype(np.float64)
        e = np.exp(wide - wide.max(-1, keepdims=True))
        answer = (e / e.sum(-1, keepdims=True)).astype(floating(array).dtype)
        rtol = 1e-12 if array.dtype == np.float64 else 3e-6
        cases.append(case({}, [array], answer, rtol, 1e-9 if rtol > 1e-9 else 1e-15))
    write("softmax", NUMPY, cases)




def impute():
    draw, cases = Draw(4), []
    cases.append(case({"value": [40, 0.5]}, [np.array([[np.nan, 2]], np.float32)], np.array([[40, 2]], np.float32)))
    words = np.array([["a"], [""], ["b"]], dtype=object)
    cases.append(case({"value": "none", "missing": ""}, [words], np.array([["a"], ["none"], ["b"]], dtype=object)))
    for number in range(26):
        rows, shape = draw.rows(number), draw.shape(number)
        array = draw.numbers(number, rows, shape, nan=0.3, inf=0.1)
        whole = not np.issubdtype(array.dtype, np.floating)
        missing = 3 if whole or number % 3 == 0 else np.nan
        if missing == 3:
            array[draw.rng.random(array.shape) < 0.3] = 3
        columns = shape[-1] if shape else 1
        values = draw.rng.integers(0, 9, columns) if whole else np.round(draw.rng.normal(0, 5, columns), 2)
        params = {"value": values[0] if number % 2 else values, "missing": None if np.isnan(missing) else missing}
        found = np.isnan(array) if np.isnan(missing) else array == missing
        answer = np.where(found, np.asarray(values[0] if number % 2 else values).astype(array.dtype), array)
        if number % 4 == 0:
            params["indicator"] = True
            pair = [part.reshape(rows, 1) if part.ndim == 1 else part for part in (answer, found.astype(array.dtype))]
            answer = np.concatenate(pair, axis=-1)
        cases.append(case(params, [array], answer))
    for number in range(8):
        # scikit-learn itself, where it takes the same: a table of floats, and of texts.
        rows = draw.rows(number)
        train = draw.floats(30, (3,), nan=0.2)
        fitted = SimpleImputer(strategy=["mean", "median"][number % 2]).fit(train)
        array = draw.floats(rows, (3,), nan=0.3)
        cases.append(case({"value": fitted.statistics_}, [array], fitted.transform(array), 1e-7))
        shape = draw.shape(number)
        array = draw.rng.choice(["x", "é", "", "nil"], (rows, *shape)).astype(object)
        answer = np.where(array == "nil", "?", array).astype(object)
        cases.append(case({"value": "?", "missing": "nil"}, [array], answer))
    array = draw.rng.choice(["x", ""], (4, 2)).astype(object)
    answer = np.where(array == "", np.array(["left", "right"], dtype=object), array)
    cases.append(case({"value": ["left", "right"], "missing": ""}, [array], answer))
    write("impute", f"{SKLEARN} SimpleImputer, {NUMPY} where", cases)


def clip():
    draw, cases = Draw(5), []
    cases.append(case({"low": 0, "high": 1}, [np.array([1.5], np.float32)], np.array([1], np.float32)))
    for kind in (np.float32, np.float64):
        array = np.array([np.inf, -np.inf, np.nan, 0.5, -2, 3], kind)
        cases.append(case({"low": 0}, [array], np.clip(array, 0, None)))
        cases.append(case({"high": 1}, [array], np.clip(array, None, 1)))
    for number in range(30):
        shape = draw.shape(number)
        array = draw.numbers(number, draw.rows(number), shape, nan=0.2, inf=0.1)
        columns = shape[-1] if shape else 1
        low = draw.rng.integers(0, 4, columns).astype(float)
        high = low + draw.rng.integers(0, 6, columns)
        if number % 5 == 1:
            low, high = low + 0.5, high + 0.75
        if number % 3 == 0:
            low, high = low[:1], high[:1]
            high = np.maximum(low, high)
        if number % 3 == 1:
            low = low[:1] * 0 - (0 if array.dtype == np.uint8 else 3)
        low = None if number % 6 == 4 else low
        high = None if number % 6 == 5 else high
        bounds = np.concatenate([bound for bound in (low, high) if bound is not None])
        if (bounds % 1 == 0).all():
            answer = np.clip(array, *[bound if bound is None else bound.astype(array.dtype) for bound in (low, high)])
        else:
            kind = floating(array).dtype
            answer = np.clip(floating(array), *[bound if bound is None else bound.astype(kind) for bound in (low, high)])
        cases.append(case({"low": low, "high": high}, [array], answer))
    write("clip", NUMPY + " clip", cases)


def log1p():
    draw, cases = Draw(6), []
    cases.append(case({}, [np.array([0, 1.718281828], np.float32)], np.array([0, 1], np.float32), 1e-6))
    for number in range(24):
        array = draw.numbers(number, draw.rows(number), draw.shape(number), nan=0.1, inf=0.1)
        if number % 3 == 0:
            array = (np.abs(draw.floats(draw.rows(number), draw.shape(number), spread=1)) * 10.0 ** -int(number % 8)).astype(array.dtype)
        if number % 5 == 0:
            array.flat[0] = np.array(-1).astype(array.dtype) if array.dtype != np.uint8 else 0
        with np.errstate(all="ignore"):
            answer = np.log1p(array.astype(np.float64)).astype(floating(array).dtype)
        rtol = 1e-14 if array.dtype == np.float64 else 2e-7
        cases.append(case({}, [array], answer, rtol, 3e-16))
    write("log1p", NUMPY + " log1p", cases)


def bucketize():
    draw, cases = Draw(7), []
    cases.append(case({"boundaries": [0, 10]}, [np.array([-1, 0, 9.5, 10], np.float32)], np.array([0, 1, 1, 2])))
    for number in range(30):
        array = draw.numbers(number, draw.rows(number), draw.shape(number), nan=0.1, inf=0.1)
        count = int(draw.rng.integers(1, 7))
        edges = np.unique(np.round(draw.rng.normal(0, 6, count), number % 3))
        if number % 4 == 0:
            array.flat[0] = edges.astype(array.dtype)[0] if array.dtype != np.uint8 else 1
        same = edges.astype(array.dtype) if np.issubdtype(array.dtype, np.floating) else edges
        cases.append(case({"boundaries": edges}, [array], np.digitize(array, same)))
    for number in range(4):
        train = draw.floats(50, (1,))
        fitted = preprocessing.KBinsDiscretizer(4, encode="ordinal", strategy="quantile", quantile_method="averaged_inverted_cdf").fit(train)
        array = draw.floats(6, (1,))
        answer = fitted.transform(array).astype(np.int64)
        cases.append(case({"boundaries": fitted.bin_edges_[0][1:-1]}, [array], answer))
    write("bucketize", f"{NUMPY} digitize, {SKLEARN} KBinsDiscretizer", cases)


def categories(draw, number):
    """Columns with their categories: (arrays, lists, the columns one by one)."""
    rows = draw.rows(number)
    kinds = ["text", "i64", "text", "f32", "bool", "f64", "text", "i32", "u8"]
    pools = {
        "text": ["NY", "TX", "", "München", "日本", "a b", "ny", "tx "],
        "i64": [-5, 0, 1, 7, 2**40, 12],
        "i32": [-5, 0, 1, 7, 12],
        "u8": [0, 1, 7, 12],
        "f32": [-0.5, 0.1, 1, 2.25, 1e10],
        "f64": [-0.5, 0.1, 1, 2.25, 1e-10, 0.1000000001],
        "bool": [False, True],
    }
    types = {"text": object, "i64": np.int64, "i32": np.int32, "u8": np.uint8, "f32": np.float32, "f64": np.float64, "bool": bool}
    arrays, lists, columns = [], [], []
    shared = number % 3 == 0
    for place in range(1 if number % 4 == 0 else int(draw.rng.integers(1, 4))):
        kind = kinds[(number + (0 if shared else place)) % len(kinds)]
        pool = pools[kind]
        width = [None, 1, 2, 3][int(draw.rng.integers(0, 4))]
        made = np.empty((rows, width or 1), types[kind])
        for column in range(width or 1):
            if shared and lists:
                chosen = lists[0]
            else:
                count = int(draw.rng.integers(1, len(pool) + 1))
                chosen = [pool[at] for at in draw.rng.permutation(len(pool))[:count]]
            lists.append(chosen)
            made[:, column] = [pool[at] for at in draw.rng.integers(0, len(pool), rows)]
            columns.append(made[:, column])
        arrays.append(made[:, 0] if width is None else made)
    return arrays, lists[0] if shared else lists, columns, lists


def one_hot():
    draw, cases = Draw(8), []
    words = np.array(["TX", "WA"], dtype=object)
    cases.append(case({"categories": ["NY", "TX"]}, [words], np.array([[0, 1], [0, 0]], np.float32)))
    for number in range(45):
        arrays, written, columns, lists = categories(draw, number)
        other = number % 5 == 2
        parts = []
        for column, chosen in zip(columns, lists):
            encoder = preprocessing.OneHotEncoder(categories=[np.array(chosen, column.dtype)], handle_unknown="ignore", sparse_output=False, dtype=np.float32)
            if column.dtype != object and chosen != sorted(chosen):
                # scikit-learn wants numbers sorted; the columns are put back into the written order.
                order = np.argsort(np.argsort(np.array(chosen, column.dtype)))
                encoder.set_params(categories=[np.sort(np.array(chosen, column.dtype))])
                part = encoder.fit_transform(column.reshape(-1, 1))[:, order]
            else:
                part = encoder.fit_transform(column.reshape(-1, 1))
            if other:
                part = np.concatenate([part, 1 - part.sum(1, keepdims=True)], axis=1)
            parts.append(part)
        answer = np.concatenate(parts, axis=1).astype(np.float32)
        cases.append(case({"categories": written, "unknown": "last" if other else None}, arrays, answer))
    write("one_hot", SKLEARN + " OneHotEncoder", cases)


def ordinal():
    draw, cases = Draw(9), []
    words = np.array(["high", "none"], dtype=object)
    cases.append(case({"categories": ["low", "mid", "high"]}, [words], np.array([2, -1])))
    for number in range(45):
        arrays, written, columns, lists = categories(draw, number)
        unknown = [None, -1, 99, 5][number % 4]
        parts = []
        for column, chosen in zip(columns, lists):
            kinds = np.array(chosen, column.dtype)
            order = np.argsort(kinds) if column.dtype != object else np.arange(len(chosen))
            encoder = preprocessing.OrdinalEncoder(categories=[kinds[order]], handle_unknown="use_encoded_value", unknown_value=-1)
            found = encoder.fit(kinds[order].reshape(-1, 1)).transform(column.reshape(-1, 1))[:, 0].astype(np.int64)
            parts.append(np.where(found < 0, -1 if unknown is None else unknown, order[found]))
        answer = np.stack(parts, axis=1)
        if len(arrays) == 1 and arrays[0].ndim == 1:
            answer = answer[:, 0]
        kind = [None, "f32", "i64"][number % 3]
        answer = answer.astype(np.float32 if kind == "f32" else np.int64)
        cases.append(case({"categories": written, "unknown": unknown, "dtype": kind}, arrays, answer))
    write("ordinal", SKLEARN + " OrdinalEncoder", cases)


def select():
    draw, cases = Draw(10), []
    example = np.array([[0.1, 0.7, 0.2]], np.float32)
    cases.append(case({"column": 1}, [example], example[:, 1]))
    cases.append(case({"columns": [2, 0]}, [example], example[:, [2, 0]]))
    cases.append(case({"from": 1}, [example], example[:, 1:]))
    for number in range(30):
        rows, shape = draw.rows(number), draw.shape(number, (1, 1, 2, 3))
        size = shape[-1]
        array = draw.numbers(number, rows, shape, nan=0.1, inf=0.1)
        if number % 5 == 0:
            array = draw.rng.choice(["a", "", "é"], (rows, *shape)).astype(object)
        if number % 11 == 0:
            array = draw.rng.random((rows, *shape)) < 0.5
        labels = [f"class {place}" for place in range(size)] if number % 4 == 1 and len(shape) == 1 else None
        given = [array] if labels is None else [labelled(array, labels)]
        where = int(draw.rng.integers(-size, size))
        if number % 3 == 0:
            params, answer, kept = {"column": where}, array[..., where], None
            if labels:
                params = {"column": labels[where]}
        elif number % 3 == 1:
            chosen = draw.rng.integers(-size, size, int(draw.rng.integers(1, 6)))
            params, answer = {"columns": chosen}, array[..., chosen]
            kept = labels and [labels[place] for place in chosen]
            if labels and number % 2:
                params = {"columns": kept}
        else:
            first, last = sorted(draw.rng.choice(size + 1, 2, replace=False).tolist())
            params = {"from": first, "to": last}
            if number % 2 and first > 0 and last < size:
                params = {"from": first - size, "to": last - size}
            kept = labels and labels[first:last]
            answer = array[..., first:last]
        cases.append(case(params, given, labelled(answer, kept) if kept else answer))
    write("select", NUMPY, cases)


def cyclic():
    draw, cases = Draw(11), []
    cases.append(case({"period": 24}, [np.array([6], np.float32)], np.array([[1, 0]], np.float32), 0, 1e-7))
    answer = np.array([[-0.5, 0.8660254]], np.float32)
    cases.append(case({"part": "hour"}, [np.array([1700000000])], answer, 0, 1e-6))
    for number in range(20):
        period = float(draw.rng.choice([24, 7, 12, 365.25, 0.5]))
        array = draw.numbers(number, draw.rows(number), draw.shape(number), nan=0.1)
        angle = 2 * np.pi * array.astype(np.float64) / period
        answer = np.stack([np.sin(angle), np.cos(angle)], -1).reshape(len(array), -1).astype(floating(array).dtype)
        atol = 1e-13 if array.dtype == np.float64 else 2e-5 if period < 1 else 1e-6
        cases.append(case({"period": period}, [array], answer, 0, atol))
    steps = {"minute": (60, 60), "hour": (3600, 24), "weekday": (86400, 7)}
    for number in range(36):
        part = list(steps)[number % 3]
        offset = [None, 0, 5.5, -8, 14, -3.5][number % 6]
        times = draw.ints(draw.rows(number), draw.shape(number), np.int64, -(2**31), 2**33)
        if number % 4 == 0:
            times -= times % 3600  # on the hour
        if number % 2:
            times = times.astype(np.float64) + np.round(draw.rng.random(times.shape), 3) * (number % 4 == 1)
        local = np.floor(times + (offset or 0) * 3600).astype("datetime64[s]")
        # As pandas: whole parts of the calendar's time.
        days = local.astype("datetime64[D]")
        whole = {
            "minute": lambda: (local - local.astype("datetime64[h]")).astype(np.int64) // 60,
            "hour": lambda: (local - days).astype(np.int64) // 3600,
            "weekday": lambda: (days.astype(np.int64) + 3) % 7,
        }[part]()
        angle = 2 * np.pi * whole / steps[part][1]
        answer = np.stack([np.sin(angle), np.cos(angle)], -1).reshape(len(times), -1).astype(np.float32)
        cases.append(case({"part": part, "offset_hours": offset}, [times], answer, 0, 1e-7))
    times = np.array([1.7e9, np.nan])
    answer = np.array([[-0.5, 0.8660254], [np.nan, np.nan]], np.float32)
    cases.append(case({"part": "hour"}, [times], answer, 0, 1e-7))
    write("cyclic", NUMPY + " sin, cos, datetime64", cases)


def sigmoid():
    draw, cases = Draw(12), []
    cases.append(case({}, [np.array([0, 2], np.float32)], np.array([0.5, 0.880797], np.float32), 0, 1e-6))
    for number in range(24):
        array = draw.numbers(number, draw.rows(number), draw.shape(number), nan=0.1, inf=0.1)
        answer = expit(array.astype(np.float64)).astype(floating(array).dtype)
        cases.append(case({}, [array], answer, 0, 1e-15 if array.dtype == np.float64 else 2e-7))
    write("sigmoid", f"scipy {scipy.__version__} expit", cases)


def l2_normalize():
    draw, cases = Draw(13), []
    cases.append(case({}, [np.array([[3, 4]], np.float32)], np.array([[0.6, 0.8]], np.float32), 1e-7))
    for number in range(28):
        shape = draw.shape(number, (1, 1, 2, 3))
        array = draw.numbers(number, draw.rows(number), shape, nan=0.05 if number % 3 == 0 else 0)
        if number % 2:
            array[0] = 0
        wide = floating(array).astype(np.float64)
        epsilon = 5.0 if number % 4 == 0 else None
        length = np.sqrt((wide**2).sum(-1, keepdims=True))
        if epsilon:
            answer = wide / np.maximum(length, epsilon)
        elif np.isnan(wide).any():
            answer = wide / np.where(length == 0, 1, length)
        else:
            answer = preprocessing.normalize(as_table(wide)).reshape(wide.shape)
        rtol = 1e-14 if array.dtype == np.float64 else 5e-7
        cases.append(case({"epsilon": epsilon}, [array], answer.astype(floating(array).dtype), rtol))
    write("l2_normalize", SKLEARN + " normalize; with epsilon torch's formula in " + NUMPY, cases)


def denormalize():
    draw, cases = Draw(14), []
    cases.append(case({"center": 40, "scale": 10}, [np.array([1.5], np.float32)], np.array([55], np.float32)))
    for number in range(27):
        rows, shape = draw.rows(number), draw.shape(number)
        train = draw.floats(60, shape, np.float64, spread=100.0) + 30
        array = draw.numbers(number, rows, shape, spread=1.0)
        table = as_table(floating(array)).astype(np.float64)
        if number % 3 == 0:
            fitted = preprocessing.MinMaxScaler((-1, 1)).fit(as_table(train))
            answer, center, spread = fitted.transform(table), fitted.min_, fitted.scale_
        else:
            fitted = [preprocessing.StandardScaler(), preprocessing.RobustScaler()][number % 2].fit(as_table(train))
            answer, spread = fitted.inverse_transform(table), fitted.scale_
            center = fitted.center_ if number % 2 else fitted.mean_
        one = center.size == 1 and number % 2 == 0
        params = {"center": center[0] if one else center, "scale": spread[0] if one else spread}
        answer = answer.reshape(array.shape).astype(floating(array).dtype)
        rtol, atol = (1e-13, 1e-12) if array.dtype == np.float64 else (1e-6, 2e-5)
        cases.append(case(params, [array], answer, rtol, atol))
    write("denormalize", SKLEARN + " MinMaxScaler.transform, inverse_transform", cases)


def scores(draw, number, ties):
    shape = draw.shape(number, (1, 1, 2, 3))
    array = draw.numbers(number, draw.rows(number), shape)
    if ties:
        array = (array // 5).astype(array.dtype)
    return array


def argmax():
    draw, cases = Draw(15), []
    example = np.array([[0.1, 0.7, 0.2]], np.float32)
    cases.append(case({}, [example], np.array([1])))
    cases.append(case({"labels": ["cat", "dog", "fox"]}, [example], np.array(["dog"], dtype=object)))
    for number in range(28):
        array = scores(draw, number, number % 2)
        answer = array.argmax(-1)
        labels = None
        if number % 3 == 0:
            labels = [f"{place}é" for place in range(array.shape[-1])]
            answer = np.array(labels, dtype=object)[answer]
        cases.append(case({"labels": labels}, [array], answer))
    write("argmax", NUMPY + " argmax", cases)


def top_k():
    draw, cases = Draw(16), []
    example = np.array([[0.1, 0.7, 0.2]], np.float32)
    cases.append(case({"k": 2}, [example], {"values": np.array([[0.7, 0.2]], np.float32), "indices": np.array([[1, 2]])}))
    for number in range(28):
        array = scores(draw, number, number % 2)
        k = int(draw.rng.integers(1, array.shape[-1] + 1))
        places = np.argsort(-array.astype(np.float64), axis=-1, kind="stable")[..., :k]
        values = np.take_along_axis(array, places, -1)
        if array.dtype == np.uint8:
            values = values.astype(np.int32)
        outputs, labels = {"values": values, "indices": places}, None
        if number % 3 == 0:
            labels = [f"{place}é" for place in range(array.shape[-1])]
            outputs["labels"] = np.array(labels, dtype=object)[places]
        cases.append(case({"k": k, "labels": labels}, [array], outputs))
    write("top_k", NUMPY + " argsort(kind=stable)", cases)


def threshold():
    draw, cases = Draw(17), []
    cases.append(case({"at": 0.5}, [np.array([[0.2, 0.5]], np.float32)], np.array([[False, True]])))
    answer = np.array(["spam"], dtype=object)
    cases.append(case({"at": 0.5, "labels": ["ham", "spam"]}, [np.array([0.9], np.float32)], answer))
    for number in range(30):
        shape = draw.shape(number)
        array = draw.numbers(number, draw.rows(number), shape, nan=0.1, inf=0.1)
        columns = shape[-1] if shape else 1
        at = np.round(draw.rng.normal(0, 4, columns if number % 2 else 1), number % 3)
        if number % 4 == 0:
            array.flat[0] = np.abs(at[0]).astype(array.dtype)
            at[0] = np.abs(at[0])
        same = at.astype(array.dtype) if np.issubdtype(array.dtype, np.floating) else at
        mask = array >= same
        names = [f"tag {place}" for place in range(columns)] if number % 5 == 0 and len(shape) == 1 else None
        given = labelled(array, names) if names else array
        if number % 3 == 0:
            answer = np.where(mask, "yes", "no").astype(object)
            params = {"at": at, "labels": ["no", "yes"]}
        else:
            answer, params = mask, {"at": at[0] if at.size == 1 else at}
        cases.append(case(params, [given], labelled(answer, names) if names else answer))
    write("threshold", NUMPY, cases)


def average():
    draw, cases = Draw(18), []
    pair = [np.array([[0.2, 0.8]], np.float32), np.array([[0.4, 0.6]], np.float32)]
    cases.append(case({}, pair, np.array([[0.3, 0.7]], np.float32), 1e-6))
    for number in range(28):
        rows, shape = draw.rows(number), draw.shape(number)
        count = int(draw.rng.integers(2, 6))
        arrays = [draw.numbers(number + place * (number % 3), rows, shape) for place in range(count)]
        weights = None if number % 3 == 0 else np.round(draw.rng.random(count) * 4, 1) + 0.1
        kind = np.float64 if any(array.dtype == np.float64 for array in arrays) else np.float32
        answer = np.average(np.stack([array.astype(np.float64) for array in arrays]), axis=0, weights=weights).astype(kind)
        names = [f"class {place}" for place in range(shape[0])] if number % 4 == 1 and len(shape) == 1 else None
        given = [labelled(array, names) for array in arrays] if names else arrays
        rtol, atol = (1e-12, 1e-13) if kind == np.float64 else (1e-6, 2e-6)
        cases.append(case({"weights": weights}, given, labelled(answer, names) if names else answer, rtol, atol))
    write("average", NUMPY + " average", cases)


def vote():
    draw, cases = Draw(19), []
    cases.append(case({}, [np.array([2]), np.array([1]), np.array([1])], np.array([1])))
    for number in range(34):
        rows, shape = draw.rows(number), draw.shape(number)
        count = int(draw.rng.integers(2, 7))
        kind = [np.int64, object, np.int32, bool, np.uint8][number % 5]
        pool = np.array({object: ["cat", "dog", "", "fox"], bool: [False, True]}.get(kind, [0, 1, 2, 7]), dtype=kind)
        said = pool[draw.rng.integers(0, len(pool), (count, rows, *shape))]
        weights = None if number % 2 else draw.rng.integers(0, 4, count).astype(float) + 0.25
        each = np.ones(count) if weights is None else weights
        # The weight of all that say the same, for each voter; the first of the greatest.
        votes = np.stack([((said == said[one]).T * each).T.sum(0) for one in range(count)])
        answer = np.take_along_axis(said, votes.argmax(0)[None], 0)[0]
        labels = ["cat", "dog", "", "fox"] if kind is object else None
        cases.append(case({"weights": weights, "labels": labels}, list(said), answer))
    write("vote", NUMPY + " (counted by hand: VotingClassifier breaks ties another way)", cases)


if __name__ == "__main__":
    for step in [
        concat, scale, softmax, impute, clip, log1p, bucketize, one_hot, ordinal, select,
        cyclic, sigmoid, l2_normalize, denormalize, argmax, top_k, threshold, average, vote,
    ]:
        step()
