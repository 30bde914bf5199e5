//! Results in every format, read back by other libraries.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{json::JsonEncoder, msgpack::MsgpackEncoder, tensor::TensorEncoder, *};
use crate::{
    block::Strings,
    contract::Dtype,
    message::{Ack, Message},
};

fn record(rows: usize, layout: Layout) -> Record {
    Record {
        message: Message {
            subject: bytes::Bytes::new(),
            reply: None,
            payload: bytes::Bytes::new(),
            headers: None,
            position: None,
            received: std::time::Instant::now(),
            ack: Ack::none(),
        },
        rows,
        layout,
    }
}

fn output(key: &str, series: usize) -> OutputField {
    OutputField {
        key: key.to_owned(),
        series,
        element: None,
        labels: None,
    }
}

fn series(values: Column, shape: &[usize]) -> Series {
    Series {
        values,
        shape: shape.to_vec(),
        present: None,
    }
}

fn strings(values: &[&str]) -> Column {
    let mut strings = Strings::default();
    for value in values {
        strings.push(value);
    }
    Column::String(strings)
}

/// Two rows of every kind of output; row 1 has the odd values.
fn tables() -> (Table, Table) {
    let input = Table {
        rows: 2,
        series: vec![
            series(Column::F32(vec![1.0, 2.0]), &[]),
            series(strings(&["17", "{\"a\":[1,null,\"\\u00e9\"]}"]), &[]),
            series(strings(&["\"x\"", ""]), &[]),
        ],
    };
    let output = Table {
        rows: 2,
        series: vec![
            series(Column::F32(vec![0.1, 0.9, f32::NAN, f32::INFINITY]), &[2]),
            series(Column::I64(vec![-1, i64::MIN]), &[]),
            series(strings(&["plain", "\"q\"\\\n\u{1}é"]), &[1]),
            series(Column::F64((0..12).map(f64::from).collect()), &[2, 3]),
            series(Column::Bool(vec![true, false]), &[]),
            series(Column::U8(vec![7, 255]), &[]),
            series(Column::I32(vec![i32::MAX, -129]), &[]),
        ],
    };
    (input, output)
}

fn all_outputs() -> Vec<OutputField> {
    vec![
        output("scores", 0),
        OutputField {
            element: Some(1),
            ..output("score", 0)
        },
        OutputField {
            labels: Some(vec!["no".into(), "y\"es".into()]),
            ..output("map", 0)
        },
        output("label", 1),
        output("text", 2),
        output("grid", 3),
        output("flag", 4),
        output("byte", 5),
        output("count", 6),
    ]
}

fn passed_keys() -> Vec<String> {
    vec!["id".into(), "näme".into()]
}

fn expected() -> [Value; 2] {
    [
        json!({"id": 17, "näme": "x", "scores": [0.1, 0.9], "score": 0.9,
            "map": {"no": 0.1, "y\"es": 0.9}, "label": -1, "text": "plain",
            "grid": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], "flag": true, "byte": 7,
            "count": i32::MAX}),
        json!({"id": {"a": [1, null, "é"]}, "näme": null, "scores": [null, null], "score": null,
            "map": {"no": null, "y\"es": null}, "label": i64::MIN, "text": "\"q\"\\\n\u{1}é",
            "grid": [[6.0, 7.0, 8.0], [9.0, 10.0, 11.0]], "flag": false, "byte": 255,
            "count": -129}),
    ]
}

fn encode(
    encoder: &mut dyn Encode,
    rows: Range<usize>,
    layout: Layout,
) -> Result<(NonFinite, Vec<u8>), Reject> {
    let (input, output) = tables();
    let mut into = BytesMut::from(&b"before"[..]);
    let record = record(rows.len(), layout);
    let non_finite = encoder.encode(&record, rows, &input, &output, &mut into)?;
    assert_eq!(&into[..6], b"before");
    Ok((non_finite, into[6..].to_vec()))
}

fn many(rejected: &[usize]) -> Layout {
    let reject = |place: &usize| (*place, Reject::new(Stage::Decode, "range", "too \"old\""));
    Layout::Many {
        rejected: rejected.iter().map(reject).collect(),
    }
}

/// Floats of 32 bits come back from MessagePack with more digits.
fn rounded(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            json!((number.as_f64().unwrap() * 1e6).round() / 1e6)
        }
        Value::Array(items) => items.iter().map(rounded).collect(),
        Value::Object(items) => items.iter().map(|(k, v)| (k.clone(), rounded(v))).collect(),
        other => other.clone(),
    }
}

#[test]
fn json_and_msgpack_say_the_same() {
    let mut json = JsonEncoder::new(&passed_keys(), all_outputs());
    let mut msgpack = MsgpackEncoder::new(&passed_keys(), all_outputs());
    let [first, second] = expected();
    let error = json!({"error": {"stage": "decode", "reason": "too \"old\""}});
    let cases = [
        (0..1, Layout::One, first.clone(), 0),
        (1..2, Layout::One, second.clone(), 5),
        (0..2, many(&[]), json!([first, second]), 5),
        (
            0..2,
            many(&[0, 2, 4]),
            json!([error, first, error, second, error]),
            5,
        ),
        (1..1, many(&[]), json!([]), 0),
    ];
    for (rows, layout, expected, non_finite) in cases {
        let (count, bytes) = encode(&mut json, rows.clone(), layout.clone()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), expected);
        assert_eq!(count, non_finite);
        let (count, bytes) = encode(&mut msgpack, rows, layout).unwrap();
        let value: Value = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(rounded(&value), rounded(&expected));
        assert_eq!(count, non_finite);
    }
}

#[test]
fn the_json_text_is_short_and_in_order() {
    let outputs = vec![
        output("label", 1),
        OutputField {
            element: Some(0),
            ..output("score", 0)
        },
    ];
    let mut encoder = JsonEncoder::new(&["name".to_owned()], outputs);
    let (_, bytes) = encode(&mut encoder, 0..1, Layout::One).unwrap();
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        r#"{"name":"x","label":-1,"score":0.1}"#
    );
    let mut nothing = JsonEncoder::new(&[], vec![]);
    assert_eq!(encode(&mut nothing, 0..1, Layout::One).unwrap().1, b"{}");
}

#[test]
fn a_tensor_is_the_bare_elements_and_its_headers() {
    let header = |encoder: &TensorEncoder, rows, layout: &Layout| {
        let headers = encoder.headers(rows, layout);
        headers
            .into_iter()
            .map(|(_, value)| value)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut whole = TensorEncoder::new(output("grid", 3));
    assert_eq!(whole.headers(1, &Layout::One), Headers::new());
    let (_, bytes) = encode(&mut whole, 1..2, Layout::One).unwrap();
    let floats: Vec<u8> = (6..12)
        .flat_map(|value| f64::from(value).to_le_bytes())
        .collect();
    assert_eq!(bytes, floats);
    assert_eq!(header(&whole, 1, &Layout::One), "f64 2,3");
    assert_eq!(header(&whole, 2, &many(&[])), "f64 2,2,3");
    assert_eq!(whole.headers(1, &Layout::One)[0].0, "Forebay-Dtype");
    assert_eq!(whole.headers(1, &Layout::One)[1].0, "Forebay-Shape");

    let mut element = TensorEncoder::new(OutputField {
        element: Some(0),
        ..output("p", 0)
    });
    let (non_finite, bytes) = encode(&mut element, 0..2, many(&[])).unwrap();
    assert_eq!((non_finite, bytes.len()), (1, 8));
    assert_eq!(header(&element, 2, &many(&[])), "f32 2");
    assert_eq!(header(&element, 1, &Layout::One), "f32 1");
    for (series, len) in [(1, 16), (4, 2), (5, 2), (6, 8)] {
        let mut encoder = TensorEncoder::new(output("x", series));
        assert_eq!(encode(&mut encoder, 0..2, many(&[])).unwrap().1.len(), len);
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    let tensor = |series| TensorEncoder::new(output("x", series));
    let json = |field| JsonEncoder::new(&[], vec![field]);
    let far = OutputField {
        element: Some(2),
        ..output("x", 0)
    };
    let refused: [(&mut dyn Encode, Layout, &str, &str); 5] = [
        (
            &mut tensor(2),
            many(&[]),
            "type",
            "strings cannot be written as a tensor; encode json or msgpack instead",
        ),
        (
            &mut tensor(0),
            many(&[3]),
            "rows",
            "a tensor has no place for the 1 rejected rows; row 3: too \"old\"",
        ),
        (
            &mut json(far),
            many(&[]),
            "shape",
            "output `x`: no element 2 in rows of 2",
        ),
        (
            &mut json(output("x", 9)),
            many(&[]),
            "shape",
            "output `x`: the model gave no such output",
        ),
        (
            &mut json(output("x", 0)),
            Layout::One,
            "rows",
            "one record has 2 rows",
        ),
    ];
    for (encoder, layout, kind, reason) in refused {
        let reject = encode(encoder, 0..2, layout).unwrap_err();
        assert_eq!(
            (reject.stage, reject.kind, reject.reason.as_str()),
            (Stage::Encode, kind, reason)
        );
    }
}

fn one_column(values: Column) -> (Record, Table) {
    let table = Table {
        rows: 1,
        series: vec![series(values, &[])],
    };
    (record(1, Layout::One), table)
}

proptest! {
    #[test]
    fn floats_and_text_come_back_unchanged(float in any::<f32>(), double in any::<f64>(), integer in any::<i64>(), text in any::<String>()) {
        for values in [
            Column::F32(vec![float]),
            Column::F64(vec![double]),
            Column::I64(vec![integer]),
            strings(&[&text]),
        ] {
            let dtype = values.dtype();
            let (record, table) = one_column(values);
            let (mut json, mut msgpack) = (BytesMut::new(), BytesMut::new());
            let outputs = vec![output("x", 0)];
            let count = JsonEncoder::new(&[], outputs.clone()).encode(&record, 0..1, &table, &table, &mut json).unwrap();
            let same = MsgpackEncoder::new(&[], outputs).encode(&record, 0..1, &table, &table, &mut msgpack).unwrap();
            prop_assert_eq!(count, same);
            let json: Value = serde_json::from_slice(&json).unwrap();
            let msgpack: Value = rmp_serde::from_slice(&msgpack).unwrap();
            match dtype {
                Dtype::F32 if float.is_finite() => {
                    let text = json["x"].to_string();
                    prop_assert_eq!(text.parse::<f32>().unwrap().to_bits(), float.to_bits());
                    prop_assert_eq!(msgpack["x"].as_f64(), Some(f64::from(float)));
                }
                Dtype::F64 if double.is_finite() => {
                    prop_assert_eq!(msgpack["x"].as_f64(), Some(double));
                }
                Dtype::F32 | Dtype::F64 => {
                    prop_assert_eq!((count, &json["x"], &msgpack["x"]), (1, &Value::Null, &Value::Null));
                }
                Dtype::I64 => prop_assert_eq!((&json["x"], &msgpack["x"]), (&json!(integer), &json!(integer))),
                _ => prop_assert_eq!((&json["x"], &msgpack["x"]), (&json!(text), &json!(text))),
            }
        }
    }

    /// Whatever JSON is passed along, MessagePack says the same.
    #[test]
    fn passed_values_keep_their_meaning(integers in prop::collection::vec(any::<i64>(), 0..20), unsigned in any::<u64>(), text in "\\PC{0,300}", more in 0usize..70_000, key in "[a-z]{0,40}") {
        let value = json!({key: [integers, unsigned, text + &"x".repeat(more), true, null, 1.5, {}]});
        let mut input = Table::default();
        input.series.push(series(strings(&[&value.to_string()]), &[]));
        let mut into = BytesMut::new();
        let mut encoder = MsgpackEncoder::new(&["p".to_owned()], vec![]);
        encoder.encode(&record(1, Layout::One), 0..1, &input, &Table::default(), &mut into).unwrap();
        prop_assert_eq!(rmp_serde::from_slice::<Value>(&into).unwrap(), json!({"p": value}));
    }
}

#[test]
fn an_empty_list_needs_no_output() {
    let (input, nothing) = (Table::default(), Table::default());
    let one = |key: &str| output(key, 0);
    let mut encoders: [(Box<dyn Encode>, &[u8]); 3] = [
        (Box::new(JsonEncoder::new(&[], vec![one("p")])), b"[]"),
        (Box::new(MsgpackEncoder::new(&[], vec![one("p")])), b"\x90"),
        (Box::new(TensorEncoder::new(one("p"))), b""),
    ];
    for (encoder, expected) in &mut encoders {
        let mut into = BytesMut::new();
        let record = record(0, many(&[]));
        let count = encoder.encode(&record, 0..0, &input, &nothing, &mut into);
        assert_eq!((count, &into[..]), (Ok(0), *expected));
    }
    let known = Table {
        rows: 0,
        series: vec![Series::new(Dtype::F64, vec![2, 3])],
    };
    let tensor = &mut encoders[2].0;
    let layout = many(&[]);
    let record = record(0, layout.clone());
    assert_eq!(
        tensor.encode(&record, 0..0, &input, &known, &mut BytesMut::new()),
        Ok(0)
    );
    assert_eq!(
        tensor.headers(0, &layout),
        [
            ("Forebay-Dtype".to_owned(), "f64".to_owned()),
            ("Forebay-Shape".to_owned(), "0,2,3".to_owned())
        ]
    );
}
