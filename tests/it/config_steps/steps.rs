//! Formulas and steps in pipeline files that are wrong, with real models.

use super::{broken, faults, file, formula, load, steps};

faults! {
    a_row_that_is_too_large: "name: x\nsource: { file: { path: \"-\" } }\nfields: { x: { shape: [2, 2] } }\nsteps:\n  - resize: { size: [30000, 30000] }\n    input: x\n    output: big\nsink: { file: { path: \"-\" } }";
    otherwise_of_another_type: "name: x\nsource: { file: { path: \"-\" } }\nfields: { x: {} }\nsteps:\n  - formula: \"x + 1\"\n    output: more\n    when: \"x > 0\"\n    otherwise: none\nsink: { file: { path: \"-\" } }";
    a_scale_that_f32_cannot_hold: "name: x\nsource: { file: { path: \"-\" } }\nfields: { x: {} }\nsteps:\n  - scale: { scale: 1e39 }\n    input: x\nsink: { file: { path: \"-\" } }";
    f_unknown_name: formula("{ yield: { unit: t/har }, price: { unit: EUR/t }, cost: { unit: EUR/har } }", "yeild * price - cost", "");
    f_unknown_function: formula("{ yield: { unit: t/har }, price: { unit: EUR/t }, cost: { unit: EUR/har } }", "maxx(yield * price - cost, 0)", "");
    f_text_plus: formula("{ yield: {}, crop: { dtype: string } }", "yield + crop", "");
    f_bad_unit_in: formula("{ yield: { unit: t/har }, price: { unit: EUR/t }, cost: { unit: EUR/har } }", "unit(yield, 'kg/hectar') * price - cost", "");
    f_units_apart: formula("{ yield: { unit: t/har }, price: { unit: EUR/t }, cost: { unit: EUR/har } }", "yield * price - price", "");
    f_missing_unit: formula("{ yield: { unit: t/har }, price: {}, cost: { unit: EUR/har } }", "yield * price - cost", "");
    f_bad_field_unit: formula("{ yield: { unit: tonn/har }, price: { unit: EUR/t }, cost: { unit: EUR/har } }", "yield * price - cost", "");
    f_result_unit: formula("{ yield: { unit: t/har }, price: { unit: EUR/t }, cost: { unit: EUR/har } }", "yield * price - cost", "    unit: USD/har\n");
    f_result_unknown: formula("{ yield: { unit: t/har }, price: { unit: EUR/t }, cost: { unit: EUR/har } }", "yield * price - cost", "    unit: EUR/hectar\n");
    f_density: formula(r#"{ yield: { unit: "[bu_us]/[acr_us]", density: { value: "48 [lb_av]/[bu_us]" } }, price: { unit: EUR/t } }"#, "yield * price", "    unit: EUR/har\n");
    f_no_density2: formula(r#"{ yield: { unit: "[bu_us]/[acr_us]"}, price: { unit: EUR/t } }"#, "unit(yield, 't/har') * price", "    unit: EUR/har\n");
    f_syntax: formula("{ yield: { unit: t/har }, price: { unit: EUR/t }, cost: { unit: EUR/har } }", "yield * (price - cost", "");
    f_empty: formula("{ yield: { unit: t/har }, price: { unit: EUR/t }, cost: { unit: EUR/har } }", "", "");
    f_input: formula("{ yield: { unit: t/har }, price: { unit: EUR/t }, cost: { unit: EUR/har } }", "yield * price - cost", "    input: yield\n");
    f_shape: formula("{ a: { shape: [3] }, b: { shape: [4] } }", "a + b", "");
    f_bytes: formula("{ a: { dtype: bytes }, b: {} }", "a + b", "");
    f_bool: formula("{ a: { dtype: bool }, b: {} }", "a * b", "");
    f_literal: formula("{ a: {}, b: {} }", "1 + 2", "");
    f_multiline: file("{ a: {}, b: {} }", "", "\n  - formula: >\n      a +\n      bb * 2\n    output: s", "");
    f_self: file("{ a: {} }", "", "\n  - { formula: \"s + a\", output: s }", "");
    f_output_is_field: file("{ a: {} }", "", "\n  - { formula: \"a + 1\", output: a }", "");
    f_no_output_two: file("{ a: {} }", "", "\n  - { formula: \"a + 1\" }\n  - { formula: \"a + 2\" }", "");
    f_no_fields: file("", "", "\n  - { formula: \"a + 1\", output: b }", "");
    cycle: steps("{ a: {}, b: {} }", "\n  - { scale: { center: 1 }, input: q, output: p }\n  - { scale: { center: 1 }, input: p, output: q }\n  - { model: m, inputs: { X: [p, q] } }");
    cycle_formula: file("{ a: {} }", "", "\n  - { formula: \"q + a\", output: p }\n  - { formula: \"p + a\", output: q }", "");
    self_step: steps("{ a: {}, b: {} }", "\n  - { scale: { center: 1 }, input: p, output: p }\n  - { model: m, inputs: { X: [p, b] } }");
    later: steps("{ a: {}, b: {} }", "\n  - { model: m, inputs: { X: [p, b] } }\n  - { scale: { center: 1 }, input: a, output: p }");
    later_default_name: steps("{ a: {}, b: {} }", "\n  - { model: m, inputs: { X: [scale, b] } }\n  - { scale: { center: 1 }, input: a }");
    later_model: steps("{ a: {}, b: {} }", "\n  - { scale: { center: 1 }, input: m.probabilities, output: p }\n  - { model: m, inputs: { X: [a, b] } }");
    later_host: file("{ s: {dtype: string} }", "{ m: { path: ../tests/data/step_faults/embedding.onnx } }", "\n  - model: m\n    inputs: { input_ids: t.input_ids, attention_mask: t.attention_mask }\n  - text: { tokenizer: ../tests/data/text/unigram.json, max_length: 16 }\n    input: s\n    output: t", "");
    two_operators: steps("{ a: {}, b: {} }", "\n  - { scale: { center: 1 }, log1p: {}, input: a, output: p }\n  - { model: m, inputs: { X: [p, b] } }");
    model_and_scale: steps("{ a: {}, b: {} }", "\n  - { model: m, scale: { center: 1 }, inputs: { X: [a, b] } }");
    no_operator: steps("{ a: {}, b: {} }", "\n  - { input: a, output: p }\n  - { model: m, inputs: { X: [p, b] } }");
    input_on_model: steps("{ a: {}, b: {} }", "\n  - { model: m, input: [a, b] }");
    inputs_on_scale: steps("{ a: {}, b: {} }", "\n  - { scale: { center: 1 }, inputs: { x: a }, output: p }\n  - { model: m, inputs: { X: [p, b] } }");
    input_on_nms: steps("{ a: {}, b: {} }", "\n  - { nms: { iou: 0.5, max_detections: 3 }, input: a, output: p }\n  - { model: m, inputs: { X: [a, b] } }");
    no_input: steps("{ a: {}, b: {} }", "\n  - { scale: { center: 1 }, output: p }\n  - { model: m, inputs: { X: [p, b] } }");
    output_on_model: steps("{ a: {}, b: {} }", "\n  - { model: m, inputs: { X: [a, b] }, output: q }");
    output_is_field: steps("{ a: {}, b: {} }", "\n  - { scale: { center: 1 }, input: a, output: b }\n  - { model: m, inputs: { X: [b, b] } }");
    output_twice: steps("{ a: {}, b: {} }", "\n  - { scale: { center: 1 }, input: a, output: p }\n  - { scale: { center: 1 }, input: b, output: p }\n  - { model: m, inputs: { X: [p, p] } }");
    output_missing_twice: steps("{ a: {}, b: {} }", "\n  - { scale: { center: 1 }, input: a }\n  - { scale: { center: 1 }, input: b }\n  - { model: m, inputs: { X: [scale, b] } }");
    output_is_model_output: steps("{ a: {}, b: {} }", "\n  - { model: m, inputs: { X: [a, b] } }\n  - { argmax: {}, input: probabilities, output: label }");
    output_model_dot: steps("{ a: {}, b: {} }", "\n  - { model: m, inputs: { X: [a, b] } }\n  - { argmax: {}, input: probabilities, output: m.label }");
    output_bad_name: steps("{ a: {}, b: {} }", "\n  - { scale: { center: 1 }, input: a, output: \"a b [0]\" }\n  - { model: m, inputs: { X: [\"a b [0]\", b] } }");
    output_empty: steps("{ a: {}, b: {} }", "\n  - { scale: { center: 1 }, input: a, output: \"\" }\n  - { model: m, inputs: { X: [\"\", b] } }");
    scale_count: steps("{ a: {}, b: {} }", "\n  - { scale: { center: [1, 2, 3] }, input: [a, b], output: p }\n  - { model: m, inputs: { X: p } }");
    scale_zero: steps("{ a: {}, b: {} }", "\n  - { scale: { scale: [1, 0] }, input: [a, b], output: p }\n  - { model: m, inputs: { X: p } }");
    unknown_step: steps("{ a: {}, b: {} }", "\n  - { scael: { center: 1 }, input: a, output: p }\n  - { model: m, inputs: { X: [p, b] } }");
    sklearn_name: steps("{ a: {}, b: {} }", "\n  - { standard_scaler: { center: 1 }, input: a, output: p }\n  - { model: m, inputs: { X: [p, b] } }");
    unknown_param: steps("{ a: {}, b: {} }", "\n  - { scale: { mean: 1 }, input: a, output: p }\n  - { model: m, inputs: { X: [p, b] } }");
    param_type: steps("{ a: {}, b: {} }", "\n  - { scale: { center: \"one\" }, input: a, output: p }\n  - { model: m, inputs: { X: [p, b] } }");
    param_null: steps("{ a: {}, b: {} }", "\n  - { sigmoid: , input: a, output: p }\n  - { model: m, inputs: { X: [p, b] } }");
    param_missing: steps("{ a: {}, b: {} }", "\n  - { top_k: {}, input: [a, b], output: p }\n  - { model: m, inputs: { X: [a, b] } }");
    unused_step: steps("{ a: {}, b: {} }", "\n  - { scale: { center: 40 }, input: a, output: a_scaled }\n  - { model: m, inputs: { X: [a, b] } }");
    unused_field_in_steps: file("{ a: {}, b: {} }", "", "\n  - { scale: { center: 40 }, input: a, output: a_scaled }", "");
    text_beside_numbers: file("{ a: {}, s: { dtype: string } }", "", "\n  - { concat: {}, input: [a, s], output: p }", "");
    text_scaled: file("{ s: { dtype: string } }", "", "\n  - { scale: { center: 1 }, input: s, output: p }", "");
    bytes_scaled: file("{ s: { dtype: bytes } }", "", "\n  - { scale: { center: 1 }, input: s, output: p }", "");
    bytes_concat: file("{ s: { dtype: bytes }, a: {} }", "", "\n  - { concat: {}, input: [s, a], output: p }", "");
    bytes_one_hot: file("{ s: { dtype: bytes } }", "", "\n  - { one_hot: { categories: [a, b] }, input: s, output: p }", "");
    shapes_beside: file("{ a: { shape: [2, 2] }, b: { shape: [3] } }", "", "\n  - { concat: {}, input: [a, b], output: p }", "");
    empty_input: file("{ a: {} }", "", "\n  - { concat: {}, input: [], output: p }", "");
    old_opset: file("{ a: {}, b: {} }", "{ m: { path: ../tests/data/step_faults/old.onnx } }", "\n  - { scale: { center: 1 }, input: [a, b], output: p }\n  - { model: m, inputs: { x: p } }", "");
    encode_tensor_text: file("{ s: { dtype: string }, x: {} }", "{ m: { path: ../tests/data/step_faults/text.onnx } }", "\n  - { model: m, inputs: { crop: s, x: x } }", "encode: { tensor: { output: name } }");
    unknown_output: file("{ a: {}, b: {} }", "", "\n  - { top_k: { k: 1 }, input: [a, b], output: best }", "encode: { json: { outputs: { a: best } } }");
}

#[test]
fn numbers_that_may_be_nothing_may_be_0() {
    let plan = load(&file(
        "{ x: { shape: [2, 3] } }",
        "",
        "\n  - transpose: { axes: [1, 0] }\n    input: x\n    output: turned\n  - ctc: { blank: 0 }\n    input: turned",
        "",
    ));
    assert!(plan.is_ok(), "{}", plan.unwrap_err().render(false));
}
