//! The JSON decoder against serde_json, and against itself, on generated texts.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{
    block::Column,
    contract::Dtype,
    decode::tests::{census, decode, shown},
};

/// A small JSON value, written with odd spacing and escapes.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|value| serde_json::to_string(&value).unwrap()),
        any::<i64>().prop_map(|value| value.to_string()),
        "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,2})?",
        any::<String>().prop_map(|value| serde_json::to_string(&value).unwrap()),
        "\"(\\\\u[0-9a-fA-F]{4}|\\\\[nrt\"\\\\/bf]|[ -!#-\\[\\]-~é€😀]){0,12}\"",
    ];
    let blank = "[ \\n\\t\\r]{0,2}";
    leaf.prop_recursive(4, 24, 5, move |inner| {
        let key = prop_oneof!["\"[a-c]\"", "\"\\\\u006[1-3]\""];
        prop_oneof![
            (prop::collection::vec((blank, inner.clone(), blank), 0..5)).prop_map(|items| {
                let items: Vec<_> = items.into_iter().map(|(a, b, c)| a + &b + &c).collect();
                format!("[{}]", items.join(","))
            }),
            (prop::collection::vec((blank, key, blank, inner, blank), 0..5)).prop_map(|items| {
                let items: Vec<_> = items
                    .into_iter()
                    .map(|(a, k, b, v, c)| format!("{a}{k}{b}:{v}{c}"))
                    .collect();
                format!("{{{}}}", items.join(","))
            }),
        ]
    })
}

/// JSON with a few bytes changed, dropped or added.
fn broken_text() -> impl Strategy<Value = Vec<u8>> {
    let change = (
        any::<prop::sample::Index>(),
        0..3u8,
        any::<prop::sample::Index>(),
        any::<u8>(),
    );
    (json_text(), prop::collection::vec(change, 0..4)).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (at, how, pick, any) in changes {
            let at = at.index(bytes.len() + 1);
            let choice = b"{}[]\",:\\u0-+.eE1 tfn\n\x1f\x80";
            let index = pick.index(choice.len() + 1);
            let byte = choice.get(index).copied().unwrap_or(any);
            match how {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => bytes[at] = byte,
                _ if at < bytes.len() => drop(bytes.remove(at)),
                _ => {}
            }
        }
        bytes
    })
}

/// Whether serde_json takes the text; `None` where it refuses a number only for its size.
fn oracle(bytes: &[u8]) -> Option<bool> {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(_) => Some(true),
        Err(error) if error.to_string().contains("number out of range") => None,
        Err(_) => Some(false),
    }
}

/// What the contract makes of one value, written again without any of the decoder's code.
fn expected(value: Option<&Value>, dtype: Dtype) -> Option<String> {
    match (dtype, value?) {
        (Dtype::F64, Value::Number(number)) => number.as_f64().map(|value| value.to_string()),
        (Dtype::I64, Value::Number(number)) => {
            let float = number.as_f64()?;
            match number.as_i64() {
                Some(value) => Some(value.to_string()),
                None if float.fract() == 0.0 && float.abs() < 9e15 => {
                    Some(format!("{}", float + 0.0))
                }
                None => None,
            }
        }
        (Dtype::Bool, Value::Bool(value)) => Some(value.to_string()),
        (Dtype::String, Value::String(value)) => Some(value.clone()),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let fields = census();
        let mut decoder = JsonDecoder::new(&fields, &["id".to_owned()]);
        let _ignored = decode(&mut decoder, &fields, &["id".to_owned()], &bytes);
    }

    /// Exactly what serde_json takes, whole or broken, as a row, a passed value or a field.
    #[test]
    fn the_grammar_is_serde_jsons(bytes in broken_text()) {
        let fields = [Field::new("a", Dtype::F32, vec![]), Field::new("b", Dtype::String, vec![])];
        let mut decoder = JsonDecoder::new(&fields, &["c".to_owned()]);
        let decoded = decode(&mut decoder, &fields, &["c".to_owned()], &bytes);
        let valid = !matches!(&decoded, Err(reject) if matches!(reject.kind, "syntax" | "empty"));
        if let Some(oracle) = oracle(&bytes) {
            prop_assert_eq!(valid, oracle, "{:?} {:?}", String::from_utf8_lossy(&bytes), decoded);
        }
        // A decoder that knows the order of a sound relative says the same.
        let _ignored = decode(&mut decoder, &fields, &["c".to_owned()], br#"{"a":1,"b":"x","c":null}"#);
        let again = decode(&mut decoder, &fields, &["c".to_owned()], &bytes);
        prop_assert_eq!(format!("{decoded:?}"), format!("{again:?}"));
    }

    /// Good values are read as serde_json reads them, wrong ones are refused.
    #[test]
    fn values_are_serde_jsons(text in json_text()) {
        for dtype in [Dtype::F64, Dtype::I64, Dtype::Bool, Dtype::String] {
            let payload = format!("{{\"x\": {text}}}");
            let Ok(value) = serde_json::from_str::<Value>(&payload) else { continue };
            let value = &value["x"];
            let fields = [Field::new("x", dtype, vec![])];
            let mut decoder = JsonDecoder::new(&fields, &[]);
            let decoded = decode(&mut decoder, &fields, &[], payload.as_bytes());
            let got = decoded.ok().map(|(_, table)| shown(&table.series[0].values)[0].clone());
            // serde_json's numbers are doubles; up to 15 digits a double is whole when its text is.
            let digits = text.split(['e', 'E']).next().unwrap_or_default();
            let faithful = digits.chars().filter(char::is_ascii_digit).count() <= 15;
            let large = value.as_f64().is_some_and(|float| float.abs() >= 9e15);
            if dtype != Dtype::I64 || value.is_i64() || (faithful && !large) {
                prop_assert_eq!(got, expected(Some(value), dtype), "{} as {}", text, dtype);
            }
        }
    }

    /// The nearest double, whatever the number of digits and the exponent.
    #[test]
    fn numbers_round_correctly(text in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?") {
        let expected: f64 = text.parse().unwrap();
        let mut scan = Scanner::new(&text);
        let token = scan.number().unwrap();
        prop_assert_eq!(scan.pos, text.len());
        prop_assert_eq!(token.float().to_bits(), expected.to_bits());
    }

    #[test]
    fn every_double_survives(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
        let fields = [Field::new("x", Dtype::F64, vec![])];
        let payload = format!("{{\"x\":{value:?}}}");
        let (_, table) = decode(&mut JsonDecoder::new(&fields, &[]), &fields, &[], payload.as_bytes()).unwrap();
        let Column::F64(values) = &table.series[0].values else { panic!("f64") };
        prop_assert_eq!(values[0].to_bits(), value.to_bits());
    }
}
