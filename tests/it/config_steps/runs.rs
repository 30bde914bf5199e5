//! Outputs of one name, and models that run twice.

use serde_json::json;

use super::{broken, faults, file, load, steps};
use crate::support::offline::{here, run};

/// Two models with outputs of the same names.
fn two(more: &str, outputs: &str) -> String {
    let path = "path: ../tests/data/step_faults/pair.onnx";
    file(
        "{ a: {}, b: {} }",
        &format!("{{ m: {{ {path} }}, n: {{ {path} }} }}"),
        &format!(
            "\n  - {{ model: m, inputs: {{ X: [a, b] }} }}\n  - {{ model: n, inputs: {{ X: [a, b] }} }}{more}"
        ),
        &format!("encode: {{ json: {{ outputs: {outputs} }} }}"),
    )
}

fn once_more(second: &str, outputs: &str) -> String {
    steps(
        "{ a: {}, b: {} }",
        &format!(
            "\n  - {{ model: m, inputs: {{ X: [a, b] }} }}\n  - {{ model: m, {second}inputs: {{ X: [b, a] }} }}"
        ),
    ) + &format!("encode: {{ json: {{ outputs: {outputs} }} }}")
}

faults! {
    of_two_models_in_encode: two("", "{ l: label, p: \"probabilities[0]\" }");
    of_two_models_in_a_formula: two("\n  - { formula: \"a + probabilities[0]\", output: q }", "{ q: q }");
    of_two_models_in_a_condition: two("\n  - { formula: \"a + 1\", output: q, when: \"label > 0\" }", "{ q: q }");
    of_two_models_in_a_step: two("\n  - { argmax: {}, input: probabilities, output: q }", "{ q: q }");
    of_two_models_as_an_input: two("\n  - { model: n, name: o, inputs: { X: [label, a] } }", "{ q: o.label }");
    of_a_step_and_a_model: steps("{ a: {}, b: {} }", "\n  - { formula: \"a + b\", output: label }\n  - { model: m, inputs: { X: [a, label] } }") + "encode: { json: { outputs: { l: label } } }";
    twice_without_a_name: once_more("", "{ l: m.label, k: label }");
    a_name_that_is_taken: once_more("name: m, ", "{ l: m.label, k: label }");
    an_empty_name: once_more("name: \"\", ", "{ l: m.label }");
    a_name_with_brackets: once_more("name: \"m[2]\", ", "{ l: m.label }");
    a_name_beside_a_formula: file("{ a: {} }", "", "\n  - { formula: \"a + 1\", name: q }", "");
}

#[test]
fn what_is_not_named_may_have_any_name() {
    let plan = load(&two("", "{ l: m.label, k: n.label }"));
    let plan = plan.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(plan.outputs.len(), 2);
}

#[test]
fn a_model_that_runs_twice_gives_both_results() {
    let model = here("tests/data/step_faults/same.onnx");
    let middle = format!(
        "fields: {{ a: {{}}, b: {{}} }}
models: {{ m: {{ path: {model} }} }}
steps:
  - {{ model: m, inputs: {{ X: [a, b] }} }}
  - {{ model: m, name: back, inputs: {{ X: [b, a] }} }}
  - {{ formula: \"m.Y[0] * 10 + back.Y[0]\", output: both }}
encode: {{ json: {{ outputs: {{ there: m.Y, back: back.Y, both: both }} }} }}"
    );
    let ran = run(&middle, &[json!({ "a": 1, "b": 2 }).to_string()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(
        ran.results,
        [json!({ "there": [1.0, 2.0], "back": [2.0, 1.0], "both": 12.0 })]
    );
}
