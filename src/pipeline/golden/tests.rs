use bytes::{BufMut as _, BytesMut};
use serde_json::{Value, json};

use super::{
    Golden, Tolerance, compare,
    lines::{results, tensor},
};

const NEAR: Tolerance = Tolerance {
    relative: 1e-3,
    absolute: 1e-6,
};

fn said(expected: &[Value], found: &[Value]) -> String {
    let golden = Golden {
        rows: expected.len(),
        parts: compare(expected, found, NEAR),
        input: "rows.jsonl".into(),
    };
    golden.to_string()
}

/// One row that is as expected, and one that is not.
fn second(expected: Value, found: Value) -> String {
    let good = json!({ "label": "a", "p": [0.25, 0.75] });
    said(&[good.clone(), expected], &[good, found])
}

#[test]
fn what_is_near_passes() {
    let rows = [
        json!({ "label": 1, "p": [0.5, 1e-9], "none": null }),
        json!([{ "label": 2 }, { "error": { "stage": "decode", "reason": "no" } }]),
        json!({ "error": { "stage": "decode", "reason": "no" } }),
    ];
    assert_eq!(said(&rows, &rows), "golden: 3 rows pass");
    let near = json!({ "label": 1, "p": [0.5004, 2e-9], "none": null });
    assert_eq!(said(&rows[..1], &[near]), "golden: 1 row passes");
    // How a number is written does not count, but whole numbers are exact.
    let one = [json!({ "label": 1.0 })];
    assert_eq!(said(&one, &[json!({ "label": 1 })]), "golden: 1 row passes");
}

#[test]
fn what_differs_is_named() {
    let row = || json!({ "label": "a", "p": [0.25, 0.75] });
    let with = |key: &str, value: Value| {
        let mut row = row();
        row[key] = value;
        row
    };
    let mut without = row();
    without.as_object_mut().expect("an object").remove("p");
    let reject = |reason: &str| json!({ "error": { "stage": "decode", "reason": reason } });
    let scores = |a: f64| json!({ "scores": { "cat": a, "dog": 0.5 } });
    let large = |last: i64| json!({ "label": 9_007_199_254_740_990_i64 + last });
    let cases = [
        ("too far", row(), with("p", json!([0.26, 0.75]))),
        ("two elements", row(), with("p", json!([0.3, 0.76]))),
        ("text", row(), with("label", json!("b"))),
        ("not finite", row(), with("p", json!([0.25, null]))),
        ("finite", with("p", json!([null, 0.75])), row()),
        ("missing", row(), without.clone()),
        ("extra", without, row()),
        ("length", row(), with("p", json!([0.25]))),
        ("no list", row(), with("p", json!(0.25))),
        ("number for text", with("label", json!(1)), row()),
        ("whole", json!({ "label": 1000 }), json!({ "label": 1001 })),
        ("large", large(4), large(5)),
        ("zero", json!({ "p": 0.0 }), json!({ "p": 0.01 })),
        ("labels", scores(0.5), scores(0.4)),
        ("rejected", row(), reject("field `x` is missing")),
        ("not rejected", reject("field `x` is missing"), row()),
        ("for another reason", reject("one"), reject("other")),
        (
            "in a list",
            json!([row(), row()]),
            json!([row(), with("p", json!([0.25, 0.8]))]),
        ),
        (
            "in a list, rejected",
            json!([row(), row()]),
            json!([row(), reject("no")]),
        ),
        ("rows of a list", json!([row(), row()]), json!([row()])),
        (
            "several",
            row(),
            json!({ "label": "b", "p": [0.9, 0.75], "more": 1 }),
        ),
    ];
    let said = cases.map(|(what, expected, found)| format!("{what}: {}", second(expected, found)));
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn the_worst_is_beside_what_is_allowed_and_the_first_row_comes_first() {
    let row = |a: f64, b: f64| json!({ "a": a, "b": b });
    let expected = [row(100.0, 1.0), row(1.0, 1.0)];
    let parts = compare(&expected, &[row(100.05, 1.1), row(1.01, 1.0)], NEAR);
    let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
    // `b` is off in the first row, `a` only in the second.
    assert_eq!(names, ["b", "a"]);
    assert_eq!(parts[1].worst.as_ref().map(|worst| worst.row), Some(2));
    assert_eq!((parts[1].elements, parts[1].differ), (2, 1));
}

#[test]
fn many_keys_are_cut_short() {
    let row = |value: f64| {
        let keys = (0..12).map(|key| (format!("k{key:02}"), json!(value)));
        Value::Object(keys.collect())
    };
    let said = said(&[row(1.0)], &[row(2.0)]);
    assert!(said.ends_with("\n  and 4 more keys"), "{said}");
}

#[test]
fn tensors_are_nested_as_their_headers_say() {
    let headers = |dtype: &str, shape: &str| {
        vec![
            ("Forebay-Dtype".to_owned(), dtype.to_owned()),
            ("Forebay-Shape".to_owned(), shape.to_owned()),
        ]
    };
    let mut floats = BytesMut::new();
    for value in [0.1f32, f32::NAN, 3.0, -4.5] {
        floats.put_f32_le(value);
    }
    assert_eq!(
        tensor(&floats, &headers("f32", "2,2")),
        Ok(json!([[0.1, null], [3.0, -4.5]]))
    );
    assert_eq!(
        tensor(&[1, 0], &headers("bool", "2")),
        Ok(json!([true, false]))
    );
    assert_eq!(
        tensor(&7i64.to_le_bytes(), &headers("i64", "1")),
        Ok(json!([7]))
    );
    assert_eq!(tensor(&[], &Vec::new()), Ok(json!([])));
}

#[test]
fn lines_that_are_no_results_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("expected.jsonl");
    let said = [
        "",
        "\n  \n",
        "{\"p\":1}\n\n{\"p\":NaN}\n",
        "{\"p\":1}\n{\"p\":",
    ]
    .map(|text| {
        std::fs::write(&file, text).expect("written");
        let why = results(&file).expect_err("a mistake");
        why.replace(&*folder.path().to_string_lossy(), "DIR")
    });
    insta::assert_snapshot!(said.join("\n"));
}
