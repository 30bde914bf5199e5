use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    contract::Dtype,
    decode::{
        json::JsonDecoder,
        tests::{census, decode, shown},
    },
};

fn packed(value: &Value) -> Vec<u8> {
    rmp_serde::to_vec(value).unwrap()
}

fn read(payload: &[u8]) -> Result<(Decoded, Table), Reject> {
    let (fields, passed) = (census(), vec!["id".to_owned()]);
    let mut decoder = MsgpackDecoder::new(&fields, &passed);
    let once = decode(&mut decoder, &fields, &passed, payload);
    let again = decode(&mut decoder, &fields, &passed, payload);
    assert_eq!(format!("{once:?}"), format!("{again:?}"));
    once
}

/// What JSON says, MessagePack says: rows, layouts, and the words of each reject.
#[test]
fn the_contract_is_jsons() {
    let good =
        json!({"age": 1.5, "hours": 2, "id": [1, {"k": null}], "image": [[1, 2, 3], [4, 5, 6]]});
    let mut documents = vec![
        good.clone(),
        json!([good, {"age": 200, "hours": 1}, good, 5]),
        json!([]),
        json!({"age": 1}),
        json!({"age": 1, "Hours": [2], "id": 3}),
        json!([{"hours": 1}, {}]),
    ];
    for (key, value) in [
        ("age", json!(190)),
        ("age", json!(null)),
        ("age", json!("12")),
        ("age", json!(true)),
        ("state", json!("XX")),
        ("state", json!("NY")),
        ("count", json!(3.5)),
        ("count", json!(3.0)),
        ("count", json!(1_u64 << 40)),
        ("grade", json!(u64::MAX)),
        ("open", json!(1)),
        ("open", json!(false)),
        ("level", json!(null)),
        ("pair", json!([1])),
        ("pair", json!([1, "2"])),
        ("pair", json!(5)),
        ("image", json!([1, 2, 3, 4, 5, 6])),
        ("image", json!([[1, 2], [3, 4]])),
        ("image", json!([[1, 2, 3], 4])),
        ("image", json!(null)),
        ("single", json!(3)),
        ("single", json!([3])),
    ] {
        let mut document = json!({"age": 1, "hours": 1});
        document[key] = value;
        documents.push(document);
    }
    let (fields, passed) = (census(), vec!["id".to_owned()]);
    for document in documents {
        let text = document.to_string();
        let mut json = JsonDecoder::new(&fields, &passed);
        let expected = decode(&mut json, &fields, &passed, text.as_bytes());
        let got = read(&packed(&document));
        let (mut expected, got) = (format!("{expected:?}"), format!("{got:?}"));
        expected = expected.replace("not an object", "not a map");
        assert_eq!(got, expected, "{text}");
    }
}

#[test]
fn what_only_messagepack_has() {
    let row = |rest: &[u8]| {
        let mut bytes = vec![0x83, 0xa3];
        bytes.extend_from_slice(b"age\x01\xa5hours\xca\x3f\x80\x00\x00");
        bytes.extend_from_slice(rest);
        bytes
    };
    let reason = |rest: &[u8]| {
        let reject = read(&row(rest)).unwrap_err();
        format!("{}: {}", reject.kind, reject.reason)
    };
    // NaN is null, an infinity is nothing.
    let (_, table) = read(&row(b"\xa5level\xca\x7f\xc0\x00\x00")).unwrap();
    assert_eq!(shown(&table.series[7].values), ["NaN"]);
    assert_eq!(shown(&table.series[1].values), ["1"]);
    assert_eq!(
        reason(b"\xa5level\xca\x7f\x80\x00\x00"),
        "range: field `level`: inf is not a finite number"
    );
    assert_eq!(
        reason(b"\xa3age\xca\x7f\xc0\x00\x00"),
        "null: field `age` is null"
    );
    // Keys that are not text, and values of any kind behind them.
    assert!(read(&row(b"\x92\x01\x02\xd6\x01\x00\x00\x00\x00")).is_ok());
    // Passed values.
    let (_, table) = read(&row(b"\xa2id\x83\xa1a\xc4\x02\x01\xff\x07\xca\x3d\xcc\xcc\xcd\xa1b\xcf\xff\xff\xff\xff\xff\xff\xff\xff")).unwrap();
    assert_eq!(
        shown(&table.series[11].values),
        [r#"{"a":[1,255],"7":0.1,"b":18446744073709551615}"#]
    );
    assert_eq!(
        reason(b"\xa2id\xd4\x00\x00"),
        "type: a passed key holds an extension value, which has no JSON form"
    );
    assert_eq!(
        reason(b"\xa2id\x81\xc0\x01"),
        "type: a passed key holds a map key that is neither text nor a whole number, which has no JSON form"
    );
    // What is no MessagePack.
    assert_eq!(
        reason(b"\xa1x\xc1"),
        "syntax: not MessagePack: a byte that begins no value at byte 19"
    );
    assert_eq!(
        reason(b"\xa1x\xa1\xff"),
        "syntax: not MessagePack: text that is not UTF-8 at byte 20"
    );
    assert_eq!(
        reason(b"\xa1x\xda\xff"),
        "syntax: not MessagePack: a value is cut short at byte 21"
    );
    assert_eq!(
        reason(b"\xa1x\x01\x01"),
        "syntax: not MessagePack: expected the end at byte 20"
    );
    assert_eq!(read(b"").unwrap_err().kind, "empty");
    assert_eq!(
        read(b"\xc4\x03abc").unwrap_err().reason,
        "binary data of 3 bytes is not a map with the fields of a row"
    );
}

#[test]
fn binary_data_is_an_array_of_bytes() {
    let fields = [Field::new("image", Dtype::U8, vec![2, 2])];
    let mut decoder = MsgpackDecoder::new(&fields, &[]);
    let payload = |bytes: &[u8]| {
        [
            b"\x81\xa5image\xc4",
            &[u8::try_from(bytes.len()).unwrap()][..],
            bytes,
        ]
        .concat()
    };
    let (_, table) = decode(&mut decoder, &fields, &[], &payload(&[1, 2, 3, 255])).unwrap();
    assert_eq!(shown(&table.series[0].values), ["1", "2", "3", "255"]);
    let reject = decode(&mut decoder, &fields, &[], &payload(&[1, 2, 3])).unwrap_err();
    assert_eq!(reject.kind, "shape");
}

#[test]
fn nesting_is_limited() {
    for levels in [126, 127, 1 << 20] {
        let mut bytes = b"\x81\xa1x".to_vec();
        bytes.extend(std::iter::repeat_n(0x91, levels));
        bytes.push(0xc0);
        let (fields, passed): ([Field; 0], [String; 1]) = ([], ["x".to_owned()]);
        for passed in [&passed[..], &[]] {
            let decoded = decode(
                &mut MsgpackDecoder::new(&fields, passed),
                &fields,
                passed,
                &bytes,
            );
            assert_eq!(decoded.is_ok(), levels == 126);
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..5)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ignored = read(&bytes);
        let _ignored = read(&[&b"\x82\xa2id"[..], &bytes].concat());
    }

    /// Passed values keep their meaning, and a value cut anywhere is refused.
    #[test]
    fn values_are_rmps(value in value(), cut in any::<prop::sample::Index>()) {
        let passed = ["x".to_owned()];
        let payload = packed(&json!({"x": value}));
        let mut decoder = MsgpackDecoder::new(&[], &passed);
        let (_, table) = decode(&mut decoder, &[], &passed, &payload).unwrap();
        let text = shown(&table.series[0].values)[0].clone();
        prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        let short = &payload[..cut.index(payload.len())];
        prop_assert!(decode(&mut decoder, &[], &passed, short).is_err());
    }
}
