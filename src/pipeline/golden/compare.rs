//! Results beside what was expected. Pure.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::config::plan::GoldenPlan;

/// How far a fraction may be off: `|found - expected| <= absolute + relative * |expected|`. Whole
/// numbers, texts and truth values must be the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// As a part of the expected number.
    pub relative: f64,
    /// Besides.
    pub absolute: f64,
}

impl Tolerance {
    /// What the pipeline file says.
    pub fn of(golden: &GoldenPlan) -> Self {
        Self {
            relative: golden.rtol,
            absolute: golden.atol,
        }
    }
}

/// How one key of the results compares, over all rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// The key; keys in objects follow behind a point. Empty for the result as a whole.
    pub name: String,
    /// How many elements were compared.
    pub elements: usize,
    /// How many differ by more than is allowed.
    pub differ: usize,
    /// The element that differs most, beside what is allowed; none where all are the same.
    pub worst: Option<Worst>,
    /// The first thing that cannot be compared: a key that is missing, a list of another length.
    pub mismatch: Option<String>,
    /// The first row in which something is wrong, from 1.
    pub first: Option<usize>,
}

/// An element that is not what was expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worst {
    /// From 1, as lines are counted.
    pub row: usize,
    /// The element, as `probabilities[3]`, counted from 0.
    pub element: String,
    /// As JSON.
    pub expected: String,
    /// As JSON.
    pub found: String,
    /// How far it is off. Without any where one of them is no number.
    pub absolute: Option<f64>,
    /// The same as a part of the expected number; without any where that is 0.
    pub relative: Option<f64>,
    /// What `absolute` may be.
    pub tolerance: Option<f64>,
    /// How much beside what is allowed; above 1 is too much.
    #[serde(skip)]
    score: f64,
}

impl Part {
    /// Whether all is as expected.
    pub fn passed(&self) -> bool {
        self.differ == 0 && self.mismatch.is_none()
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = &self.mismatch {
            return f.write_str(why);
        }
        let Some(worst) = &self.worst else {
            return write!(f, "`{}` is as expected", self.name);
        };
        write!(
            f,
            "row {}, `{}`: expected {}, found {}",
            worst.row, worst.element, worst.expected, worst.found
        )?;
        if let (Some(absolute), Some(tolerance)) = (worst.absolute, worst.tolerance) {
            write!(f, " (absolute {absolute:.3e}")?;
            if let Some(relative) = worst.relative {
                write!(f, ", relative {relative:.3e}")?;
            }
            write!(f, ", tolerance {tolerance:.3e})")?;
        } else if worst.found == "null" {
            f.write_str(", which is what NaN and infinities become")?;
        }
        write!(f, "; {} of {} differ", self.differ, self.elements)
    }
}

/// Compares results, row by row; what differs in the first row comes first, and what does not differ
/// last.
pub fn compare(expected: &[Value], found: &[Value], tolerance: Tolerance) -> Vec<Part> {
    let mut all = Comparison {
        tolerance,
        parts: Vec::new(),
        row: 0,
    };
    for (expected, found) in expected.iter().zip(found) {
        all.row += 1;
        all.result(&Path::default(), expected, found);
    }
    let mut parts = all.parts;
    parts.sort_by_key(|part| part.first.unwrap_or(usize::MAX));
    parts
}

/// Where in a result.
#[derive(Debug, Clone, Default)]
struct Path {
    /// The keys alone.
    keys: String,
    /// With the places in lists.
    full: String,
}

impl Path {
    fn key(&self, key: &str) -> Self {
        let join = |to: &str| match to {
            "" => key.to_owned(),
            to => format!("{to}.{key}"),
        };
        Self {
            keys: join(&self.keys),
            full: join(&self.full),
        }
    }

    fn element(&self, place: usize) -> Self {
        Self {
            keys: self.keys.clone(),
            full: format!("{}[{place}]", self.full),
        }
    }
}

struct Comparison {
    tolerance: Tolerance,
    parts: Vec<Part>,
    row: usize,
}

impl Comparison {
    /// A result of a record, or a list of them.
    fn result(&mut self, path: &Path, expected: &Value, found: &Value) {
        match (expected, found) {
            (Value::Array(_), Value::Array(_)) => self.values(path, expected, found),
            _ => match (error(expected), error(found)) {
                (None, Some((stage, reason))) => {
                    let why =
                        format!("a result is expected, and it was rejected by {stage}: {reason}");
                    self.mismatch(path, &why);
                }
                (Some((_, reason)), None) => {
                    let why = format!("a reject is expected ({reason}), and there is a result");
                    self.mismatch(path, &why);
                }
                _ => self.values(path, expected, found),
            },
        }
    }

    fn values(&mut self, path: &Path, expected: &Value, found: &Value) {
        match (expected, found) {
            (Value::Object(one), Value::Object(other)) => {
                for (key, expected) in one {
                    let path = path.key(key);
                    match other.get(key) {
                        Some(found) => self.values(&path, expected, found),
                        None => self.mismatch(&path, "the key is expected, and is not there"),
                    }
                }
                for key in other.keys().filter(|key| !one.contains_key(*key)) {
                    self.mismatch(&path.key(key), "the key is there, and is not expected");
                }
            }
            (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
                for (place, (one, other)) in one.iter().zip(other).enumerate() {
                    let path = path.element(place);
                    if path.keys.is_empty() {
                        self.result(&path, one, other);
                    } else {
                        self.values(&path, one, other);
                    }
                }
            }
            (Value::Array(one), Value::Array(other)) => {
                let (one, other) = (one.len(), other.len());
                let why = format!("a list of {one} is expected, and there is one of {other}");
                self.mismatch(path, &why);
            }
            (Value::Object(_) | Value::Array(_), _) | (_, Value::Object(_) | Value::Array(_)) => {
                let why = format!(
                    "{} is expected, and there is {}",
                    kind(expected),
                    kind(found)
                );
                self.mismatch(path, &why);
            }
            (expected, found) => self.scalars(path, expected, found),
        }
    }

    fn scalars(&mut self, path: &Path, expected: &Value, found: &Value) {
        let (score, absolute, tolerance) = self.difference(expected, found);
        let row = self.row;
        let part = self.part(path);
        part.elements += 1;
        let worse = match &part.worst {
            None => score > 0.0,
            Some(worst) => score > worst.score,
        };
        if worse {
            let size = expected.as_f64().map_or(0.0, f64::abs);
            part.worst = Some(Worst {
                row,
                element: path.full.clone(),
                expected: shown(expected),
                found: shown(found),
                absolute,
                relative: absolute.filter(|_| size > 0.0).map(|off| off / size),
                tolerance,
                score,
            });
        }
        if score > 1.0 {
            part.differ += 1;
            part.first.get_or_insert(row);
        }
    }

    /// How much two elements differ beside what is allowed, how much that is, and what is allowed.
    fn difference(&self, expected: &Value, found: &Value) -> (f64, Option<f64>, Option<f64>) {
        if expected == found {
            return (0.0, None, None);
        }
        let (Some(one), Some(other)) = (expected.as_f64(), found.as_f64()) else {
            return (f64::INFINITY, None, None);
        };
        let off = (one - other).abs();
        if let (Some(one), Some(other)) = (whole(expected), whole(found)) {
            let off = one.abs_diff(other) as f64;
            return (1.0 + off, Some(off), Some(0.0));
        }
        // `1.0` may stand for 1; else every difference from a whole number is one too many.
        if whole(found).is_some() {
            let score = if off > 0.0 { 1.0 + off } else { 0.0 };
            return (score, Some(off), Some(0.0));
        }
        let allowed = self.tolerance.absolute + self.tolerance.relative * one.abs();
        let score = if off <= allowed {
            // Without any tolerance, equal numbers differ by nothing of nothing.
            if off > 0.0 { off / allowed } else { 0.0 }
        } else {
            (off / allowed).max(1.0 + f64::EPSILON)
        };
        (score, Some(off), Some(allowed))
    }

    fn mismatch(&mut self, path: &Path, why: &str) {
        let row = self.row;
        let words = match path.full.as_str() {
            "" => format!("row {row}: {why}"),
            full => format!("row {row}, `{full}`: {why}"),
        };
        let part = self.part(path);
        part.mismatch.get_or_insert(words);
        part.first.get_or_insert(row);
    }

    fn part(&mut self, path: &Path) -> &mut Part {
        let known = self.parts.iter().position(|part| part.name == path.keys);
        let place = known.unwrap_or_else(|| {
            self.parts.push(Part {
                name: path.keys.clone(),
                elements: 0,
                differ: 0,
                worst: None,
                mismatch: None,
                first: None,
            });
            self.parts.len() - 1
        });
        &mut self.parts[place]
    }
}

/// What is wrong where a result alone (`found`) is another than beside other rows (`expected`).
pub(super) fn mixed(part: Part) -> Part {
    let row = part.first.unwrap_or_default();
    let what = part.worst.as_ref().map_or_else(
        || {
            format!(
                "row {row}, `{}`: other keys or lengths beside other rows than alone",
                part.name
            )
        },
        |worst| {
            let (row, element) = (worst.row, &worst.element);
            let (beside, alone) = (&worst.expected, &worst.found);
            format!("row {row}, `{element}`: {beside} beside other rows, and {alone} alone")
        },
    );
    Part {
        mismatch: Some(format!(
            "{what}: a model mixes the rows of a batch, and which come together is chance; export it so that nothing is computed across the first dimension, or run the rows one by one: `batch: {{ max_rows: 1 }}`"
        )),
        ..part
    }
}

fn whole(number: &Value) -> Option<i128> {
    let negative = number.as_i64().map(i128::from);
    negative.or_else(|| number.as_u64().map(i128::from))
}

/// Stage and reason of a rejected record.
pub(super) fn error(result: &Value) -> Option<(&str, &str)> {
    let keys = result.as_object().filter(|keys| keys.len() == 1)?;
    let error = keys.get("error")?;
    Some((
        error.get("stage")?.as_str()?,
        error.get("reason")?.as_str()?,
    ))
}

fn kind(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("a list of {}", values.len()),
        Value::Object(_) => "an object".to_owned(),
        value => shown(value),
    }
}

/// A value as JSON, cut where it is long.
fn shown(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
