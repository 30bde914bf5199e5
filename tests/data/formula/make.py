"""Makes cases.json: formulas over made-up columns, and what numpy says that they give.

    pip install numpy==2.4.6
    python tests/data/formula/make.py

The rules of types are written here a second time, from docs/formulas.md. A random formula is kept only
where it is well-conditioned: evaluated again with more digits (f32 as f64, f64 as the long double of
x86-64, 64 bits of mantissa), the result must be the same but for the last digits. Otherwise the last
digit of an exponential would decide.
"""

import json
import math
import random
import warnings
from pathlib import Path

import numpy as np

ROWS = 8
CASES = 640
rng = np.random.default_rng(20)
pick = random.Random(20)
warnings.simplefilter("ignore")

NUMPY = {"f32": np.float32, "f64": np.float64, "i64": np.int64, "i32": np.int32, "u8": np.uint8, "bool": np.bool_}
WIDER = {"f32": np.float64, "f64": np.longdouble}


def floats(dtype, shape=(), missing=False):
    values = rng.normal(0, 2, (ROWS, *shape)).round(3)
    values.flat[0] = 0.0
    values.flat[1] = 1.0
    if missing:
        values.flat[2] = math.nan
        values.flat[5] = math.nan
    return values.astype(NUMPY[dtype])


def whole(dtype, low, high, shape=()):
    return rng.integers(low, high, (ROWS, *shape)).astype(NUMPY[dtype])


COLUMNS = {
    "a": ("f32", floats("f32")),
    "b": ("f32", np.abs(floats("f32")) + np.float32(0.25)),
    "a_nan": ("f32", floats("f32", missing=True)),
    "share": ("f32", rng.uniform(-1, 1, ROWS).astype(np.float32)),
    "x": ("f64", floats("f64")),
    "y": ("f64", np.abs(floats("f64")) + 0.25),
    "x_nan": ("f64", floats("f64", missing=True)),
    "part": ("f64", rng.uniform(-1, 1, ROWS)),
    "n": ("i64", whole("i64", -9, 10)),
    "k": ("i64", whole("i64", 1, 5)),
    "big": ("i64", whole("i64", -(2**53), 2**53)),
    "i": ("i32", whole("i32", -1000, 1000)),
    "u": ("u8", whole("u8", 0, 256)),
    "p": ("bool", whole("bool", 0, 2)),
    "q": ("bool", whole("bool", 0, 2)),
    "one": ("f32", floats("f32", (1,))),
    "v": ("f32", floats("f32", (3,))),
    "w": ("f64", np.abs(floats("f64", (3,))) + 0.5),
    "m": ("i64", whole("i64", -5, 6, (3,))),
    "grid": ("f32", floats("f32", (2, 2))),
    "crop": ("string", np.array(["maize", "wheat", "", "maize", "größe", "it's", "rye", "Maize"], dtype=object)),
    "other": ("string", np.array(["maize", "rye", "", "wheat", "größe", "its", "rye", "maize"], dtype=object)),
    "tags": ("string", np.array([["a", "b"]] * 4 + [["b", "c"]] * 4, dtype=object)),
}


def join(*types):
    """The type of numbers that meet; `int` and `float` are literals."""
    types = set(types)
    if len(types) == 1:
        return types.pop()
    if "f64" in types:
        return "f64"
    if "f32" in types:
        return "f32"
    if types == {"int", "i64"}:
        return "i64"
    if types == {"int", "float"}:
        return "float"
    return "f32"  # i64 and a literal float


def to_float(kind):
    return {"i64": "f32", "int": "float"}.get(kind, kind)


class Node:
    """A part of a formula: `make(T)` evaluates it, `T` maps type names to those of numpy."""

    def __init__(self, text, kind, make, literal=None):
        self.text, self.kind, self.make, self.literal = text, kind, make, literal

    def as_type(self, kind):
        """The value in this type, as a function of the map of types; literals become what they meet."""

        def value(T):
            made = self.make(T, kind) if self.kind in ("int", "float") else self.make(T, self.kind)
            return made if kind == "bool" else np.asarray(made).astype(T[kind])

        return value


def literal(text, value):
    def make(T, kind):
        base = {"f32": np.float32, "f64": np.float64, "i64": np.int64, "float": np.float64, "int": np.int64}[kind]
        # What the formula holds is the rounded literal, also where more digits are worked with.
        return np.asarray(base(value)).astype(T.get(kind, base))

    return Node(text, "int" if isinstance(value, int) else "float", make, value)


def column(name):
    kind, values = COLUMNS[name]
    read = {"i32": "i64", "u8": "i64"}.get(kind, kind)
    return Node(name, read, lambda T, _: values if kind in ("bool", "string") else values.astype(T[read]))


def element(name, index):
    kind, values = COLUMNS[name]
    flat = values.reshape(ROWS, -1)
    return Node(f"{name}[{index}]", kind, lambda T, _: flat[:, index] if kind == "string" else flat[:, index].astype(T[kind]))


def rows(*values):
    """A single value for each row takes part in every element of a row."""
    values = [np.asarray(value) for value in values]
    rank = max(value.ndim for value in values)
    return [v.reshape(v.shape + (1,) * (rank - v.ndim)) if v.ndim else v for v in values]


def numbers(function, kind, *nodes, kinds=None):
    """A function of numbers that all become `kind`, or the literal type it stands for."""

    def make(T, wanted):
        target = wanted if kind in ("int", "float") else kind
        return function(*rows(*[node.as_type(target)(T) for node in nodes]))

    return make


def modulo(a, b):
    if np.issubdtype(np.asarray(a).dtype, np.integer):
        return np.where(b == 0, 0, np.mod(a, np.where(b == 0, 1, b)))
    return np.mod(a, b)


BINARY = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": modulo, "^": np.power}


FOLDED = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b}


def folded(text, value):
    """Literals alone are worked out as f64, or as whole numbers, before they meet anything."""
    return literal(text, value)


def arithmetic(op, left, right):
    if op in FOLDED and left.literal is not None and right.literal is not None:
        return folded(f"({left.text} {op} {right.text})", FOLDED[op](left.literal, right.literal))
    kind = join(left.kind, right.kind)
    if op in "/^":
        kind = to_float(kind)
    return Node(f"({left.text} {op} {right.text})", kind, numbers(BINARY[op], kind, left, right))


def negate(of):
    if of.literal is not None:
        return folded(f"(-{of.text})", -of.literal)
    return Node(f"(-{of.text})", of.kind, numbers(np.negative, of.kind, of))


COMPARE = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal}


def compare(first, *rest):
    def make(T, _):
        result, left = None, first
        for op, right in rest:
            if left.kind == "bool" or left.kind == "string":
                a, b = rows(left.make(T, left.kind), right.make(T, right.kind))
            else:
                kind = join(left.kind, right.kind)
                types = {left.kind, right.kind}
                if "i64" in types and types & {"float", "f32", "f64"}:
                    kind = "f64"
                if types <= {"int", "float"}:
                    kind = "i64" if types == {"int"} else "f64"
                a, b = rows(left.as_type(kind)(T), right.as_type(kind)(T))
            this = COMPARE[op](a, b).astype(np.bool_)
            result = this if result is None else np.logical_and(*rows(result, this))
            left = right
        return result

    text = first.text + "".join(f" {op} {node.text}" for op, node in rest)
    return Node(f"({text})", "bool", make)


def text_literal(text):
    quoted = text.replace("'", "''")
    return Node(f"'{quoted}'", "string", lambda T, _: np.asarray(text, dtype=object))


def logic(word, left, right):
    function = {"and": np.logical_and, "or": np.logical_or}[word]
    return Node(
        f"({left.text} {word} {right.text})", "bool", lambda T, _: function(*rows(left.make(T, "bool"), right.make(T, "bool")))
    )


def negation(of):
    return Node(f"(not {of.text})", "bool", lambda T, _: np.logical_not(of.make(T, "bool")))


def choose(condition, yes, no):
    kind = "bool" if yes.kind == "bool" else join(yes.kind, no.kind)

    def make(T, wanted):
        target = wanted if kind in ("int", "float") else kind
        return np.where(*rows(condition.make(T, "bool"), yes.as_type(target)(T), no.as_type(target)(T)))

    return Node(f"if({condition.text}, {yes.text}, {no.text})", kind, make)


def coalesce(*values):
    result = values[-1]
    for value in reversed(values[:-1]):
        result = np.where(np.isnan(value), result, value)
    return result


FLOAT = {
    "sqrt": np.sqrt, "exp": np.exp, "expm1": np.expm1, "log": np.log, "log2": np.log2, "log10": np.log10,
    "log1p": np.log1p, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
}
KEEPING = {"abs": np.abs, "sign": np.sign, "floor": np.floor, "ceil": np.ceil, "round": np.round}


def call(name, *nodes):
    text = f"{name}({', '.join(node.text for node in nodes)})"
    kinds = [node.kind for node in nodes]
    if name in FLOAT:
        kind = to_float(kinds[0])
        return Node(text, kind, numbers(FLOAT[name], kind, *nodes))
    if name in KEEPING:
        return Node(text, kinds[0], numbers(KEEPING[name], kinds[0], *nodes))
    if name == "pow":
        kind = to_float(join(*kinds))
        return Node(text, kind, numbers(np.power, kind, *nodes))
    if name in ("min", "max"):
        function = {"min": np.minimum, "max": np.maximum}[name]
        many = lambda *values: values[0] if len(values) == 1 else many(function(values[0], values[1]), *values[2:])
        return Node(text, join(*kinds), numbers(many, join(*kinds), *nodes))
    if name == "clip":
        clip = lambda x, low, high: np.minimum(np.maximum(x, low), high)
        return Node(text, join(*kinds), numbers(clip, join(*kinds), *nodes))
    if name == "coalesce":
        return Node(text, join(*kinds), numbers(coalesce, join(*kinds), *nodes))
    if name == "is_nan":
        return Node(text, "bool", lambda T, _: np.isnan(nodes[0].as_type(kinds[0])(T)))
    if name in ("f32", "f64"):
        return Node(text, name, lambda T, _: nodes[0].as_type(name)(T))
    if name == "if":
        return choose(*nodes)
    raise KeyError(name)


def random_literal():
    if pick.random() < 0.5:
        value = pick.randint(0, 9)
        return literal(str(value), value)
    value = pick.choice([0.1, 0.5, 1.5, 2.25, 3.0, 1e-3, 0.3])
    return literal(repr(value), value)


def random_leaf():
    if pick.random() < 0.3:
        return random_literal()
    name = pick.choice(["a", "a", "b", "x", "x", "y", "n", "k", "i", "u", "a_nan", "x_nan", "share", "part", "one", "v", "w", "m"])
    if name in ("v", "w", "m") and pick.random() < 0.4:
        return element(name, pick.randint(0, 2))
    return column(name)


def random_number(depth):
    if depth == 0:
        return random_leaf()
    inner = lambda: random_number(depth - 1 if pick.random() < 0.7 else 0)
    choice = pick.random()
    if choice < 0.45:
        op = pick.choice("++--**//%^")
        right = random_literal() if op == "^" else inner()
        if op in "/%" and right.literal is not None and right.literal == 0:
            right = literal("7", 7)
        return arithmetic(op, inner(), right)
    if choice < 0.50:
        return negate(inner())
    if choice < 0.60:
        return choose(random_truth(depth - 1), inner(), inner())
    if choice < 0.72:
        return call(pick.choice(["min", "max"]), *[inner() for _ in range(pick.randint(2, 3))])
    if choice < 0.76:
        return call("clip", inner(), literal("0.25", 0.25), literal("3", 3))
    if choice < 0.80:
        return call("coalesce", column(pick.choice(["a_nan", "x_nan"])), inner())
    if choice < 0.90:
        return call(pick.choice(list(FLOAT)), inner())
    if choice < 0.93:
        return call(pick.choice(["f32", "f64"]), inner())
    return call(pick.choice(list(KEEPING)), inner())


def random_truth(depth):
    inner = lambda: random_number(max(depth - 1, 0))
    choice = pick.random()
    if depth <= 0 or choice < 0.4:
        rest = [(pick.choice(list(COMPARE)), inner()) for _ in range(1 if pick.random() < 0.8 else 2)]
        return compare(inner(), *rest)
    if choice < 0.5:
        return column(pick.choice("pq"))
    if choice < 0.6:
        texts = ["maize", "wheat", "", "it's", "größe", "nothing"]
        return compare(column("crop"), (pick.choice(["==", "!="]), text_literal(pick.choice(texts))))
    if choice < 0.8:
        return logic(pick.choice(["and", "or"]), random_truth(depth - 1), random_truth(depth - 1))
    if choice < 0.9:
        return negation(random_truth(depth - 1))
    if choice < 0.95:
        return choose(random_truth(depth - 1), column("p"), random_truth(depth - 1))
    return call("is_nan", column(pick.choice(["a_nan", "x_nan"])))


SETTLED = {"int": "i64", "float": "f32"}
PLAIN = {"f32": np.float32, "f64": np.float64, "i64": np.int64, "float": np.float32, "int": np.int64}
WIDE = {"f32": np.float64, "f64": np.longdouble, "i64": np.int64, "float": np.float64, "int": np.int64}
ALLOWED = {"f32": 2e-7, "f64": 5e-13}


def evaluate(node):
    """The type, the value, and whether more digits give the same."""
    kind = SETTLED.get(node.kind, node.kind)
    if kind == "bool":
        value, wide = (np.asarray(node.make(T, "bool")) for T in (PLAIN, WIDE))
        return kind, value, bool(np.array_equal(value, wide))
    value, wide = (node.as_type(kind)(T) for T in (PLAIN, WIDE))
    if kind == "i64":
        return kind, value, bool(np.array_equal(value, wide))
    with np.errstate(all="ignore"):
        gap = np.abs(value.astype(wide.dtype) - wide)
        same = np.isnan(value) & np.isnan(wide) | (value == wide) | (gap <= ALLOWED[kind] * np.abs(wide))
    finite = value[np.isfinite(value)]
    tame = not len(finite) or np.abs(finite).max() < 1e30
    return kind, value, bool(same.all() and tame and (len(finite) > 0))


def plain(value):
    if isinstance(value, (str, bool, np.bool_)):
        return value if isinstance(value, str) else bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if math.isfinite(value):
        # The digits of f32 and f64 alike, as short as they are unique.
        return float(str(value)) if isinstance(value, np.float32) else float(value)
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def case(node):
    kind, value, good = evaluate(node)
    if value.ndim == 0:
        return None
    shape = list(value.shape[1:])
    return good, {"formula": node.text, "dtype": kind, "shape": shape, "expected": [plain(v) for v in value.ravel()]}


def by_hand():
    """Each function over each type, and what random formulas would not find."""
    c = column
    unit = {"asin": ("share", "part"), "acos": ("share", "part")}
    positive = ("sqrt", "log", "log2", "log10", "log1p")
    for name in FLOAT:
        for arg in unit.get(name, ("b", "y") if name in positive else ("a", "x")) + ("k", "v" if name not in unit and name not in positive else "share"):
            if name in unit and arg == "k":
                continue
            yield call(name, c(arg))
        yield call(name, c("x_nan"))
        yield arithmetic("+", call(name, literal("0.3", 0.3)), c("x"))
        tiny = arithmetic("*", c("y"), literal("1e-9", 1e-9))
        yield call(name, tiny if name not in ("log", "log2", "log10") else arithmetic("/", c("y"), literal("1e9", 1e9)))
    for name in KEEPING:
        for arg in ("a", "x", "n", "v", "m", "a_nan", "i", "u", "x_nan"):
            yield call(name, c(arg))
        yield call(name, arithmetic("/", c("n"), literal("2", 2)))
    for name in ("min", "max"):
        for args in (("a", "b"), ("x", "a_nan"), ("n", "k", "i"), ("v", "a"), ("w", "one"), ("a_nan", "b"), ("b", "a_nan", "x_nan")):
            yield call(name, *map(c, args))
        yield call(name, c("a"), literal("0.1", 0.1))
        yield call(name, c("n"), literal("2", 2))
    yield call("clip", c("n"), literal("2", 2), c("k"))
    yield call("clip", c("x_nan"), negate(literal("1", 1)), literal("1", 1))
    yield call("coalesce", c("a_nan"), c("x_nan"), literal("0.1", 0.1))
    yield call("coalesce", c("x_nan"), c("n"))
    yield call("is_nan", c("a_nan"))
    yield call("is_nan", c("v"))
    yield call("is_nan", c("x_nan"))
    yield call("pow", c("b"), c("a"))
    yield call("pow", c("k"), c("n"))
    yield call("pow", c("y"), literal("0.5", 0.5))
    yield call("pow", c("x"), literal("3", 3))
    yield call("f32", c("x"))
    yield call("f64", c("a"))
    yield arithmetic("*", call("f64", c("big")), literal("0.1", 0.1))
    # What is made of whole literals is whole beside a whole number, and a float beside a float.
    for name in (*KEEPING, *FLOAT):
        for arg in ("n", "x"):
            yield arithmetic("+", call(name, literal("1", 1)), c(arg))
    for op in BINARY:
        for arg in ("n", "x"):
            chosen = call("if", c("p"), literal("5", 5), literal("3", 3))
            yield arithmetic("-", c(arg), arithmetic(op, chosen, literal("2", 2)))
    yield call("if", c("p"), c("n"), c("a"))
    yield call("if", c("p"), literal("0.1", 0.1), literal("0.2", 0.2))
    yield arithmetic("*", call("if", c("p"), literal("0.1", 0.1), literal("2", 2)), c("x"))
    yield call("if", compare(c("v"), (">", literal("0", 0))), c("a"), c("w"))
    yield call("if", c("p"), c("q"), compare(c("a"), ("<", c("b"))))
    # Literals have the digits of what they meet.
    yield arithmetic("*", literal("0.1", 0.1), c("x"))
    yield arithmetic("*", literal("0.1", 0.1), c("a"))
    yield arithmetic("*", arithmetic("/", literal("1", 1), literal("3", 3)), c("x"))
    yield arithmetic("*", Node("pi", "float", literal("", math.pi).make), c("x"))
    yield arithmetic("*", Node("e", "float", literal("", math.e).make), c("x"))
    yield arithmetic("*", Node("pi", "float", literal("", math.pi).make), c("a"))
    # Whole numbers stay whole where they can, and wide.
    yield arithmetic("+", arithmetic("*", c("big"), literal("3", 3)), literal("1", 1))
    yield compare(c("big"), ("<", arithmetic("+", c("big"), literal("1", 1))))
    yield compare(c("big"), (">", literal("0.5", 0.5)))
    yield compare(c("n"), ("==", c("a")))
    yield arithmetic("/", c("n"), c("k"))
    for left in ("n", "a", "x", "i", "v", "m"):
        for right in ("k", "n", "b", "y", "m"):
            if left in ("v", "m") and right == "m" or not {left, right} & {"m", "v"}:
                yield arithmetic("%", c(left), c(right))
        yield arithmetic("%", c(left), literal("3", 3))
        yield arithmetic("%", c(left), negate(literal("3", 3)))
        yield arithmetic("%", c(left), negate(literal("1", 1)))
        yield arithmetic("%", c(left), literal("2.5", 2.5))
    for op in BINARY:
        for left, right in (("one", "v"), ("v", "a"), ("b", "w"), ("one", "b"), ("grid", "b"), ("one", "grid"), ("w", "one")):
            if op != "^" or left in ("b", "w"):
                yield arithmetic(op, c(left), c(right))
    for op in COMPARE:
        for left, right in (("a", "b"), ("x", "a"), ("n", "x"), ("a_nan", "x_nan"), ("i", "u"), ("v", "a"), ("n", "k")):
            yield compare(c(left), (op, c(right)))
        yield compare(literal("0", 0), (op, c("a")), (op, literal("1", 1)))
    for op in ("==", "!="):
        yield compare(c("p"), (op, c("q")))
        yield compare(c("p"), (op, Node("true", "bool", lambda T, _: np.asarray(True))))
        for text in ("maize", "größe", "it's", "", "none"):
            yield compare(c("crop"), (op, text_literal(text)))
            yield compare(text_literal(text), (op, c("crop")))
        yield compare(c("tags"), (op, text_literal("b")))
        yield compare(element("tags", 1), (op, text_literal("b")))
    yield arithmetic("+", element("grid", 3), element("grid", 0))
    yield arithmetic("*", element("v", 2), c("w"))
    yield c("a")
    yield c("u")
    yield c("p")
    yield element("v", 1)
    yield logic("and", c("p"), logic("or", c("q"), negation(c("p"))))
    yield logic("or", c("p"), compare(c("v"), (">", literal("0", 0))))


def main():
    cases, seen = [], set()
    for node in by_hand():
        good, made = case(node)
        if good and node.text not in seen:
            seen.add(node.text)
            cases.append(made)
        elif not good:
            print("left out:", node.text)
    hand = len(cases)
    while len(cases) < hand + CASES:
        node = random_number(3) if pick.random() < 0.75 else random_truth(3)
        if node.text in seen or len(node.text) > 160:
            continue
        seen.add(node.text)
        made = case(node)
        if made and made[0]:
            cases.append(made[1])
    columns = {
        name: {"dtype": kind, "shape": list(values.shape[1:]), "values": [plain(v) for v in values.ravel()]}
        for name, (kind, values) in COLUMNS.items()
    }
    lines = ",\n".join(json.dumps(made, ensure_ascii=False) for made in cases)
    text = '{"rows": %d,\n"columns": %s,\n"random": %d,\n"cases": [\n%s\n]}\n' % (
        ROWS,
        json.dumps(columns, ensure_ascii=False),
        CASES,
        lines,
    )
    Path(__file__).with_name("cases.json").write_text(text, encoding="utf-8")
    print(hand, "by hand,", len(cases) - hand, "random")


main()
