//! What the decoders' tests share.

use std::sync::Arc;

use super::{Decode, Decoded};
use crate::{
    block::{Column, Series, Table},
    contract::{Dtype, Field, Scalar},
    message::{Ack, Headers, Message, Reject},
};

pub(super) fn message(payload: &[u8]) -> Message {
    with_headers(payload, &[])
}

pub(super) fn with_headers(payload: &[u8], headers: &[(&str, &str)]) -> Message {
    let owned: Headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Message {
        subject: bytes::Bytes::from_static(b"rows"),
        reply: None,
        payload: bytes::Bytes::copy_from_slice(payload),
        headers: (!owned.is_empty()).then(|| Arc::new(owned)),
        position: None,
        received: std::time::Instant::now(),
        ack: Ack::none(),
    }
}

pub(super) fn table(fields: &[Field], passed: &[String]) -> Table {
    let mut table = Table::for_fields(fields);
    for _ in passed {
        table.series.push(Series::new(Dtype::String, vec![]));
    }
    table
}

/// Decodes one payload into a fresh table, with the caller's part of the bargain on errors.
pub(super) fn decode(
    decoder: &mut dyn Decode,
    fields: &[Field],
    passed: &[String],
    payload: &[u8],
) -> Result<(Decoded, Table), Reject> {
    decode_message(decoder, fields, passed, &message(payload))
}

pub(super) fn decode_message(
    decoder: &mut dyn Decode,
    fields: &[Field],
    passed: &[String],
    message: &Message,
) -> Result<(Decoded, Table), Reject> {
    let mut table = table(fields, passed);
    let decoded = decoder.decode(message, &mut table)?;
    assert_eq!(table.rows, decoded.rows);
    for series in &table.series {
        assert_eq!(series.values.len(), table.rows * series.width());
    }
    Ok((decoded, table))
}

/// The elements of a column as text, for short comparisons.
pub(super) fn shown(column: &Column) -> Vec<String> {
    match column {
        Column::F32(values) => values.iter().map(ToString::to_string).collect(),
        Column::F64(values) => values.iter().map(ToString::to_string).collect(),
        Column::I32(values) => values.iter().map(ToString::to_string).collect(),
        Column::I64(values) => values.iter().map(ToString::to_string).collect(),
        Column::U8(values) => values.iter().map(ToString::to_string).collect(),
        Column::Bool(values) => values.iter().map(ToString::to_string).collect(),
        Column::String(values) => values.iter().map(ToOwned::to_owned).collect(),
        Column::Bytes(values) => values.iter().map(|value| format!("{value:?}")).collect(),
    }
}

/// A contract with one field of each kind of rule.
pub(super) fn census() -> Vec<Field> {
    let mut age = Field::new("age", Dtype::F32, vec![]);
    age.range = Some([0.0, 120.0]);
    let hours = Field::new("hours", Dtype::F64, vec![]);
    let mut state = Field::new("state", Dtype::String, vec![]);
    state.values = Some(["MA", "NY", "CA"].map(|s| Scalar::String(s.into())).into());
    state.default = Some(Scalar::String("MA".into()));
    let mut count = Field::new("count", Dtype::I32, vec![]);
    count.default = Some(Scalar::Integer(7));
    let mut pixel = Field::new("pixel", Dtype::U8, vec![]);
    pixel.default = Some(Scalar::Integer(0));
    let mut grade = Field::new("grade", Dtype::I64, vec![]);
    grade.values = Some(vec![Scalar::Integer(3), Scalar::Integer(1)]);
    grade.range = Some([0.5, 10.0]);
    grade.default = Some(Scalar::Integer(1));
    let mut open = Field::new("open", Dtype::Bool, vec![]);
    open.default = Some(Scalar::Bool(true));
    let mut level = Field::new("level", Dtype::F32, vec![]);
    level.nullable = true;
    let mut image = Field::new("image", Dtype::F32, vec![2, 3]);
    image.default = Some(Scalar::Float(0.5));
    image.range = Some([0.0, f64::INFINITY]);
    let mut pair = Field::new("pair", Dtype::I32, vec![2]);
    pair.default = Some(Scalar::Integer(0));
    let mut single = Field::new("single", Dtype::F32, vec![1]);
    single.nullable = true;
    vec![
        age, hours, state, count, pixel, grade, open, level, image, pair, single,
    ]
}

mod limits {
    use super::*;
    use crate::decode::{json::JsonDecoder, msgpack::MsgpackDecoder, tensor::TensorDecoder};

    #[test]
    fn a_message_cannot_become_more_than_so_many_bytes() {
        let mut image = Field::new("image", Dtype::F32, vec![40, 1024, 1024]);
        image.nullable = true;
        let fields = [image];
        let mut json = JsonDecoder::new(&fields, &[]);
        let mut msgpack = MsgpackDecoder::new(&fields, &[]);
        let rejects = [
            decode(&mut json, &fields, &[], b"[{},{\"image\":null},{}]").unwrap_err(),
            decode(&mut msgpack, &fields, &[], b"\x93\x80\x80\x80").unwrap_err(),
        ];
        for reject in rejects {
            assert_eq!(reject.kind, "size");
            assert_eq!(
                reject.reason,
                "3 rows of 167772160 bytes are more than the 268435456 bytes that one message may become; send them in several messages"
            );
        }
        // One row is as large as the file says, and what is not JSON is said first.
        assert!(decode(&mut json, &fields, &[], b"[{}]").is_ok());
        let reject = decode(&mut json, &fields, &[], b"[{},{},x]").unwrap_err();
        assert_eq!(reject.kind, "syntax");
    }

    #[test]
    fn not_every_bad_row_has_a_sentence() {
        let fields = [Field::new("x", Dtype::Bool, vec![])];
        let payload = format!("[{}{{\"x\":true}}]", "0,".repeat(150));
        let mut json = JsonDecoder::new(&fields, &[]);
        let (decoded, _) = decode(&mut json, &fields, &[], payload.as_bytes()).unwrap();
        let crate::block::Layout::Many { rejected } = decoded.layout else {
            panic!("a list was sent");
        };
        assert_eq!(rejected.len(), 150);
        assert!(rejected[99].1.reason.starts_with("0 is not an object"));
        assert_eq!(rejected[100].1.reason, "type");
        let mut tensor = TensorDecoder::new(&fields[0], Dtype::Bool);
        let reject = decode(&mut tensor, &fields, &[], &vec![2; 2_000_000]).unwrap_err();
        assert_eq!(reject.kind, "size");
    }

    #[test]
    fn text_with_a_nul_harms_only_its_row() {
        let fields = [Field::new("state", Dtype::String, vec![])];
        let mut json = JsonDecoder::new(&fields, &[]);
        let payload = br#"[{"state":"MA"},{"state":"M\u0000A"}]"#;
        let (decoded, _) = decode(&mut json, &fields, &[], payload).unwrap();
        let crate::block::Layout::Many { rejected } = decoded.layout else {
            panic!("a list was sent");
        };
        assert_eq!((decoded.rows, rejected.len()), (1, 1));
        let (1, Reject { kind, reason, .. }) = &rejected[0] else {
            panic!("the second row is bad: {rejected:?}");
        };
        assert_eq!(
            (*kind, reason.as_str()),
            (
                "value",
                "field `state`: \"M\\u0000A\" has the character U+0000 in it, which models cannot take"
            )
        );
        let mut msgpack = MsgpackDecoder::new(&fields, &[]);
        let payload = b"\x81\xa5state\xa3M\0A";
        let reject = decode(&mut msgpack, &fields, &[], payload).unwrap_err();
        assert_eq!(reject.kind, "value");
    }
    #[test]
    fn a_block_ends_where_it_has_rows_enough() {
        let fields = [Field::new("x", Dtype::F32, vec![])];
        let mut json = JsonDecoder::new(&fields, &[]);
        let list: &[u8] = br#"[{"x":1},{"x":2}]"#;
        let messages = [list, b"broken", list, b"[]", list, b"{\"x\":3}"].map(message);
        let mut messages = messages.into_iter();
        let (mut rejected, mut blocks) = (0, Vec::new());
        while messages.len() > 0 {
            let table = Table::for_fields(&fields);
            let reject = |_, _| rejected += 1;
            let block = crate::decode::block_of(
                &mut json,
                &mut messages,
                table,
                3,
                |_, _, _| Ok(()),
                reject,
            );
            blocks.push((block.records.len(), block.rows()));
        }
        assert_eq!((blocks, rejected), (vec![(2, 4), (3, 3)], 1));
    }
}
