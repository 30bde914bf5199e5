use proptest::prelude::*;

use super::*;
use crate::decode::tests::{decode_message, message, shown, with_headers};

/// Payload, headers, rows, layout.
type Case<'a> = (&'a [u8], &'a [(&'a str, &'a str)], usize, &'a Layout);

fn vector() -> Field {
    let mut field = Field::new("x", Dtype::F32, vec![3]);
    field.range = Some([0.0, 10.0]);
    field
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn read(field: &Field, dtype: Dtype, message: &Message) -> Result<(Decoded, Table), Reject> {
    let mut decoder = TensorDecoder::new(field, dtype);
    decode_message(&mut decoder, std::slice::from_ref(field), &[], message)
}

fn reason(field: &Field, payload: &[u8], headers: &[(&str, &str)]) -> (&'static str, String) {
    let reject = read(field, Dtype::F32, &with_headers(payload, headers)).unwrap_err();
    (reject.kind, reject.reason)
}

#[test]
fn rows_and_layout() {
    let six = bytes(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let list = Layout::Many { rejected: vec![] };
    let shape = "forebay-shape";
    let cases: [Case<'_>; 9] = [
        (&six[..12], &[], 1, &Layout::One),
        (&six, &[], 2, &list),
        (&six[..12], &[(shape, "3")], 1, &Layout::One),
        (&six[..12], &[(shape, "1,3")], 1, &list),
        (&six, &[(shape, "2x3")], 2, &list),
        (
            &six,
            &[(shape, " 2, 3 "), ("Forebay-Dtype", "f32")],
            2,
            &list,
        ),
        (&[1, 2, 3], &[("forebay-dtype", "u8")], 1, &Layout::One),
        (
            &[1, 2, 3, 4, 5, 6],
            &[("forebay-dtype", "u8"), (shape, "2,3")],
            2,
            &list,
        ),
        (&[], &[(shape, "0,3")], 0, &list),
    ];
    for (payload, headers, rows, layout) in cases {
        let (decoded, table) =
            read(&vector(), Dtype::F32, &with_headers(payload, headers)).unwrap();
        assert_eq!(
            (decoded.rows, &decoded.layout),
            (rows, layout),
            "{headers:?}"
        );
        let expected: Vec<String> = (1..=rows * 3).map(|value| value.to_string()).collect();
        assert_eq!(shown(&table.series[0].values), expected);
    }
    let scalar = Field::new("x", Dtype::F32, vec![]);
    let (decoded, _) = read(&scalar, Dtype::F32, &with_headers(&six, &[(shape, "6")])).unwrap();
    assert_eq!((decoded.rows, decoded.layout), (6, list.clone()));
    let matrix = Field::new("x", Dtype::F32, vec![1, 3]);
    let (decoded, _) = read(&matrix, Dtype::F32, &with_headers(&six, &[(shape, "2,3")])).unwrap();
    assert_eq!((decoded.rows, decoded.layout), (2, list));
}

#[test]
fn rejects_say_what_was_expected() {
    let three = bytes(&[1.0, 2.0, 3.0]);
    let shape = "Forebay-Shape";
    let header = |name, value, payload: &[u8]| reason(&vector(), payload, &[(name, value)]);
    let cases = [
        (
            reason(&vector(), &three[..11], &[]),
            "size",
            "field `x`: expected a multiple of 12 bytes (3 elements of 4), got 11",
        ),
        (reason(&vector(), &[], &[]), "empty", "the message is empty"),
        (
            header(shape, "2,3", &three),
            "size",
            "a tensor of shape 2,3 has 24 bytes, got 12",
        ),
        (
            header(shape, "4", &three),
            "shape",
            "header Forebay-Shape: \"4\" does not end in the shape [3] of field `x`",
        ),
        (
            header(shape, "a,3", &three),
            "shape",
            "header Forebay-Shape: \"a,3\" is not a list of sizes like 16,64",
        ),
        (
            header(shape, "18446744073709551615,3", &three),
            "size",
            "a tensor of shape 18446744073709551615,3 has more bytes, got 12",
        ),
        (
            header("Forebay-Dtype", "f16", &three),
            "type",
            "header Forebay-Dtype: \"f16\" is not one of f32, f64, i32, i64, u8, bool",
        ),
        (
            header("Forebay-Dtype", "i64", &three),
            "type",
            "field `x` is f32: i64 elements cannot become f32 without loss",
        ),
        (
            header("Forebay-Dtype", "string", &three),
            "type",
            "text and bytes have no raw form; send json or msgpack",
        ),
        (
            reason(&vector(), &bytes(&[1.0, 2.0, 11.5]), &[]),
            "range",
            "field `x`, element 2: 11.5 is outside the range 0 to 10",
        ),
        (
            reason(&vector(), &bytes(&[1.0, f32::NAN, 3.0]), &[]),
            "null",
            "field `x`, element 1 is null",
        ),
        (
            reason(&vector(), &bytes(&[f32::INFINITY, 2.0, 3.0]), &[]),
            "range",
            "field `x`, element 0: inf is not a finite number",
        ),
    ];
    for ((kind, reason), expected_kind, expected) in cases {
        assert_eq!((kind, reason.as_str()), (expected_kind, expected));
    }
    let open = Field::new("open", Dtype::Bool, vec![]);
    let reject = read(&open, Dtype::Bool, &message(&[2])).unwrap_err();
    assert_eq!(
        reject.reason,
        "field `open`: the byte 2 is not true or false"
    );
}

#[test]
fn a_bad_row_leaves_its_neighbours_and_nan_is_null() {
    let mut field = vector();
    let rows = bytes(&[1.0, 2.0, 3.0, 4.0, -5.0, 6.0, 7.0, f32::NAN, 9.0]);
    let (decoded, table) = read(&field, Dtype::F32, &message(&rows)).unwrap();
    let Layout::Many { rejected } = decoded.layout else {
        panic!("a list")
    };
    let kinds: Vec<_> = rejected
        .iter()
        .map(|(at, reject)| (*at, reject.kind))
        .collect();
    assert_eq!(kinds, [(1, "range"), (2, "null")]);
    assert_eq!(shown(&table.series[0].values), ["1", "2", "3"]);
    field.nullable = true;
    let (decoded, table) = read(&field, Dtype::F32, &message(&rows[24..])).unwrap();
    assert_eq!(decoded.rows, 1);
    assert_eq!(shown(&table.series[0].values), ["7", "NaN", "9"]);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(payload in prop::collection::vec(any::<u8>(), 0..64), shape in "[0-9x,]{0,12}", from in 0usize..7, to in 0usize..7, dims in prop::collection::vec(0usize..4, 0..3)) {
        let field = Field::new("x", Dtype::ALL[to], dims);
        let headers = [("Forebay-Dtype", Dtype::ALL[from].name()), ("Forebay-Shape", shape.as_str())];
        let _ignored = read(&field, Dtype::F32, &with_headers(&payload, &headers));
        let _ignored = read(&field, Dtype::ALL[from], &message(&payload));
    }
}
