//! Rows made up from the contract: each value of the field's type and within its limits, the same
//! ones each time.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{
    config::plan::{DecodePlan, Plan},
    contract::{Dtype, Field, Scalar},
    host::HostOptions,
    pipeline::golden,
};

const ROWS: u64 = 997;
/// Words in a text that a model reads.
const WORDS: usize = 16;
/// Of a file of which a step takes a window.
const FILE_BYTES: usize = 4096;

/// What a text or a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// A value among others.
    Value,
    /// A text that is read.
    Reading,
}

/// Messages with one row each.
///
/// # Errors
/// A field needs a real file; in words.
pub(super) fn messages(plan: &Plan) -> Result<Vec<Bytes>, String> {
    let mut random = Random(42);
    (0..ROWS)
        .map(|number| {
            let line = row(plan, number, &mut random)?;
            golden::message_of(plan, &line.to_string())
        })
        .collect()
}

fn row(plan: &Plan, number: u64, random: &mut Random) -> Result<Value, String> {
    let mut row = Map::new();
    for (place, field) in plan.fields.iter().enumerate() {
        if !field.derived {
            let used = used(plan, place, field)?;
            row.insert(field.name.clone(), value(field, used, random));
        }
    }
    if plan.decode == DecodePlan::Bytes {
        let whole = row.into_iter().next().map(|(_, value)| value);
        return Ok(Value::from_iter([("base64", whole.unwrap_or_default())]));
    }
    for key in &plan.passed {
        row.entry(key.clone()).or_insert_with(|| number.into());
    }
    Ok(Value::Object(row))
}

/// What the field at this place is for.
fn used(plan: &Plan, place: usize, field: &Field) -> Result<Use, String> {
    let readers = plan.hosts.iter().filter(|host| host.input == place);
    let mut used = Use::Value;
    for reader in readers {
        match &reader.options {
            HostOptions::Text(_) => used = Use::Reading,
            HostOptions::Window(_) | HostOptions::Hash(_) => {}
            HostOptions::Image(_) | HostOptions::Audio(_) => {
                return Err(format!(
                    "`{}` is a file that cannot be made up: name a file with real rows: --rows rows.jsonl",
                    field.name
                ));
            }
        }
    }
    Ok(used)
}

fn value(field: &Field, used: Use, random: &mut Random) -> Value {
    nested(&field.shape, &mut || element(field, used, random))
}

fn nested(shape: &[usize], one: &mut impl FnMut() -> Value) -> Value {
    match shape.split_first() {
        None => one(),
        Some((size, inner)) => (0..*size).map(|_| nested(inner, one)).collect(),
    }
}

fn element(field: &Field, used: Use, random: &mut Random) -> Value {
    if let Some(values) = &field.values {
        let pick = usize::try_from(random.below(values.len() as u64)).unwrap_or_default();
        return values.get(pick).map_or(Value::Null, scalar);
    }
    match field.dtype {
        Dtype::Bool => Value::from(random.below(2) == 1),
        Dtype::String if used == Use::Reading => {
            let words: Vec<String> = (0..WORDS).map(|_| random.word()).collect();
            Value::from(words.join(" "))
        }
        Dtype::String => Value::from(random.word()),
        Dtype::Bytes => {
            let bytes: Vec<u8> = (0..FILE_BYTES)
                .map(|_| u8::try_from(random.below(256)).unwrap_or_default())
                .collect();
            Value::from(STANDARD.encode(bytes))
        }
        Dtype::F32 | Dtype::F64 => {
            let [low, high] = field.range.unwrap_or([-2.0, 2.0]);
            let value = low + (high - low) * random.part();
            // As many digits as a sender would write, and still within the limits.
            let short = (value * 1e6).round() / 1e6;
            Value::from(short.clamp(low, high))
        }
        Dtype::I32 | Dtype::I64 | Dtype::U8 => whole(field, random),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what is out of range is the nearest that is in it"
)]
fn whole(field: &Field, random: &mut Random) -> Value {
    let [low, high] = field.range.unwrap_or([0.0, 100.0]);
    let (low, high) = match field.dtype {
        Dtype::U8 => (low.max(0.0), high.min(255.0)),
        Dtype::I32 => (low.max(f64::from(i32::MIN)), high.min(f64::from(i32::MAX))),
        _ => (low, high),
    };
    let (low, high) = (low.ceil(), high.floor());
    let value = low + ((high - low + 1.0) * random.part()).floor();
    Value::from(value.min(high) as i64)
}

fn scalar(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Integer(value) => Value::from(*value),
        Scalar::Float(value) => Value::from(*value),
        Scalar::Bool(value) => Value::from(*value),
        Scalar::String(value) => Value::from(value.as_str()),
    }
}

/// Numbers without a pattern that matters here; after Knuth's MMIX.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// Below this, which is small.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// From 0 to 1.
    fn part(&mut self) -> f64 {
        self.next() as f64 / (1_u64 << 31) as f64
    }

    fn word(&mut self) -> String {
        let length = 2 + self.below(7);
        let letters = (0..length).map(|_| {
            let letter = u8::try_from(self.below(26)).unwrap_or_default();
            char::from(b'a' + letter)
        });
        letters.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_what_the_field_wants() {
        let mut random = Random(1);
        let mut field = Field::new("a", Dtype::I64, vec![2, 3]);
        field.range = Some([-1.5, 1.5]);
        let made = value(&field, Use::Value, &mut random);
        let rows = made.as_array().expect("nested");
        assert_eq!(rows.len(), 2);
        for element in rows.iter().flat_map(|row| row.as_array().expect("three")) {
            assert!((-1..=1).contains(&element.as_i64().expect("whole")));
        }
        field = Field::new("b", Dtype::String, Vec::new());
        field.values = Some(vec![Scalar::String("x".into()), Scalar::String("y".into())]);
        let made = value(&field, Use::Value, &mut random);
        assert!(made == "x" || made == "y", "{made}");
        field = Field::new("c", Dtype::Bool, Vec::new());
        assert!(value(&field, Use::Value, &mut random).is_boolean());
        field = Field::new("d", Dtype::String, Vec::new());
        let text = value(&field, Use::Reading, &mut random);
        assert_eq!(
            text.as_str().map(|text| text.split(' ').count()),
            Some(WORDS)
        );
    }

    proptest! {
        #[test]
        fn numbers_are_within_their_range(seed: u64, low in -1e9..1e9_f64, width in 0.0..1e9_f64) {
            let mut field = Field::new("a", Dtype::F32, Vec::new());
            field.range = Some([low, low + width]);
            let made = value(&field, Use::Value, &mut Random(seed)).as_f64().expect("a number");
            prop_assert!(made >= low && made <= low + width, "{made}");
            field.dtype = Dtype::U8;
            field.range = Some([low.abs() % 200.0, 255.0]);
            let made = value(&field, Use::Value, &mut Random(seed)).as_u64().expect("whole");
            prop_assert!(made <= 255);
        }
    }
}
