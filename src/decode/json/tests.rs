use super::*;
use crate::{
    contract::{Dtype, Scalar},
    decode::tests::{census, decode, shown},
};

fn read(payload: &str) -> Result<(Decoded, Table), Reject> {
    let (fields, passed) = (census(), vec!["id".to_owned(), "age".to_owned()]);
    let mut decoder = JsonDecoder::new(&fields, &passed);
    let once = decode(&mut decoder, &fields, &passed, payload.as_bytes());
    // The second time the order is known: the result must be the same.
    let again = decode(&mut decoder, &fields, &passed, payload.as_bytes());
    assert_eq!(format!("{once:?}"), format!("{again:?}"));
    once
}

fn rejected(payload: &str) -> (&'static str, String) {
    let reject = read(payload).expect_err(payload);
    (reject.kind, reject.reason)
}

fn column(payload: &str, slot: usize) -> Vec<String> {
    let (_, table) = read(payload).unwrap_or_else(|reject| panic!("{payload}: {reject}"));
    shown(&table.series[slot].values)
}

/// Each reject's exact words. `age` and `hours` are the only required fields.
#[rustfmt::skip]
const REJECTS: &[(&str, &str, &str)] = &[
    (r#"{"age":190,"hours":1}"#, "range", "field `age`: 190 is outside the range 0 to 120"),
    (r#"{"age":-0.5,"hours":1}"#, "range", "field `age`: -0.5 is outside the range 0 to 120"),
    (r#"{"age":1}"#, "missing", "field `hours` is missing"),
    (r#"{"age":1,"Hours":40,"id":7}"#, "missing", "field `hours` is missing; there is a key that is no field: `Hours`"),
    (r#"{ "hours_per_week" : [4], "a\nb" :{"c":"secret"},"age":1}"#, "missing", "field `hours` is missing; there are keys that are no fields: `hours_per_week`, `a b`"),
    (r#"{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0}"#, "missing", "field `age` is missing; there are keys that are no fields: `a`, `b`, `c`, `d` and 2 more"),
    ("{}", "missing", "field `age` is missing"),
    (r#"{"age":null,"hours":1}"#, "null", "field `age` is null"),
    (r#"{"age":"12","hours":1}"#, "type", "field `age`: \"12\" is text, not a number; send it without quotes"),
    (r#"{"age":"old","hours":1}"#, "type", "field `age`: \"old\" is not a number"),
    (r#"{"age":true,"hours":1}"#, "type", "field `age`: true is not a number"),
    (r#"{"age":[1,2],"hours":1}"#, "type", "field `age`: [1,2] is not a number"),
    (r#"{"age":{"a":1},"hours":1}"#, "type", "field `age`: {\"a\":1} is not a number"),
    (r#"{"age":1e39,"hours":1}"#, "range", "field `age`: 1e39 does not fit in f32"),
    (r#"{"age":1,"hours":1e999}"#, "range", "field `hours`: 1e999 is not a finite number"),
    (r#"{"age":1,"hours":1,"state":"XX"}"#, "value", "field `state`: \"XX\" is not one of the allowed values \"MA\", \"NY\", \"CA\""),
    (r#"{"age":1,"hours":1,"state":5}"#, "type", "field `state`: 5 is not text"),
    (r#"{"age":1,"hours":1,"count":3.5}"#, "type", "field `count`: 3.5 is not a whole number"),
    (r#"{"age":1,"hours":1,"count":9007199254740993.5}"#, "type", "field `count`: 9007199254740993.5 is not a whole number"),
    (r#"{"age":1,"hours":1,"count":2147483648}"#, "range", "field `count`: 2147483648 does not fit in i32"),
    (r#"{"age":1,"hours":1,"grade":99999999999999999999}"#, "range", "field `grade`: 99999999999999999999 does not fit in i64"),
    (r#"{"age":1,"hours":1,"pixel":300}"#, "range", "field `pixel`: 300 does not fit in u8"),
    (r#"{"age":1,"hours":1,"grade":2}"#, "value", "field `grade`: 2 is not one of the allowed values 3, 1"),
    (r#"{"age":1,"hours":1,"grade":0}"#, "range", "field `grade`: 0 is outside the range 0.5 to 10"),
    (r#"{"age":1,"hours":1,"open":1}"#, "type", "field `open`: 1 is not true or false"),
    (r#"{"age":1,"hours":1,"open":"true"}"#, "type", "field `open`: \"true\" is not true or false"),
    (r#"{"age":1,"hours":1,"pair":[1]}"#, "shape", "field `pair`: expected an array of 2 numbers, found an array of 1"),
    (r#"{"age":1,"hours":1,"pair":[1,2,"x",{}]}"#, "shape", "field `pair`: expected an array of 2 numbers, found an array of 4"),
    (r#"{"age":1,"hours":1,"pair":5}"#, "shape", "field `pair`: 5 is not an array of 2 numbers"),
    (r#"{"age":1,"hours":1,"pair":[1,"2"]}"#, "type", "field `pair`, element 1: \"2\" is text, not a whole number; send it without quotes"),
    (r#"{"age":1,"hours":1,"image":[[1,2,3],[4,5,-6]]}"#, "range", "field `image`, element 5: -6 is outside the range from 0 up"),
    (r#"{"age":1,"hours":1,"image":[[1,2],[3,4]]}"#, "shape", "field `image`: expected an array of shape 2x3 or a flat array of 6 numbers, found an array of 2"),
    (r#"{"age":1,"hours":1,"image":[[1,2,3],4]}"#, "shape", "field `image`: 4 is not an array of shape 2x3 or a flat array of 6 numbers"),
    (r#"{"age":1,"hours":1,"image":[1,2,3,4]}"#, "shape", "field `image`: expected an array of shape 2x3 or a flat array of 6 numbers, found an array of 4"),
    (r#"{"age":"a text that goes on and on and on and on","hours":1}"#, "type", "field `age`: \"a text that goes on and on and on and … is not a number"),
    ("5", "type", "5 is not an object with the fields of a row"),
    ("[1, {}]", "type", "none of the 2 rows is good; the first: 1 is not an object with the fields of a row"),
    (r#"[{"hours":1}]"#, "missing", "the only row of the list: field `age` is missing"),
    ("", "empty", "the message is empty"),
    (" \n", "empty", "the message is empty"),
    (r#"{"age":190"#, "syntax", "not JSON: expected `,` or `}` at byte 10 (line 1, column 11)"),
    ("{\"age\":1,\n \"höhe\" 5}", "syntax", "not JSON: expected `:` at byte 19 (line 2, column 9)"),
    (r#"{"age":NaN}"#, "syntax", "not JSON: JSON has no NaN or Infinity (send null) at byte 7 (line 1, column 8)"),
    (r#"{"age":1,"hours":1} x"#, "syntax", "not JSON: expected the end at byte 20 (line 1, column 21)"),
];

#[test]
fn rejects_say_field_rule_and_value() {
    for (payload, kind, reason) in REJECTS {
        assert_eq!(
            rejected(payload),
            (*kind, (*reason).to_owned()),
            "{payload}"
        );
    }
    let mut decoder = JsonDecoder::new(&[], &[]);
    let reject = decode(&mut decoder, &[], &[], b"{\"\xff\":1}").unwrap_err();
    assert_eq!(reject.reason, "not JSON: the text is not UTF-8 at byte 2");
}

#[test]
fn a_long_list_of_values_is_cut() {
    let mut field = Field::new("code", Dtype::String, vec![]);
    let codes = (0..100).map(|code| Scalar::String(format!("code-{code:04}")));
    field.values = Some(codes.collect());
    let fields = [field];
    let mut decoder = JsonDecoder::new(&fields, &[]);
    let reject = decode(&mut decoder, &fields, &[], br#"{"code":"x"}"#).unwrap_err();
    assert!(reject.reason.ends_with("and 90 more"), "{}", reject.reason);
    assert!(reject.reason.len() < 250);
}

#[test]
fn good_values_take_the_type_of_their_field() {
    let cases = [
        (r#"{"age":1.5,"hours":0.1}"#, 0, "1.5"),
        (r#"{"age":120.0000001,"hours":1}"#, 0, "120"),
        (r#"{"age":-0,"hours":-0.0}"#, 1, "-0"),
        (r#"{"age":1,"hours":5e-324}"#, 1, &5e-324_f64.to_string()),
        (
            r#"{"age":1,"hours":0.1234567890123456789}"#,
            1,
            "0.12345678901234568",
        ),
        (r#"{"age":1,"hours":1}"#, 2, "MA"),
        (r#"{"age":1,"hours":1,"state":null}"#, 2, "MA"),
        (r#"{"age":1,"hours":1,"state":"\u004eY"}"#, 2, "NY"),
        (r#"{"age":1,"hours":1}"#, 3, "7"),
        (r#"{"age":1,"hours":1,"count":3.0}"#, 3, "3"),
        (r#"{"age":1,"hours":1,"count":-12e2}"#, 3, "-1200"),
        (r#"{"age":1,"hours":1,"pixel":25500e-2}"#, 4, "255"),
        (r#"{"age":1,"hours":1,"grade":3}"#, 5, "3"),
        (r#"{"age":1,"hours":1,"open":false}"#, 6, "false"),
        (r#"{"age":1,"hours":1}"#, 7, "NaN"),
        (r#"{"age":1,"hours":1,"level":null}"#, 7, "NaN"),
        (
            r#"{"age":1,"hours":1,"image":[[1,2,3],[4,5,6]]}"#,
            8,
            "1 2 3 4 5 6",
        ),
        (
            r#"{"age":1,"hours":1,"image":[ 1 , 2,3,4,5,null]}"#,
            8,
            "1 2 3 4 5 0.5",
        ),
        (
            r#"{"age":1,"hours":1,"image":null}"#,
            8,
            "0.5 0.5 0.5 0.5 0.5 0.5",
        ),
        (r#"{"age":1,"hours":1,"pair":[1,2]}"#, 9, "1 2"),
        (r#"{"age":1,"hours":1,"single":[2]}"#, 10, "2"),
        (r#"{"age":1,"hours":1,"single":3}"#, 10, "3"),
        // Passed: the text as it came; missing is empty; a field may be passed too.
        (r#"{"age":1,"hours":1}"#, 11, ""),
        (
            "{\"id\": [1,\n  {\"a\":\"\\n\"}] ,\"age\":1,\"hours\":1}",
            11,
            "[1,   {\"a\":\"\\n\"}]",
        ),
        (r#"{"age": 1.50 ,"hours":1}"#, 12, "1.50"),
        // The last of a repeated key counts.
        (r#"{"age":1,"hours":1,"age":2,"id":1,"id":2}"#, 0, "2"),
        (r#"{"age":1,"hours":1,"age":2,"id":1,"id":2}"#, 11, "2"),
        (r#"{"pair":[1,2],"age":1,"hours":1,"pair":[3,4]}"#, 9, "3 4"),
    ];
    for (payload, slot, expected) in cases {
        assert_eq!(column(payload, slot).join(" "), expected, "{payload}");
    }
}

#[test]
fn integers_beyond_the_floats_are_exact() {
    let fields = [Field::new("n", Dtype::I64, vec![])];
    let mut decoder = JsonDecoder::new(&fields, &[]);
    for text in [
        "9223372036854775807",
        "-9223372036854775808",
        "9007199254740993",
        "9007199254740993.0",
        "9007199254740993.0000000000000000000",
        "-12.00000000000000000000000000000000",
    ] {
        let payload = format!("{{\"n\":{text}}}");
        let (_, table) = decode(&mut decoder, &fields, &[], payload.as_bytes()).unwrap();
        assert_eq!(
            shown(&table.series[0].values),
            [text.split('.').next().unwrap_or_default()]
        );
    }
    for text in [
        "1.00000000000000000000001",
        "1.0000000000000000001",
        "-3.00000000000000000000000000009",
        "1e-400",
        "100000000000000000000000.1e-23",
    ] {
        let payload = format!("{{\"n\":{text}}}");
        let reject = decode(&mut decoder, &fields, &[], payload.as_bytes()).unwrap_err();
        let words = "is not a whole number";
        assert!(reject.reason.ends_with(words), "{text}: {}", reject.reason);
    }
}

#[test]
fn a_bad_row_leaves_its_neighbours() {
    let (decoded, table) = read(
        r#"[{"age":1,"hours":1}, {"hours":2,"age":500}, 7, {"pair":[8,9],"age":3}, {"age":4,"hours":4}]"#,
    )
    .unwrap();
    assert_eq!(decoded.rows, 2);
    assert_eq!(shown(&table.series[0].values), ["1", "4"]);
    assert_eq!(shown(&table.series[9].values), ["0", "0", "0", "0"]);
    let Layout::Many { rejected } = decoded.layout else {
        panic!("a list");
    };
    let places: Vec<_> = rejected
        .iter()
        .map(|(at, reject)| (*at, reject.kind))
        .collect();
    assert_eq!(places, [(1, "range"), (2, "type"), (3, "missing")]);
}

#[test]
fn an_empty_list_is_no_rows() {
    let (decoded, _) = read(" [ ] ").unwrap();
    assert_eq!(
        decoded,
        Decoded {
            rows: 0,
            layout: Layout::Many { rejected: vec![] }
        }
    );
}

/// Rows that drop, add and reorder keys, or change the spacing, decode as if read alone.
#[test]
fn learning_the_order_never_changes_the_result() {
    let (fields, passed) = (census(), vec!["id".to_owned()]);
    let payloads = [
        r#"{"age":1,"hours":2,"id":3}"#,
        r#"{"age":1,"id":3,"hours":2}"#,
        r#"{"hours":2,"age":1}"#,
        r#"{ "age" : 1 , "hours" : 2 }"#,
        r#"{"age": 1, "hours": 2, "extra": [1, {"age": 9}]}"#,
        r#"{"age": 1, "hours":     2}"#,
        r#"[{"age":1,"hours":2},{"age":1,"hours":2,"more":{}}]"#,
        r#"{"age":1{"hours":2}"#,
        r#"{,"age":1,"hours":2}"#,
        r#"{"age":1,"hours":2"#,
        r#"{"age":1,"hours":2,}"#,
        r#"{"age":1 "hours":2}"#,
        r#"{"\u0061ge":1,"hours":2}"#,
    ];
    let mut learned = JsonDecoder::new(&fields, &passed);
    for before in payloads {
        for payload in payloads {
            let mut fresh = JsonDecoder::new(&fields, &passed);
            let alone = decode(&mut fresh, &fields, &passed, payload.as_bytes());
            let _ignored = decode(&mut learned, &fields, &passed, before.as_bytes());
            let after = decode(&mut learned, &fields, &passed, payload.as_bytes());
            assert_eq!(
                format!("{alone:?}"),
                format!("{after:?}"),
                "{before} then {payload}"
            );
        }
    }
}

#[test]
fn nesting_is_limited() {
    let deep = |levels: usize| format!("{{\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let fields: [Field; 0] = [];
    let mut decoder = JsonDecoder::new(&fields, &[]);
    assert!(decode(&mut decoder, &fields, &[], deep(126).as_bytes()).is_ok());
    let reject = decode(&mut decoder, &fields, &[], deep(127).as_bytes()).unwrap_err();
    assert!(
        reject.reason.contains("more than 127 levels of nesting"),
        "{}",
        reject.reason
    );
    assert!(decode(&mut decoder, &fields, &[], "[".repeat(1 << 20).as_bytes()).is_err());
}

#[test]
fn absurd_exponents_are_zero_or_infinite() {
    let zeros = "0".repeat(100_000);
    for (text, expected) in [
        (format!("0.{zeros}1e100002"), 10.0),
        (format!("0.{zeros}1e99999999999"), f64::INFINITY),
        ("1e-99999999999".to_owned(), 0.0),
        ("0e99999999999".to_owned(), 0.0),
    ] {
        let token = Scanner::new(&text).number().unwrap();
        assert_eq!(token.float().to_bits(), f64::to_bits(expected));
    }
}
