//! Pipeline files whose steps are wrong. What is shown is the user interface, so it is compared whole.

mod hosts;
mod means;
mod one_mistake;
mod runs;
mod state;
mod steps;
mod units;

use std::path::Path;

use forebay::{
    config::{self, ConfigErrors, Plan},
    engine::cpu::catalog::CpuCatalog,
};

use crate::engine::runtime;

/// A pipeline file that would lie at this place.
pub(crate) fn load_at(path: &str, yaml: &str) -> Result<Plan, ConfigErrors> {
    runtime();
    let mut catalog = CpuCatalog::new();
    config::load_text(Path::new(path), yaml, &|_| None, &mut catalog)
}

fn load(yaml: &str) -> Result<Plan, ConfigErrors> {
    load_at("pipelines/test.yaml", yaml)
}

fn broken(yaml: &str) -> String {
    match load(yaml) {
        Ok(plan) => panic!("nothing was found wrong with {plan:#?}"),
        Err(errors) => errors.render(false),
    }
}

/// One snapshot for each name: a mistake in an otherwise sound file.
macro_rules! faults {
    ($($name:ident: $yaml:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(broken(&$yaml));
        }
    )*};
}
use faults;

/// A pipeline from file to file; what is empty is left out.
fn file(fields: &str, models: &str, steps: &str, more: &str) -> String {
    let mut text = "name: test\nsource: { file: { path: \"-\" } }\n".to_owned();
    for (key, value) in [("fields", fields), ("models", models), ("steps", steps)] {
        if !value.is_empty() {
            text.push_str(&format!("{key}: {value}\n"));
        }
    }
    text + "sink: { file: { path: \"-\" } }\n" + more
}

/// A model of two columns that wants them in units.
fn units(fields: &str, wanted: &str) -> String {
    let models = format!(
        "\n  m: {{ path: ../tests/data/step_faults/pair.onnx, input_units: {{ X: {wanted} }} }}"
    );
    file(fields, &models, "[{ model: m, inputs: { X: [a, b] } }]", "")
}

fn formula(fields: &str, text: &str, more: &str) -> String {
    let steps = format!("\n  - formula: \"{text}\"\n    output: margin\n{more}");
    file(fields, "", &steps, "")
}

/// Steps around a model of two columns.
fn steps(fields: &str, steps: &str) -> String {
    file(
        fields,
        "{ m: { path: ../tests/data/step_faults/pair.onnx } }",
        steps,
        "",
    )
}

/// Text into a model with 1,000 embeddings.
fn text(options: &str) -> String {
    text_of(
        "{ s: { dtype: string } }",
        options,
        "{ input_ids: t.input_ids, attention_mask: t.attention_mask }",
    )
}

fn text_of(fields: &str, options: &str, inputs: &str) -> String {
    let steps = format!(
        "\n  - text: {options}\n    input: s\n    output: t\n  - model: m\n    inputs: {inputs}"
    );
    file(
        fields,
        "{ m: { path: ../tests/data/step_faults/embedding.onnx } }",
        &steps,
        "",
    )
}

/// A step on the host, with another one behind it.
fn host(step: &str, fields: &str, more: &str) -> String {
    let steps = format!(
        "\n  - {step}\n    input: img\n    output: px\n  - argmax: {{}}\n    input: px\n    output: best"
    );
    file(fields, "", &steps, more)
}
