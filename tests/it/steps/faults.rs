//! What is said where a step cannot be.

use std::fmt::Write as _;

use forebay::{
    contract::Dtype::{self, Bool, Bytes, F32, F64, I32, I64, String as Text, U8},
    graph::Value,
};
use serde_json::json;

use super::{compile, read};

/// A value of this type and shape of a row.
pub(crate) fn value(dtype: Dtype, shape: &[usize]) -> Value {
    Value::new("in", dtype, shape.to_vec())
}

/// A vector with a label for each element.
fn labelled(labels: &[&str]) -> Value {
    Value {
        labels: Some(labels.iter().map(ToString::to_string).collect()),
        ..value(F32, &[labels.len()])
    }
}

/// What is wrong with each of these, one after the other; they must all be wrong.
pub(crate) fn faults(step: &str, cases: &[(serde_json::Value, Vec<Value>)]) -> String {
    let mut all = String::new();
    for (params, inputs) in cases {
        let fed: Vec<String> = (inputs.iter())
            .map(|input| format!("{}{:?}", input.dtype, input.shape))
            .collect();
        let why = match read(step, params) {
            Err(error) => error,
            Ok(read) => {
                let fault = compile(read.as_ref(), inputs, 17).expect_err("a fault");
                let key = fault
                    .key
                    .map_or("the input".to_owned(), |key| format!("`{key}`"));
                let help = fault
                    .help
                    .map_or(String::new(), |help| format!("\nhelp: {help}"));
                format!("{key} {}{help}", fault.what)
            }
        };
        let why = why.replace('\n', "\n  ");
        writeln!(all, "{step}: {params} fed with {}\n  {why}", fed.join(", ")).unwrap();
    }
    all
}

#[test]
fn numbers_that_do_not_fit() {
    let all = [
        faults(
            "scale",
            &[
                (json!({}), vec![value(F32, &[])]),
                (json!({ "center": 1 }), vec![value(Text, &[])]),
                (json!({ "center": 1 }), vec![value(Bytes, &[])]),
                (json!({ "center": [1, 2] }), vec![value(F32, &[3])]),
                (json!({ "scale": [1, 0] }), vec![value(F32, &[2])]),
                (json!({ "scale": 1, "spread": 1 }), vec![value(F32, &[])]),
            ],
        ),
        faults("denormalize", &[(json!({}), vec![value(F32, &[])])]),
        faults(
            "impute",
            &[
                (json!({}), vec![value(F32, &[])]),
                (json!({ "value": 1 }), vec![value(Bool, &[])]),
                (json!({ "value": 1 }), vec![value(Bytes, &[])]),
                (json!({ "value": 1 }), vec![value(I64, &[])]),
                (json!({ "value": "a" }), vec![value(F32, &[])]),
                (json!({ "value": 1, "missing": "" }), vec![value(F32, &[])]),
                (json!({ "value": 0.5, "missing": 0 }), vec![value(I32, &[])]),
                (json!({ "value": 300, "missing": 0 }), vec![value(U8, &[])]),
                (json!({ "value": [1, 2, 3] }), vec![value(F32, &[2])]),
                (json!({ "value": "a" }), vec![value(Text, &[])]),
                (json!({ "value": 7, "missing": "" }), vec![value(Text, &[])]),
                (
                    json!({ "value": "a", "missing": "", "indicator": true }),
                    vec![value(Text, &[])],
                ),
            ],
        ),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn limits_and_periods_that_do_not_fit() {
    let all = [
        faults(
            "clip",
            &[
                (json!({}), vec![value(F32, &[])]),
                (json!({ "low": 2, "high": [3, 1] }), vec![value(F32, &[2])]),
                (json!({ "low": [1, 2] }), vec![value(F32, &[])]),
                (json!({ "low": -1 }), vec![value(U8, &[])]),
                (json!({ "low": 0 }), vec![value(Bool, &[])]),
            ],
        ),
        faults(
            "bucketize",
            &[
                (json!({ "boundaries": [] }), vec![value(F32, &[])]),
                (json!({ "boundaries": [1, 1] }), vec![value(F32, &[])]),
                (json!({ "boundaries": [1] }), vec![value(Text, &[])]),
            ],
        ),
        faults(
            "cyclic",
            &[
                (json!({}), vec![value(F32, &[])]),
                (json!({ "period": 0 }), vec![value(F32, &[])]),
                (
                    json!({ "period": 24, "part": "hour" }),
                    vec![value(I64, &[])],
                ),
                (
                    json!({ "period": 24, "offset_hours": 1 }),
                    vec![value(I64, &[])],
                ),
                (json!({ "part": "year" }), vec![value(I64, &[])]),
                (json!({ "part": "hour" }), vec![value(F32, &[])]),
                (
                    json!({ "part": "hour", "offset_hours": 25 }),
                    vec![value(I64, &[])],
                ),
            ],
        ),
        faults(
            "l2_normalize",
            &[
                (json!({}), vec![value(F32, &[])]),
                (json!({ "epsilon": 0 }), vec![value(F32, &[2])]),
            ],
        ),
        faults("sigmoid", &[(json!({}), vec![value(Text, &[])])]),
        faults("log1p", &[(json!({}), vec![value(Bool, &[])])]),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn categories_that_do_not_fit() {
    let mut all = Vec::new();
    for step in ["one_hot", "ordinal"] {
        all.push(faults(
            step,
            &[
                (json!({}), vec![value(Text, &[])]),
                (json!({ "categories": [] }), vec![value(Text, &[])]),
                (
                    json!({ "categories": ["a", ["b"]] }),
                    vec![value(Text, &[])],
                ),
                (json!({ "categories": ["a", "a"] }), vec![value(Text, &[])]),
                (json!({ "categories": [1, 2] }), vec![value(Text, &[])]),
                (json!({ "categories": ["a"] }), vec![value(I64, &[])]),
                (json!({ "categories": [1.5] }), vec![value(I32, &[])]),
                (json!({ "categories": [1, 300] }), vec![value(U8, &[])]),
                (json!({ "categories": [0, 1] }), vec![value(Bool, &[])]),
                (
                    json!({ "categories": [0.1, 0.100_000_000_1] }),
                    vec![value(F32, &[])],
                ),
                (json!({ "categories": [true] }), vec![value(F64, &[])]),
                (
                    json!({ "categories": [["a"], ["b"]] }),
                    vec![value(Text, &[3])],
                ),
                (
                    json!({ "categories": [["a"], [1]] }),
                    vec![value(Text, &[2])],
                ),
                (json!({ "categories": ["a"] }), vec![value(Text, &[2, 2])]),
                (json!({ "categories": ["a"] }), vec![value(Bytes, &[])]),
            ],
        ));
    }
    all.push(faults(
        "one_hot",
        &[(
            json!({ "categories": ["a"], "unknown": "error" }),
            vec![value(Text, &[])],
        )],
    ));
    all.push(faults(
        "ordinal",
        &[
            (
                json!({ "categories": ["a"], "dtype": "u8" }),
                vec![value(Text, &[])],
            ),
            (
                json!({ "categories": ["a"], "dtype": "f32", "unknown": 16_777_217 }),
                vec![value(Text, &[])],
            ),
        ],
    ));
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn scores_that_do_not_fit() {
    let all = [
        faults(
            "select",
            &[
                (json!({}), vec![value(F32, &[2])]),
                (json!({ "column": 0 }), vec![value(F32, &[])]),
                (json!({ "column": 0, "from": 1 }), vec![value(F32, &[2])]),
                (json!({ "column": 2 }), vec![value(F32, &[2])]),
                (json!({ "columns": [0, -3] }), vec![value(F32, &[2])]),
                (json!({ "columns": [] }), vec![value(F32, &[2])]),
                (json!({ "columns": ["cat"] }), vec![value(F32, &[2])]),
                (
                    json!({ "columns": ["cow"] }),
                    vec![labelled(&["cat", "dog"])],
                ),
                (json!({ "columns": [0.5] }), vec![value(F32, &[2])]),
                (json!({ "from": 3 }), vec![value(F32, &[2])]),
                (json!({ "from": 1, "to": 1 }), vec![value(F32, &[2])]),
            ],
        ),
        faults(
            "argmax",
            &[
                (json!({}), vec![value(F32, &[])]),
                (json!({}), vec![value(Text, &[2])]),
                (json!({ "labels": ["cat"] }), vec![value(F32, &[2])]),
            ],
        ),
        faults(
            "top_k",
            &[
                (json!({ "k": 3 }), vec![value(F32, &[2])]),
                (json!({ "k": 1, "labels": ["cat"] }), vec![value(F32, &[2])]),
            ],
        ),
        faults(
            "threshold",
            &[
                (json!({ "at": [1, 2] }), vec![value(F32, &[3])]),
                (json!({ "at": 1, "labels": ["yes"] }), vec![value(F32, &[])]),
                (json!({ "at": 1 }), vec![value(Bool, &[])]),
            ],
        ),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn models_that_do_not_agree() {
    let all = [
        faults(
            "average",
            &[
                (json!({}), vec![value(F32, &[3])]),
                (json!({}), vec![value(F32, &[3]), value(F32, &[2])]),
                (json!({}), vec![value(I64, &[]), value(Text, &[])]),
                (json!({}), vec![value(Bytes, &[]), value(Bytes, &[])]),
                (
                    json!({}),
                    vec![labelled(&["cat", "dog"]), labelled(&["dog", "cat"])],
                ),
                (
                    json!({ "weights": [1] }),
                    vec![value(F32, &[]), value(F32, &[])],
                ),
                (
                    json!({ "weights": [1, -1] }),
                    vec![value(F32, &[]), value(F32, &[])],
                ),
                (
                    json!({ "weights": [0, 0] }),
                    vec![value(F32, &[]), value(F32, &[])],
                ),
            ],
        ),
        faults(
            "vote",
            &[
                (json!({}), vec![value(I64, &[])]),
                (json!({}), vec![value(I64, &[]), value(I32, &[])]),
                (json!({}), vec![value(F32, &[]), value(F32, &[])]),
                (json!({}), vec![value(Text, &[]), value(Text, &[])]),
                (
                    json!({ "labels": ["a"] }),
                    vec![value(I64, &[]), value(I64, &[])],
                ),
            ],
        ),
        faults("softmax", &[(json!({}), vec![value(F32, &[])])]),
    ];
    insta::assert_snapshot!(all.join("\n"));
}
