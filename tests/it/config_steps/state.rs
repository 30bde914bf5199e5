//! `state`, and models that take single values or have their batch dimension elsewhere.

use super::{broken, faults, file};

const FIELDS: &str = "{ k: { dtype: string }, x: {}, kind: { dtype: i64 } }";
const MODEL: &str = "{ m: { path: ../tests/data/state/mean.onnx, constants: { rate: 0.5 }, batch_axis: { state: 1, stateN: 1 } } }";

/// A running mean for each `k`, with these values that are held.
fn mean(values: &str) -> String {
    mean_of(
        MODEL,
        &format!("order_by: k\nstate: {{ values: {values} }}\n"),
    )
}

fn mean_of(models: &str, more: &str) -> String {
    file(
        FIELDS,
        models,
        "[{ model: m, inputs: { state: held } }]",
        more,
    )
}

/// A running total for each `k`, with these lines besides.
fn total(more: &str) -> String {
    let steps = "\n  - { formula: \"total + x\", output: sum }";
    file("{ k: { dtype: string }, x: {} }", "", steps, more)
}

#[test]
fn what_is_right_is_taken() {
    for right in [
        mean("{ held: { from: stateN, shape: [2] } }"),
        mean("{ held: { from: m.stateN, dtype: f32, shape: [2], initial: 1.5 } }"),
        total("order_by: k\nstate: { values: { total: { from: sum } } }"),
    ] {
        if let Err(errors) = super::load(&right) {
            panic!("{}", errors.render(false));
        }
    }
}

faults! {
    st_no_order: total("state: { values: { total: { from: sum } } }");
    st_empty: total("order_by: k\nstate: { values: {} }");
    st_unknown_from: mean("{ held: { from: stateM, shape: [2] } }");
    st_from_field: total("order_by: k\nstate: { values: { total: { from: x } } }");
    st_from_itself: total("order_by: k\nstate: { values: { total: { from: total } } }");
    st_shape: mean("{ held: { from: stateN } }");
    st_dtype: mean("{ held: { from: stateN, shape: [2], dtype: f64 } }");
    st_text: total("order_by: k\nstate: { values: { total: { from: sum, dtype: string } } }");
    st_initial: total("order_by: k\nstate: { values: { total: { from: sum, initial: much } } }");
    st_name_of_field: total("order_by: k\nstate: { values: { total: { from: sum }, x: { from: sum } } }");
    st_name_of_output: mean("{ held: { from: stateN, shape: [2] }, mean: { from: mean } }");
    st_name_of_step: total("order_by: k\nstate: { values: { sum: { from: sum }, total: { from: sum } } }");
    st_unused: total("order_by: k\nstate: { values: { total: { from: sum }, other: { from: sum } } }");
    st_max_keys: total("order_by: k\nstate: { max_keys: 0, max_age: 5, values: { total: { from: sum } } }");
    st_unknown_key: total("order_by: k\nstate: { age: 5m, values: { total: { of: sum } } }");
    st_float_key: total("order_by: x\nstate: { values: { total: { from: sum } } }");
    st_workers: mean_of(&MODEL.replace("path", "workers: 4, path"), "order_by: k\nstate: { values: { held: { from: stateN, shape: [2] } } }");
    st_no_constant: mean_of("{ m: { path: ../tests/data/state/mean.onnx, batch_axis: { state: 1, stateN: 1 } } }", "order_by: k\nstate: { values: { held: { from: stateN, shape: [2] } } }");
    st_no_axis: mean_of("{ m: { path: ../tests/data/state/mean.onnx, constants: { rate: 0.5 } } }", "order_by: k\nstate: { values: { held: { from: stateN, shape: [2] } } }");
    st_axis: mean_of("{ m: { path: ../tests/data/state/mean.onnx, constants: { rate: 0.5 }, batch_axis: { state: 2, stateM: 1, x: 0 } } }", "order_by: k\nstate: { values: { held: { from: stateN, shape: [2] } } }");
    st_constant: mean_of("{ m: { path: ../tests/data/state/mean.onnx, constants: { rate: much, rates: 1, state: 1, x: [1, 2] }, batch_axis: { stateN: 1 } } }", "order_by: k\nstate: { values: { held: { from: stateN, shape: [2] } } }");
}
