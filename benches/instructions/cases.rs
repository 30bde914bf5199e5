//! What is counted: pieces of the data path on rows that are the same in each run.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use forebay::{
    batch::{BatchPolicy, Queued, batcher::Batcher},
    block::{Block, Column, Layout, Record, Series, Table},
    contract::{Dtype, Field},
    decode::{self, Decode, json::JsonDecoder, msgpack::MsgpackDecoder, tensor::TensorDecoder},
    encode::{
        Encode, OutputField, json::JsonEncoder, msgpack::MsgpackEncoder, tensor::TensorEncoder,
    },
    message::{Ack, Lane, Message},
};

/// Rows in a round of most cases; as many as a block has messages under a flood.
pub(crate) const ROWS: usize = 256;
const FIELDS: usize = 30;
/// Rows that wait while the cost of one more is counted.
const PENDING: [usize; 2] = [1_000, 1_000_000];

/// A piece of the data path.
pub(crate) struct Case {
    /// What it is called in the table.
    pub(crate) name: String,
    /// Rows that one round works on.
    pub(crate) rows: usize,
    /// One round.
    pub(crate) round: Box<dyn FnMut()>,
}

impl Case {
    fn new(name: impl Into<String>, rows: usize, round: impl FnMut() + 'static) -> Self {
        Self {
            name: name.into(),
            rows,
            round: Box::new(round),
        }
    }
}

/// Makes a case, when its turn comes: what waits for its turn takes no memory.
pub(crate) type Make = Box<dyn FnOnce() -> Case>;

/// All cases, in the order of the table.
pub(crate) fn all() -> Vec<Make> {
    let mut all: Vec<Make> = vec![
        Box::new(|| json("30 numbers", FIELDS, Order::Kept, short)),
        Box::new(|| json("30 numbers of 17 digits", FIELDS, Order::Kept, long)),
        Box::new(|| json("30 integers", FIELDS, Order::Kept, integer)),
        Box::new(|| json("30 numbers, keys in a new order", FIELDS, Order::New, short)),
        Box::new(json_list),
        Box::new(json_array),
        Box::new(json_mixed),
    ];
    for columns in [10, 100, 1000] {
        let name = format!("{columns} numbers");
        all.push(Box::new(move || json(&name, columns, Order::Kept, short)));
    }
    all.push(Box::new(msgpack));
    all.push(Box::new(tensor));
    all.push(Box::new(|| blocks(1, 1)));
    for size in [1, 16, ROWS] {
        all.push(Box::new(move || blocks(size, ROWS)));
    }
    for pending in PENDING {
        all.push(Box::new(move || waiting(pending)));
    }
    all.extend(encoders());
    all
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

fn short(value: f64) -> String {
    format!("{value:.6}")
}

fn long(value: f64) -> String {
    value.to_string()
}

fn integer(value: f64) -> String {
    format!("{:.0}", value * 1000.0)
}

fn message(payload: impl Into<Bytes>) -> Message {
    Message {
        subject: Bytes::from_static(b"rows.in"),
        reply: None,
        payload: payload.into(),
        headers: None,
        position: None,
        received: Instant::now(),
        ack: Ack::none(),
    }
}

fn scalars(count: usize) -> Vec<Field> {
    let names = (0..count).map(|field| format!("f{field}"));
    names
        .map(|name| Field::new(name, Dtype::F32, vec![]))
        .collect()
}

/// Whether each row has its keys in the order of the row before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Kept,
    New,
}

fn row(
    columns: usize,
    first: usize,
    numbers: &mut impl Iterator<Item = f64>,
    number: fn(f64) -> String,
) -> String {
    let pairs: Vec<String> = (0..columns)
        .zip(numbers)
        .map(|(at, value)| format!("\"f{}\":{}", (at + first) % columns, number(value)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

fn decoding(
    name: impl Into<String>,
    rows: usize,
    mut decoder: impl Decode + 'static,
    fields: &[Field],
    messages: Vec<Message>,
) -> Case {
    let mut table = Table::for_fields(fields);
    Case::new(name, rows, move || {
        table.truncate(0);
        for message in &messages {
            let decoded = decoder.decode(message, &mut table);
            assert!(decoded.is_ok(), "{decoded:?}");
        }
        assert_eq!(table.rows, rows);
    })
}

fn json(name: &str, columns: usize, order: Order, number: fn(f64) -> String) -> Case {
    let fields = scalars(columns);
    let mut numbers = numbers();
    let rows = if columns > 100 { 32 } else { ROWS };
    let messages = (0..rows).map(|at| {
        // Rotated by a number without a common divisor: what comes first changes, and the neighbours too.
        let first = if order == Order::New { at * 7 } else { 0 };
        message(match order {
            Order::Kept => row(columns, first, &mut numbers, number),
            Order::New => shuffled(columns, at, &mut numbers, number),
        })
    });
    let messages = messages.collect();
    let decoder = JsonDecoder::new(&fields, &[]);
    decoding(
        format!("decode JSON, {name}"),
        rows,
        decoder,
        &fields,
        messages,
    )
}

/// A row in which hardly a key follows the one that it followed in the row before.
fn shuffled(
    columns: usize,
    seed: usize,
    numbers: &mut impl Iterator<Item = f64>,
    number: fn(f64) -> String,
) -> String {
    let mut order: Vec<usize> = (0..columns).collect();
    let mut state = seed as u64 * 2 + 1;
    for at in (1..columns).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        order.swap(at, (state >> 33) as usize % (at + 1));
    }
    let pairs: Vec<String> = (order.iter().zip(numbers))
        .map(|(field, value)| format!("\"f{field}\":{}", number(value)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

fn json_list() -> Case {
    let fields = scalars(FIELDS);
    let mut numbers = numbers();
    let list = |_| {
        let rows: Vec<String> = (0..64)
            .map(|_| row(FIELDS, 0, &mut numbers, short))
            .collect();
        message(format!("[{}]", rows.join(",")))
    };
    let messages = (0..ROWS / 64).map(list).collect();
    let decoder = JsonDecoder::new(&fields, &[]);
    decoding(
        "decode JSON, 30 numbers, lists of 64 rows",
        ROWS,
        decoder,
        &fields,
        messages,
    )
}

/// All numbers of a row as one array.
fn json_array() -> Case {
    let fields = [Field::new("x", Dtype::F32, vec![FIELDS])];
    let mut numbers = numbers();
    let array = |_| {
        let values: Vec<String> = numbers.by_ref().take(FIELDS).map(short).collect();
        message(format!("{{\"x\":[{}]}}", values.join(",")))
    };
    let messages = (0..ROWS).map(array).collect();
    let decoder = JsonDecoder::new(&fields, &[]);
    let name = "decode JSON, an array of 30 numbers";
    decoding(name, ROWS, decoder, &fields, messages)
}

/// What business data looks like: identifiers, texts, flags and numbers, spaced as Python does.
fn json_mixed() -> Case {
    let field = |name: &str, dtype| Field::new(name, dtype, vec![]);
    let fields = [
        field("age", Dtype::I64),
        field("sex", Dtype::String),
        field("married", Dtype::Bool),
        field("income", Dtype::F64),
        field("hours", Dtype::I32),
        field("occupation", Dtype::String),
        field("state", Dtype::String),
        field("gain", Dtype::F32),
    ];
    let messages = numbers().take(ROWS).enumerate().map(|(at, value)| {
        message(format!(
            "{{\"id\": \"row-{at:06}\", \"age\": {}, \"sex\": \"female\", \"married\": {}, \"income\": {:.2}, \"hours\": 40, \"occupation\": \"Elementary School Teachers\", \"state\": \"MA\", \"gain\": {value:.4}}}",
            20 + at % 60,
            at % 3 == 0,
            (value + 2.0) * 30_000.0,
        ))
    });
    let messages = messages.collect();
    let passed = ["id".to_owned()];
    let mut decoder = JsonDecoder::new(&fields, &passed);
    let mut table = Table::for_fields(&fields);
    table.series.push(Series::new(Dtype::String, vec![]));
    let messages: Vec<Message> = messages;
    Case::new(
        "decode JSON, 8 fields of all types, a key passed on",
        ROWS,
        move || {
            table.truncate(0);
            for message in &messages {
                let decoded = decoder.decode(message, &mut table);
                assert!(decoded.is_ok(), "{decoded:?}");
            }
        },
    )
}

fn msgpack() -> Case {
    let fields = scalars(FIELDS);
    let mut numbers = numbers();
    let packed = |_| {
        // A map of 30 pairs: short texts and 64-bit floats.
        let mut bytes = vec![0xde, 0, 30];
        for field in &fields {
            let name = field.name.as_bytes();
            bytes.push(0xa0 | u8::try_from(name.len()).unwrap());
            bytes.extend_from_slice(name);
            bytes.push(0xcb);
            bytes.extend(numbers.next().unwrap().to_be_bytes());
        }
        message(bytes)
    };
    let messages = (0..ROWS).map(packed).collect();
    let decoder = MsgpackDecoder::new(&fields, &[]);
    decoding(
        "decode MessagePack, 30 numbers",
        ROWS,
        decoder,
        &fields,
        messages,
    )
}

fn tensor() -> Case {
    let field = Field::new("x", Dtype::F32, vec![FIELDS]);
    let values = numbers().take(64 * FIELDS);
    let bytes: Vec<u8> = values
        .flat_map(|value| narrow(value).to_le_bytes())
        .collect();
    let bytes = Bytes::from(bytes);
    let messages = (0..ROWS / 64).map(|_| message(bytes.clone())).collect();
    let decoder = TensorDecoder::new(&field, Dtype::F32);
    decoding(
        "decode tensor, 30 numbers, 64 rows",
        ROWS,
        decoder,
        std::slice::from_ref(&field),
        messages,
    )
}

fn narrow(value: f64) -> f32 {
    value as f32
}

fn policy() -> BatchPolicy {
    BatchPolicy::new(ROWS, Duration::ZERO)
}

/// A block of `rows` messages with one row of 30 numbers.
fn queued(rows: usize, decoder: &mut JsonDecoder, messages: &[Bytes], empty: &Table) -> Queued {
    let messages = messages
        .iter()
        .take(rows)
        .map(|payload| message(payload.clone()));
    let table = empty.spare_like();
    let block = decode::block(decoder, messages, table, |_, _, _| Ok(()), |_, _| ());
    Queued {
        block,
        since: Instant::now(),
    }
}

/// From messages to results, as a worker does it, without a model: blocks of `size` messages are decoded, become batches
/// of `batch` rows, and are encoded.
fn blocks(size: usize, batch: usize) -> Case {
    let fields = scalars(FIELDS);
    let mut numbers = numbers();
    let payloads: Vec<Bytes> = (0..ROWS)
        .map(|_| row(FIELDS, 0, &mut numbers, short).into())
        .collect();
    let mut decoder = JsonDecoder::new(&fields, &[]);
    let empty = Table::for_fields(&fields);
    let mut encoder = JsonEncoder::new(&[], vec![output("score", 0, None)]);
    let scores = scores(ROWS, 1);
    let mut batcher = Batcher::new(policy());
    let mut encode = move |Block { records, table }: Block| {
        assert_eq!(table.rows, batch);
        let mut into = BytesMut::new();
        for (row, record) in records.iter().enumerate() {
            let written = encoder.encode(record, row..row + 1, &table, &scores, &mut into);
            assert!(written.is_ok(), "{written:?}");
        }
        table.keep_memory();
    };
    let name = format!("decode, batch and encode, blocks of {size} in batches of {batch}");
    Case::new(name, ROWS, move || {
        for start in (0..ROWS).step_by(size) {
            batcher.push(queued(size, &mut decoder, &payloads[start..], &empty));
            if (start + size).is_multiple_of(batch) {
                encode(batcher.take(Lane::First, Instant::now()).unwrap().block);
            }
        }
    })
}

/// What a row more and a row less costs while many wait.
fn waiting(pending: usize) -> Case {
    let empty = Table::for_fields(&scalars(1));
    let block = move |rows: usize| {
        let mut table = empty.empty_like();
        for series in &mut table.series {
            series.values = Column::F32(vec![1.0; rows]);
        }
        table.rows = rows;
        let record = || Record {
            message: message(Bytes::new()),
            rows: 1,
            layout: Layout::One,
        };
        Queued {
            block: Block {
                records: std::iter::repeat_with(record).take(rows).collect(),
                table,
            },
            since: Instant::now(),
        }
    };
    let mut batcher = Batcher::new(policy());
    let mut waiting = 0;
    while waiting < pending {
        batcher.push(block(100));
        waiting += 100;
    }
    Case::new(
        format!("batch, with {pending} rows waiting"),
        ROWS,
        move || {
            (0..ROWS).for_each(|_| batcher.push(block(1)));
            let mut taken = 0;
            while taken < ROWS {
                taken += batcher
                    .take(Lane::First, Instant::now())
                    .unwrap()
                    .block
                    .rows();
            }
        },
    )
}

fn output(key: &str, series: usize, element: Option<usize>) -> OutputField {
    OutputField {
        key: key.to_owned(),
        series,
        element,
        labels: None,
    }
}

fn scores(rows: usize, width: usize) -> Table {
    let values = numbers().take(rows * width).map(narrow).collect();
    let shape = if width == 1 { vec![] } else { vec![width] };
    let series = Series {
        values: Column::F32(values),
        shape,
        present: None,
    };
    Table {
        rows,
        series: vec![series],
    }
}

fn encoders() -> Vec<Make> {
    let one = || vec![output("score", 0, None)];
    vec![
        Box::new(move || encoding("JSON, a score", JsonEncoder::new(&[], one()), 1)),
        Box::new(move || encoding("JSON, 30 numbers", JsonEncoder::new(&[], one()), FIELDS)),
        Box::new(move || encoding("MessagePack, a score", MsgpackEncoder::new(&[], one()), 1)),
        Box::new(move || {
            encoding(
                "tensor, 30 numbers",
                TensorEncoder::new(output("x", 0, None)),
                FIELDS,
            )
        }),
    ]
}

fn encoding(name: &str, mut encoder: impl Encode + 'static, width: usize) -> Case {
    let (input, output) = (Table::default(), scores(ROWS, width));
    let record = Record {
        message: message(Bytes::new()),
        rows: 1,
        layout: Layout::One,
    };
    let mut into = BytesMut::new();
    Case::new(format!("encode {name}"), ROWS, move || {
        into.clear();
        for row in 0..ROWS {
            let written = encoder.encode(&record, row..row + 1, &input, &output, &mut into);
            assert!(written.is_ok(), "{written:?}");
        }
    })
}
