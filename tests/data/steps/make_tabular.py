"""Writes the cases of the steps for tables and scores. `pip install -r requirements.txt`, then run it: same versions, same bytes."""

import numpy as np
import sklearn
from sklearn import preprocessing

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


if __name__ == "__main__":
    concat()
    scale()
    softmax()
