//! Rows of 30 numbers through every decoder and encoder, with serde_json for comparison.
//!
//! Best of three runs on a virtual machine with two x86-64 cores (not idle), one thread:
//!
//! | what | ns a row | rows/s |
//! |---|---:|---:|
//! | decode JSON, 9 digits, compact or spaced as Python does | 600 | 1,670,000 |
//! | decode JSON, 17 digits | 1,050 | 953,000 |
//! | decode MessagePack, f64 | 279 | 3,580,000 |
//! | decode tensor, f32 | 33 | 29,900,000 |
//! | serde_json with a seed that pushes into columns, no checks | 1,980 | 504,000 |
//! | serde_json into a `Value` | 3,300 | 303,000 |
//! | encode JSON, label and score / 30 floats | 62 / 1,000 | 16,200,000 / 998,000 |
//! | encode MessagePack, label and score / 30 floats | 53 / 294 | 18,800,000 / 3,400,000 |
//! | encode tensor, 30 floats | 29 | 34,900,000 |

use std::{collections::HashMap, fmt, hint::black_box, time::Instant};

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forebay::{
    block::{Column, Layout, Record, Series, Table},
    contract::{Dtype, Field},
    decode::{Decode, json::JsonDecoder, msgpack::MsgpackDecoder, tensor::TensorDecoder},
    encode::{
        Encode, OutputField, json::JsonEncoder, msgpack::MsgpackEncoder, tensor::TensorEncoder,
    },
    message::{Ack, Message},
};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

const FIELDS: usize = 30;
const ROWS: usize = 64;

fn name(field: usize) -> String {
    format!("f{field}")
}

/// Numbers between -2 and 2, the same in each run.
fn numbers() -> impl Iterator<Item = f64> {
    let mut state = 1_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64 * 4.0 - 2.0
    })
}

fn message(payload: Vec<u8>) -> Message {
    Message {
        subject: Bytes::from_static(b"rows"),
        reply: None,
        payload: Bytes::from(payload),
        headers: None,
        position: None,
        received: Instant::now(),
        ack: Ack::none(),
    }
}

/// One message for each row; `number` writes a number, `spaced` is how Python spaces JSON.
fn json_rows(spaced: bool, number: impl Fn(f64) -> String) -> Vec<Message> {
    let (comma, colon) = if spaced { (", ", ": ") } else { (",", ":") };
    let mut numbers = numbers();
    let mut row = || {
        let pairs: Vec<String> = (0..FIELDS)
            .zip(&mut numbers)
            .map(|(field, value)| format!("\"{}\"{colon}{}", name(field), number(value)))
            .collect();
        message(format!("{{{}}}", pairs.join(comma)).into_bytes())
    };
    (0..ROWS).map(|_| row()).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "short is what is wanted")]
fn short(value: f64) -> f32 {
    value as f32
}

fn scalar_fields() -> Vec<Field> {
    (0..FIELDS)
        .map(|field| Field::new(name(field), Dtype::F32, vec![]))
        .collect()
}

fn decode_all(decoder: &mut dyn Decode, messages: &[Message], table: &mut Table) {
    table.truncate(0);
    for message in messages {
        let decoded = decoder.decode(message, table).expect("good rows");
        black_box(decoded);
    }
}

/// What plain serde can do: a visitor that pushes into columns, without any of the checks.
struct Bare<'a> {
    places: &'a HashMap<Box<str>, usize>,
    columns: &'a mut [Vec<f32>],
}

impl<'de> DeserializeSeed<'de> for Bare<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Bare<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(place) = map.next_key_seed(Key(self.places))? {
            match place {
                Some(place) => self.columns[place].push(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

struct Key<'a>(&'a HashMap<Box<str>, usize>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.0.get(key).copied())
    }
}

fn decoders(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(ROWS as u64));
    let fields = scalar_fields();
    let mut table = Table::for_fields(&fields);
    let compact = json_rows(false, |value| short(value).to_string());
    for (name, messages) in [
        ("json", &compact),
        (
            "json-python",
            &json_rows(true, |value| short(value).to_string()),
        ),
        (
            "json-17-digits",
            &json_rows(false, |value| value.to_string()),
        ),
    ] {
        let mut decoder = JsonDecoder::new(&fields, &[]);
        group.bench_function(name, |b| {
            b.iter(|| decode_all(&mut decoder, messages, &mut table));
        });
    }
    let row = |values: &mut dyn Iterator<Item = f64>| -> Map<String, Value> {
        (0..FIELDS)
            .zip(values)
            .map(|(field, value)| (name(field), Value::from(value)))
            .collect()
    };
    let mut values = numbers();
    let packed: Vec<Message> = (0..ROWS)
        .map(|_| message(rmp_serde::to_vec(&row(&mut values)).expect("a map")))
        .collect();
    let mut decoder = MsgpackDecoder::new(&fields, &[]);
    group.bench_function("msgpack", |b| {
        b.iter(|| decode_all(&mut decoder, &packed, &mut table));
    });
    let vector = Field::new("x", Dtype::F32, vec![FIELDS]);
    let raw = |_| {
        message(
            numbers()
                .take(FIELDS)
                .flat_map(|v| short(v).to_le_bytes())
                .collect(),
        )
    };
    let raw: Vec<Message> = (0..ROWS).map(raw).collect();
    let mut table = Table::for_fields(std::slice::from_ref(&vector));
    let mut decoder = TensorDecoder::new(&vector, Dtype::F32);
    group.bench_function("tensor", |b| {
        b.iter(|| decode_all(&mut decoder, &raw, &mut table));
    });
    group.finish();
}

/// serde_json on the same rows: a seed that pushes into columns, and a tree of values.
fn peers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("peers");
    group.throughput(Throughput::Elements(ROWS as u64));
    let fields = scalar_fields();
    let compact = json_rows(false, |value| short(value).to_string());
    let places = fields
        .iter()
        .enumerate()
        .map(|(place, field)| (field.name.as_str().into(), place));
    let places: HashMap<Box<str>, usize> = places.collect();
    let mut columns = vec![Vec::new(); FIELDS];
    group.bench_function("serde_json-seed", |b| {
        b.iter(|| {
            columns.iter_mut().for_each(Vec::clear);
            for message in &compact {
                let mut reader = serde_json::Deserializer::from_slice(&message.payload);
                let (places, columns) = (&places, &mut columns[..]);
                Bare { places, columns }
                    .deserialize(&mut reader)
                    .expect("good rows");
            }
        });
    });
    group.bench_function("serde_json-value", |b| {
        b.iter(|| {
            for message in &compact {
                black_box(serde_json::from_slice::<Value>(&message.payload).expect("good rows"));
            }
        });
    });
    group.finish();
}

fn encoders(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(ROWS as u64));
    let scores: Vec<f32> = numbers().take(ROWS * FIELDS).map(short).collect();
    let series = |values, shape| Series {
        values,
        shape,
        present: None,
    };
    let output = Table {
        rows: ROWS,
        series: vec![
            series(Column::I64((0..64).collect()), vec![]),
            series(Column::F32(scores), vec![FIELDS]),
        ],
    };
    let field = |key: &str, series, element| OutputField {
        key: key.to_owned(),
        series,
        element,
        labels: None,
    };
    let pair = || vec![field("label", 0, None), field("score", 1, Some(1))];
    let vector = || field("scores", 1, None);
    let encoders: [(&str, Box<dyn Encode>); 5] = [
        ("json-label-score", Box::new(JsonEncoder::new(&[], pair()))),
        (
            "json-30-floats",
            Box::new(JsonEncoder::new(&[], vec![vector()])),
        ),
        (
            "msgpack-label-score",
            Box::new(MsgpackEncoder::new(&[], pair())),
        ),
        (
            "msgpack-30-floats",
            Box::new(MsgpackEncoder::new(&[], vec![vector()])),
        ),
        ("tensor-30-floats", Box::new(TensorEncoder::new(vector()))),
    ];
    let record = Record {
        message: message(Vec::new()),
        rows: 1,
        layout: Layout::One,
    };
    let (input, mut into) = (Table::default(), BytesMut::new());
    for (name, mut encoder) in encoders {
        group.bench_function(name, |b| {
            b.iter(|| {
                into.clear();
                for row in 0..ROWS {
                    let written = encoder.encode(&record, row..row + 1, &input, &output, &mut into);
                    black_box(written.expect("a result"));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decoders, peers, encoders);
criterion_main!(benches);
