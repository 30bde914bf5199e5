//! One mistake gives one report, at the place of the mistake, that says what to do.

use super::{broken, faults, file, formula, host, load, steps};

const AB: &str = "{ a: {}, b: {} }";

/// A sound step, and a mistake in `encode`.
fn encode(outputs: &str) -> String {
    let fields = "{ a: { shape: [3] }, s: { dtype: string }, id: {} }";
    let text = "\n  - { text: { tokenizer: ../tests/data/text/unigram.json, max_length: 16 }, input: s, output: t }";
    let steps = format!("{text}\n  - {{ formula: \"t.input_ids[0] + a + id\", output: sum }}");
    file(
        fields,
        "",
        &steps,
        &format!("encode: {{ json: {{ outputs: {outputs} }} }}"),
    )
}

/// The mistake is in the condition of a model whose outputs are used.
fn when_of_model(when: &str) -> String {
    let behind = "{ formula: \"probabilities[0] + 1\", output: q }\n  - { argmax: {}, input: m.probabilities, output: best }";
    steps(
        AB,
        &format!("\n  - {{ model: m, inputs: {{ X: [a, b] }}, when: \"{when}\" }}\n  - {behind}"),
    ) + "encode: { json: { outputs: { q: q, best: best, label: label } } }"
}

faults! {
    unit_of_a_truth_value: formula("{ a: { unit: kg } }", "a > unit(1, 'g')", "    unit: kg\n");
    unknown_name_in_when: when_of_model("aa > 0");
    no_truth_value_in_when: when_of_model("a + 1");
    bad_syntax_in_when: when_of_model("a >");
    when_of_a_model_that_is_not_there: when_of_model("a >").replace("pair.onnx", "missing.onnx");
    otherwise_on_the_host: host("image: { size: [4, 4], fit: stretch }", "{ img: { dtype: bytes } }", "").replace("output: px", "output: px\n    otherwise: 0");
    field_as_output: encode("{ sum: sum, id: id }");
    host_result_as_output: encode("{ sum: sum, ids: t.input_ids }");
    element_of_a_field_as_output: encode("{ sum: sum, id: \"a[1]\" }");
    field_as_tensor: file("{ a: {} }", "", "\n  - { formula: \"a + 1\", output: sum }", "encode: { tensor: { output: a } }");
    huge_element: encode("{ sum: \"sum[99999999999999999999999999]\" }");
    huge_element_in_formula: formula("{ a: { shape: [3] } }", "a[99999999999999999999999999]", "");
    no_number_as_element: encode("{ sum: \"sum[-1]\" }");
    pad_too_large: host("window: { head: 4, pad: 99999999999 }", "{ img: { dtype: bytes } }", "");
    count_below_nothing: steps(AB, "\n  - { top_k: { k: -1 }, input: [a, b], output: p }\n  - { model: m, inputs: { X: [a, b] } }");
    labels_twice_in_threshold: file("{ v: {} }", "", "\n  - { threshold: { at: 0.5, labels: [cat, cat] }, input: v, output: best }", "");
    labels_twice_in_vote: file("{ s: { dtype: string }, t: { dtype: string } }", "", "\n  - { vote: { labels: [cat, cat] }, input: [s, t], output: best }", "");
    frame_too_short_for_a_quarter: file("{ v: { shape: [30] } }", "", "\n  - { spectrogram: { n_fft: 2 }, input: v, output: s }", "");
    window_too_short_for_a_quarter: file("{ v: { shape: [30] } }", "", "\n  - { spectrogram: { n_fft: 16, win_length: 3 }, input: v, output: s }", "");
}

#[test]
fn a_frame_of_two_samples_is_one_where_the_hop_is_written() {
    let steps = "\n  - { spectrogram: { n_fft: 2, hop_length: 1 }, input: v, output: s }";
    let plan = load(&file("{ v: { shape: [30] } }", "", steps, ""));
    assert!(plan.is_ok(), "{}", plan.unwrap_err().render(false));
}

/// A condition has a graph of its own, which needs a name in metrics and in `check`.
#[test]
fn a_condition_is_not_called_like_anything_in_the_file() {
    let steps = "\n  - { formula: \"a + 1\", output: when_1 }\n  - { model: when_2, inputs: { X: [a, b] }, when: \"when_1 > 0\" }\n  - { formula: \"when_3 + label\", output: sum }";
    let models = "{ when_2: { path: ../tests/data/step_faults/pair.onnx } }";
    let fields = "{ a: {}, b: {}, when_3: {} }";
    let text = file(
        fields,
        models,
        steps,
        "encode: { json: { outputs: { w: when_1, sum: sum } } }",
    );
    let plan = load(&text).unwrap_or_else(|errors| panic!("{errors}"));
    let mut names: Vec<_> = plan.steps.iter().flat_map(|step| &step.outputs).collect();
    assert!(names.iter().any(|name| *name == "when_4"), "{names:?}");
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "{names:?}");
}
