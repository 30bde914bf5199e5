//! What came out beside what was expected.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use bytes::Bytes;
use serde::Serialize;

use crate::{
    engine::raw::{Key, Value},
    graph::tensor::{Element, Tensor, Values},
};

/// What ONNX's own tests allow: `rtol`, and for bfloat16 two units in the last place.
const RELATIVE: f64 = 1e-3;
const RELATIVE_BFLOAT16: f64 = 1.0 / 64.0;

/// How far a number may be off: `|found - expected| <= absolute + relative * |expected|`. Integers, truth
/// values and strings must be the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tolerance {
    /// Where it is not given: what ONNX's own tests allow.
    pub(super) relative: Option<f64>,
    pub(super) absolute: f64,
}

impl Tolerance {
    fn at(self, expected: f64, element: Element) -> f64 {
        let relative = self.relative.unwrap_or(match element {
            Element::Bfloat16 => RELATIVE_BFLOAT16,
            _ => RELATIVE,
        });
        self.absolute + relative * expected.abs()
    }
}

/// How one output, or one element of a list or map, compares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Output {
    /// The output's name; for a part of it with its place behind it.
    pub(super) name: String,
    /// How many elements there are.
    pub(super) elements: usize,
    /// How many differ by more than is allowed.
    pub(super) differ: usize,
    /// The element that differs most, beside what is allowed; none where nothing differs at all.
    pub(super) worst: Option<Worst>,
    /// Why the elements cannot be compared: another shape, type or kind.
    pub(super) mismatch: Option<String>,
}

/// An element that is not what was expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Worst {
    pub(super) index: Vec<usize>,
    pub(super) expected: String,
    pub(super) found: String,
    /// Without any where one of them is no number.
    pub(super) absolute: Option<f64>,
    /// The same as a part of the expected number; without any where that is 0.
    pub(super) relative: Option<f64>,
    /// What `absolute` may be.
    pub(super) tolerance: Option<f64>,
}

impl Output {
    pub(super) fn passed(&self) -> bool {
        self.differ == 0 && self.mismatch.is_none()
    }

    /// One line about what is wrong.
    pub(super) fn words(&self) -> String {
        if let Some(why) = &self.mismatch {
            return format!("output `{}`: {why}", self.name);
        }
        let Some(worst) = &self.worst else {
            return format!("output `{}` is as expected", self.name);
        };
        let mut words = format!(
            "output `{}`{:?}: expected {}, found {}",
            self.name, worst.index, worst.expected, worst.found
        );
        let parts = [
            ("absolute", worst.absolute),
            ("relative", worst.relative),
            ("tolerance", worst.tolerance),
        ];
        let parts: Vec<String> = (parts.iter())
            .filter_map(|(word, number)| Some(format!("{word} {}", short((*number)?))))
            .collect();
        if !parts.is_empty() {
            // Writing into a string does not fail.
            let _written = write!(words, " ({})", parts.join(", "));
        }
        words + &format!("; {} of {} differ", self.differ, self.elements)
    }
}

/// Compares values of any kind; each tensor becomes one [`Output`].
pub(super) fn values(
    name: &str,
    expected: &Value<Tensor>,
    found: &Value<Tensor>,
    tolerance: Tolerance,
    into: &mut Vec<Output>,
) {
    match (expected, found) {
        (Value::Tensor(expected), Value::Tensor(found)) => {
            into.push(tensors(name, expected, found, tolerance));
        }
        (Value::Nothing, Value::Nothing) => into.push(same(name)),
        (Value::Sequence(expected), Value::Sequence(found)) if expected.len() == found.len() => {
            if expected.is_empty() {
                into.push(same(name));
            }
            for (at, (expected, found)) in expected.iter().zip(found).enumerate() {
                values(&format!("{name}/{at}"), expected, found, tolerance, into);
            }
        }
        (Value::Map(expected), Value::Map(found)) if same_keys(expected, found) => {
            for (key, expected) in expected {
                let found = found.iter().find(|(other, _)| other == key);
                if let Some((_, found)) = found {
                    values(
                        &format!("{name}/{}", words_of(key)),
                        expected,
                        found,
                        tolerance,
                        into,
                    );
                }
            }
        }
        _ => into.push(mismatch(
            name,
            format!("expected {}, found {}", kind(expected), kind(found)),
        )),
    }
}

fn same(name: &str) -> Output {
    Output {
        name: name.to_owned(),
        elements: 0,
        differ: 0,
        worst: None,
        mismatch: None,
    }
}

fn mismatch(name: &str, why: String) -> Output {
    Output {
        mismatch: Some(why),
        ..same(name)
    }
}

fn same_keys(one: &[(Key, Value<Tensor>)], other: &[(Key, Value<Tensor>)]) -> bool {
    let has = |key: &Key| other.iter().any(|(of, _)| of == key);
    one.len() == other.len() && one.iter().all(|(key, _)| has(key))
}

fn words_of(key: &Key) -> String {
    match key {
        Key::Int(key) => key.to_string(),
        Key::Text(key) => key.clone(),
    }
}

fn kind(value: &Value<Tensor>) -> String {
    match value {
        Value::Tensor(tensor) => format!("{} of shape {:?}", tensor.element.name(), tensor.shape),
        Value::Sequence(values) => format!("a list of {}", values.len()),
        Value::Map(entries) => {
            let keys: Vec<String> = entries.iter().map(|(key, _)| words_of(key)).collect();
            format!("a map with the keys {}", keys.join(", "))
        }
        Value::Nothing => "no value".to_owned(),
    }
}

/// How two elements differ.
struct Difference {
    /// How much beside what is allowed; above 1 is too much.
    score: f64,
    absolute: Option<f64>,
    relative: Option<f64>,
    tolerance: Option<f64>,
}

fn tensors(name: &str, expected: &Tensor, found: &Tensor, tolerance: Tolerance) -> Output {
    let whole = |tensor: &Tensor| kind(&Value::Tensor(tensor.clone()));
    if expected.element != found.element || expected.shape != found.shape {
        let why = format!("expected {}, found {}", whole(expected), whole(found));
        return mismatch(name, why);
    }
    let element = expected.element;
    /// Compares all pairs by a function of two elements.
    macro_rules! pairs {
        ($expected:expr, $found:expr, $differ:expr) => {{
            let differences = $expected.iter().zip($found).enumerate();
            collect(
                name,
                expected,
                found,
                differences.filter_map(|(at, (one, other))| Some((at, $differ(one, other)?))),
            )
        }};
    }
    match (&expected.values, &found.values) {
        (Values::Float(one), Values::Float(other)) => {
            pairs!(one, other, |one: &f64, other: &f64| {
                let off = (one - other).abs();
                numbers(
                    is_same(*one, *other),
                    one.abs(),
                    off,
                    tolerance.at(*one, element),
                )
            })
        }
        (Values::Int(one), Values::Int(other)) => pairs!(one, other, |one: &i64, other: &i64| {
            whole_numbers((*one).into(), (*other).into())
        }),
        (Values::Uint(one), Values::Uint(other)) => pairs!(one, other, |one: &u64, other: &u64| {
            whole_numbers((*one).into(), (*other).into())
        }),
        (Values::Bool(one), Values::Bool(other)) => pairs!(one, other, unequal),
        (Values::Text(one), Values::Text(other)) => pairs!(one, other, unequal),
        (Values::Complex(one), Values::Complex(other)) => {
            pairs!(one, other, |one: &[f64; 2], other: &[f64; 2]| {
                let size = one[0].hypot(one[1]);
                let off = (one[0] - other[0]).hypot(one[1] - other[1]);
                let same = is_same(one[0], other[0]) && is_same(one[1], other[1]);
                numbers(same, size, off, tolerance.at(size, element))
            })
        }
        _ => mismatch(name, "the elements are of another kind".to_owned()),
    }
}

/// Sums up differences, and keeps the worst.
fn collect(
    name: &str,
    expected: &Tensor,
    found: &Tensor,
    differences: impl Iterator<Item = (usize, Difference)>,
) -> Output {
    let mut differ = 0;
    let mut worst: Option<(usize, Difference)> = None;
    for (at, difference) in differences {
        differ += usize::from(difference.score > 1.0);
        if worst
            .as_ref()
            .is_none_or(|(_, worst)| difference.score > worst.score)
        {
            worst = Some((at, difference));
        }
    }
    Output {
        elements: expected.values.len(),
        differ,
        worst: worst.map(|(at, difference)| Worst {
            index: index(at, &expected.shape),
            expected: written(expected, at),
            found: written(found, at),
            absolute: difference.absolute,
            relative: difference.relative,
            tolerance: difference.tolerance,
        }),
        ..same(name)
    }
}

/// Whether two numbers are equal, or both no number.
#[expect(clippy::float_cmp, reason = "infinities and zeros must compare equal")]
fn is_same(expected: f64, found: f64) -> bool {
    expected == found || expected.is_nan() && found.is_nan()
}

/// Two floating-point numbers that are `absolute` apart, and of which the expected one is `size` away from 0;
/// none where they are the same.
fn numbers(same: bool, size: f64, absolute: f64, tolerance: f64) -> Option<Difference> {
    let comparable = absolute.is_finite() && size.is_finite();
    (!same).then(|| Difference {
        // Without any tolerance every difference is infinitely too large.
        score: if comparable {
            absolute / tolerance
        } else {
            f64::INFINITY
        },
        absolute: comparable.then_some(absolute),
        relative: (comparable && size > 0.0).then(|| absolute / size),
        tolerance: comparable.then_some(tolerance),
    })
}

fn whole_numbers(expected: i128, found: i128) -> Option<Difference> {
    let absolute = expected.abs_diff(found);
    let size = expected.unsigned_abs();
    (absolute > 0).then(|| Difference {
        // They must be the same; the score says only which is worst.
        score: 1.0 + absolute as f64,
        absolute: Some(absolute as f64),
        relative: (size > 0).then(|| absolute as f64 / size as f64),
        tolerance: Some(0.0),
    })
}

fn unequal<T: PartialEq>(expected: &T, found: &T) -> Option<Difference> {
    (expected != found).then_some(Difference {
        score: f64::INFINITY,
        absolute: None,
        relative: None,
        tolerance: None,
    })
}

/// The place of element `at` along each dimension.
fn index(at: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = at;
    let mut index: Vec<usize> = (shape.iter().rev())
        .map(|size| {
            let place = rest % size.max(&1);
            rest /= size.max(&1);
            place
        })
        .collect();
    index.reverse();
    index
}

/// An element as text; floats with as many digits as their type has.
fn written(tensor: &Tensor, at: usize) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "all but doubles were floats before"
    )]
    let text = match &tensor.values {
        Values::Float(values) => values.get(at).map(|value| match tensor.element {
            Element::Float64 => format!("{value:?}"),
            _ => format!("{:?}", *value as f32),
        }),
        Values::Int(values) => values.get(at).map(ToString::to_string),
        Values::Uint(values) => values.get(at).map(ToString::to_string),
        Values::Bool(values) => values.get(at).map(ToString::to_string),
        Values::Text(values) => values.get(at).map(quoted),
        Values::Complex(values) => values.get(at).map(|[re, im]| format!("{re:?}{im:+?}i")),
    };
    text.unwrap_or_default()
}

/// A number with four digits.
fn short(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        1e-3..1e5 => {
            // As many places as leave four digits.
            let digits = (1..=7).find(|digits| number >= 10f64.powi(4 - digits));
            let places = usize::try_from(digits.unwrap_or(7) - 1).unwrap_or(0);
            format!("{number:.places$}")
        }
        _ => format!("{number:.3e}"),
    }
}

fn quoted(text: &Bytes) -> String {
    const MOST: usize = 60;
    let text = String::from_utf8_lossy(text);
    let short: String = text.chars().take(MOST).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("{short:?}{more}")
}
