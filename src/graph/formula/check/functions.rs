//! The functions there are.

use crate::graph::formula::typed::Function;

/// A function as it is written.
#[derive(Debug, Clone, Copy)]
pub(in crate::graph::formula) struct Signature {
    pub(in crate::graph::formula) name: &'static str,
    pub(in crate::graph::formula) function: Function,
    /// Fewest and most arguments.
    pub(in crate::graph::formula) arguments: (usize, usize),
    pub(in crate::graph::formula) usage: &'static str,
}

const fn f(
    name: &'static str,
    function: Function,
    arguments: (usize, usize),
    usage: &'static str,
) -> Signature {
    Signature {
        name,
        function,
        arguments,
        usage,
    }
}

const ANY: usize = usize::MAX;

/// All functions, in the order of the documentation.
pub(in crate::graph::formula) const FUNCTIONS: &[Signature] = &[
    f("if", Function::If, (3, 3), "if(condition, a, b)"),
    f("min", Function::Min, (2, ANY), "min(a, b, ...)"),
    f("max", Function::Max, (2, ANY), "max(a, b, ...)"),
    f("clip", Function::Clip, (3, 3), "clip(x, low, high)"),
    f(
        "coalesce",
        Function::Coalesce,
        (2, ANY),
        "coalesce(a, b, ...)",
    ),
    f("is_nan", Function::IsNan, (1, 1), "is_nan(x)"),
    f("abs", Function::Abs, (1, 1), "abs(x)"),
    f("sign", Function::Sign, (1, 1), "sign(x)"),
    f("floor", Function::Floor, (1, 1), "floor(x)"),
    f("ceil", Function::Ceil, (1, 1), "ceil(x)"),
    f("round", Function::Round, (1, 1), "round(x)"),
    f("sqrt", Function::Sqrt, (1, 1), "sqrt(x)"),
    f("pow", Function::Pow, (2, 2), "pow(x, y)"),
    f("exp", Function::Exp, (1, 1), "exp(x)"),
    f("expm1", Function::Expm1, (1, 1), "expm1(x)"),
    f("log", Function::Log, (1, 1), "log(x)"),
    f("log2", Function::Log2, (1, 1), "log2(x)"),
    f("log10", Function::Log10, (1, 1), "log10(x)"),
    f("log1p", Function::Log1p, (1, 1), "log1p(x)"),
    f("sin", Function::Sin, (1, 1), "sin(x)"),
    f("cos", Function::Cos, (1, 1), "cos(x)"),
    f("tan", Function::Tan, (1, 1), "tan(x)"),
    f("asin", Function::Asin, (1, 1), "asin(x)"),
    f("acos", Function::Acos, (1, 1), "acos(x)"),
    f("atan", Function::Atan, (1, 1), "atan(x)"),
    f("sinh", Function::Sinh, (1, 1), "sinh(x)"),
    f("cosh", Function::Cosh, (1, 1), "cosh(x)"),
    f("tanh", Function::Tanh, (1, 1), "tanh(x)"),
    f("f32", Function::F32, (1, 1), "f32(x)"),
    f("f64", Function::F64, (1, 1), "f64(x)"),
    f("number", Function::Number, (2, 2), "number(x, 'unit')"),
    f("unit", Function::Unit, (2, 2), "unit(x, 'unit')"),
];

/// What a function of another language is called here.
pub(super) fn other_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "ln" | "loge" => "write `log(x)`",
        "power" => "write `x ^ y`",
        "where" | "iif" | "ifelse" | "case" | "select" => "write `if(condition, a, b)`",
        "isnan" | "is_null" | "isnull" | "is_missing" => "write `is_nan(x)`",
        "ifnull" | "nvl" | "fillna" | "fill_null" => "write `coalesce(x, 0)`",
        "ceiling" => "write `ceil(x)`",
        "sgn" => "write `sign(x)`",
        "arcsin" => "write `asin(x)`",
        "arccos" => "write `acos(x)`",
        "arctan" => "write `atan(x)`",
        "clamp" => "write `clip(x, low, high)`",
        "minimum" => "write `min(a, b)`",
        "maximum" => "write `max(a, b)`",
        "sigmoid" => "write `1 / (1 + exp(-x))`",
        "mean" | "avg" | "average" => "write `(a + b) / 2`",
        "sum" => "write `a + b`",
        "mod" | "fmod" => "write `x % y`",
        "float" | "double" | "cast" => "write `f32(x)` or `f64(x)`",
        "int" | "trunc" => "write `floor(x)`, `ceil(x)` or `round(x)`",
        "and" | "or" | "not" => "write it as a word between or before values",
        _ => return None,
    })
}
