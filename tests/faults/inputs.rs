//! What is published, and what must become of it. Both follow from the seed and the number alone.

use crate::{
    audit::Expected,
    onnx::{FLOAT, INT64, Proto, model_with, node, number, tensor, value},
    random::Random,
};

/// Rows of the model's table. It fails on numbers from here on.
const TABLE: u64 = 1000;
/// What the contract lets in, which is more than the model can take.
const RANGE: u64 = 2000;
/// One in so many messages is bad.
const POISON: u64 = 25;

/// A number that the model answers, one that it fails on, and four ways to break the contract.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Good(u64),
    Model(u64),
    Range(u64),
    Missing,
    Text,
    Syntax,
}

fn kind(seed: u64, id: u64) -> Kind {
    let mut random = Random::new(seed ^ id.wrapping_mul(0x2545_F491_4F6C_DD1D));
    if random.below(POISON) > 0 {
        return Kind::Good(random.below(TABLE));
    }
    match random.below(5) {
        0 => Kind::Model(random.within(TABLE..RANGE)),
        1 => Kind::Range(random.within(RANGE..9999)),
        2 => Kind::Missing,
        3 => Kind::Text,
        _ => Kind::Syntax,
    }
}

/// The message with this number.
pub(crate) fn payload(seed: u64, id: u64) -> String {
    match kind(seed, id) {
        Kind::Good(x) | Kind::Model(x) | Kind::Range(x) => format!(r#"{{"id":{id},"x":{x}}}"#),
        Kind::Missing => format!(r#"{{"id":{id}}}"#),
        Kind::Text => format!(r#"{{"id":{id},"x":"many"}}"#),
        Kind::Syntax => format!(r#"{{"id":{id},"x":"#),
    }
}

/// What must become of the message with this number.
pub(crate) fn expected(seed: u64, id: u64) -> Expected {
    let letter = |stage, reason: String| Expected::Letter { stage, reason };
    match kind(seed, id) {
        Kind::Good(x) => Expected::Result(entry(x)),
        Kind::Model(x) => letter(
            "engine",
            format!(
                "Gather: indices element out of data bounds, idx={x} must be within the inclusive range [-{TABLE},{}]",
                TABLE - 1
            ),
        ),
        Kind::Range(x) => letter(
            "decode",
            format!("field `x`: {x} is outside the range 0 to {}", RANGE - 1),
        ),
        Kind::Missing => letter("decode", "field `x` is missing".to_owned()),
        Kind::Text => letter(
            "decode",
            r#"field `x`: "many" is not a whole number"#.to_owned(),
        ),
        Kind::Syntax => {
            let end = payload(seed, id).len();
            let reason = format!(
                "not JSON: expected a value, found the end at byte {end} (line 1, column {})",
                end + 1
            );
            letter("decode", reason)
        }
    }
}

/// An entry of the model's table; `f32` has room for all of them.
fn entry(x: u64) -> f64 {
    x as f64 / 2.0 + 1.0
}

/// A table of numbers, looked up by `x`: it fails on a row that is not in the table, and only then.
pub(crate) fn model() -> Vec<u8> {
    let numbers: Vec<u8> = (0..TABLE)
        .flat_map(|x| {
            #[allow(clippy::cast_possible_truncation, reason = "it has room for all")]
            let entry = entry(x) as f32;
            entry.to_le_bytes()
        })
        .collect();
    let table = Proto::new()
        .int(1, TABLE.cast_signed())
        .int(2, FLOAT)
        .bytes(8, "table")
        .bytes(9, numbers);
    model_with(
        &[node(
            "Gather",
            "",
            &["table", "x"],
            &["y"],
            &[number("axis", 0)],
        )],
        &[table],
        &[value("x", &tensor(INT64, &["n"]))],
        &[value("y", &tensor(FLOAT, &["n"]))],
    )
}

/// The pipeline file; what it reads may be elsewhere than what it writes.
pub(crate) fn pipeline(source: &[String], sink: &[String], ack_wait_ms: u128) -> String {
    format!(
        "name: faults
source:
  jetstream:
    url: {source:?}
    stream: IN
    consumer: worker
    ack_wait: {ack_wait_ms}ms
    max_deliver: 1000   # a message that many processes die with is not a bad one here
decode: {{ json: {{}} }}
fields:
  x: {{ dtype: i64, range: [0, {most}] }}
batch: {{ max_rows: 32, max_delay: 2ms }}
max_in_flight: 64
models:
  table: {{ path: model.onnx, device: cpu, workers: 1 }}
encode:
  json: {{ pass: [id], outputs: {{ y: y }} }}
sink:
  jetstream: {{ url: {sink:?}, subject: out.results }}
dead_letter:
  jetstream: {{ url: {sink:?}, subject: dead.letters }}
shutdown_grace: 10s
",
        most = RANGE - 1
    )
}
