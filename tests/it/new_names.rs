//! `forebay new` with models whose authors chose odd names and shapes.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    cli::{err, out, run},
    engine::lines,
    engine_onnx::{FLOAT, INT64, Proto, constant, model, model_with, node, number, tensor, value},
    new_runs::from_file_to_file,
};

/// A model that gives each input out again under another name.
pub(crate) fn copies(names: &[(&str, &str)], width: &str) -> Vec<u8> {
    let of = tensor(FLOAT, &["n", width]);
    let each = |what: &dyn Fn(&(&str, &str)) -> Proto| names.iter().map(what).collect::<Vec<_>>();
    model(
        &each(&|(input, output)| node("Identity", "", &[input], &[output], &[])),
        &each(&|(input, _)| value(input, &of)),
        &each(&|(_, output)| value(output, &of)),
    )
}

/// What `new` writes for the model, run from file to file over one row.
fn answers(file: &[u8], row: &Value) -> Value {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::write(at("model.onnx"), file).unwrap();
    let output = run(&["new", &at("model.onnx").to_string_lossy()]);
    assert!(output.status.success(), "{row}: {}", err(&output));
    let yaml = fs::read_to_string(at("pipeline.yaml")).unwrap();
    let pipeline = at("pipeline.yaml").to_string_lossy().into_owned();
    let output = run(&["check", &pipeline]);
    assert!(output.status.success(), "{}\n{yaml}", err(&output));
    fs::write(&pipeline, from_file_to_file(&yaml)).unwrap();
    fs::write(at("rows.jsonl"), format!("{row}\n")).unwrap();
    let output = run(&["run", &pipeline]);
    assert!(output.status.success(), "{}\n{yaml}", err(&output));
    let dead = fs::read_to_string(at("dead.jsonl")).unwrap_or_default();
    assert!(dead.is_empty(), "{dead:.300}");
    lines(&at("results.jsonl")).remove(0)
}

#[test]
fn any_name_can_be_fed_and_written() {
    const NAMES: [&str; 36] = [
        "with space",
        " around ",
        "a: b",
        "a #b",
        "#",
        "yes",
        "Null",
        "~",
        "1e3",
        "0x1F",
        "2001-01-01",
        ".inf",
        "-",
        "- a",
        "? a",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a`",
        "[a]",
        "{a}",
        "a, b",
        "it's",
        "\"quoted\"",
        "back\\slash",
        "line\nbreak\r\n\ttab",
        "\u{85}\u{2028}\u{2029}\u{feff}\u{7f}",
        "größe 🐧",
        "<<",
        "${HOME} $${HOME} ${",
        "model.a",
        "a[0]",
    ];
    let outputs: Vec<String> = NAMES.iter().map(|name| format!("{name}'")).collect();
    let same: Vec<_> = NAMES
        .iter()
        .zip(&outputs)
        .map(|(name, output)| (*name, output.as_str()))
        .collect();
    let other: Vec<_> = same.iter().map(|(name, output)| (*output, *name)).collect();
    for (names, width) in [(&same, "1"), (&other, "1"), (&same, "2"), (&other, "2")] {
        let given = |at: usize| match width {
            "1" => json!(at),
            _ => json!([at, 0.5]),
        };
        let pairs = || names.iter().enumerate();
        let row: Value = pairs()
            .map(|(at, (input, _))| ((*input).to_owned(), given(at)))
            .collect();
        let result = answers(&copies(names, width), &row);
        for (at, (_, output)) in pairs() {
            let number = |value: &Value| value.as_f64().or(value[0].as_f64());
            assert_eq!(
                number(&result[*output]),
                number(&given(at)),
                "{output:?}: {result}"
            );
        }
        assert_eq!(result.as_object().unwrap().len(), names.len());
    }
}

#[test]
fn a_very_long_name_is_cut_in_comments_only() {
    let long = "x".repeat(2000);
    let output = format!("{long}!");
    let names = [(long.as_str(), output.as_str())];
    let result = answers(&copies(&names, "2"), &json!({ long.clone(): [1, 2] }));
    assert_eq!(result, json!({ output: [1.0, 2.0] }));
}

#[test]
fn names_that_differ_in_case_alone_stay_apart() {
    let names = [("a", "Y"), ("A", "y")];
    let result = answers(&copies(&names, "1"), &json!({ "a": 1, "A": 2 }));
    assert_eq!(result, json!({ "Y": 1.0, "y": 2.0 }));
}

#[test]
fn many_inputs_and_a_wide_one_are_served() {
    let names: Vec<_> = (0..500)
        .map(|at| (format!("in {at}"), format!("out {at}")))
        .collect();
    let names: Vec<_> = names
        .iter()
        .map(|(input, output)| (input.as_str(), output.as_str()))
        .collect();
    let row: Value = (0..500).map(|at| (format!("in {at}"), json!(at))).collect();
    let result = answers(&copies(&names, "1"), &row);
    assert_eq!(result["out 499"], json!(499.0));
    assert_eq!(result.as_object().unwrap().len(), 500);

    let wide: Vec<f64> = (0..2000).map(f64::from).collect();
    let result = answers(&copies(&[("X", "y")], "2000"), &json!({ "X": wide }));
    assert_eq!(result, json!({ "y": wide }));
}

/// `new` on a file that it must refuse.
fn refused(name: &str, file: &[u8]) -> String {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.onnx");
    fs::write(&path, file).unwrap();
    let output = run(&["new", &path.to_string_lossy()]);
    assert!(!place.path().join("pipeline.yaml").exists(), "{name}");
    said(name, &output, place.path())
}

fn said(name: &str, output: &std::process::Output, place: &Path) -> String {
    assert_eq!(out(output), "", "{name}");
    let said = err(output).replace(&place.display().to_string(), "PLACE");
    assert!(
        !said.contains(".cc:") && !said.contains("panicked"),
        "{said}"
    );
    let code = output.status.code().unwrap();
    format!(
        "{name}\n  exit {code}: {}",
        said.trim_end().replace('\n', "\n  ")
    )
}

/// A node without inputs.
fn numbers_alone() -> Proto {
    let numbers = Proto::new().bytes(1, "value_ints").int(8, 1).int(8, 2);
    node("Constant", "", &[], &["y"], &[numbers.int(20, 7)])
}

#[test]
fn what_cannot_be_served_is_refused_in_words() {
    let floats = tensor(FLOAT, &["n", "2"]);
    let one = |node: Proto, input: &str, output: &str| {
        model(&[node], &[value(input, &floats)], &[value(output, &floats)])
    };
    let copy = |from: &str, to: &str| node("Identity", "", &[from], &[to], &[]);
    let concat = node("Concat", "", &["x", "x"], &["y"], &[number("axis", 0)]);
    let said = [
        refused("an input without a name", &one(copy("", "y"), "", "y")),
        refused("an output without a name", &one(copy("x", ""), "x", "")),
        refused(
            "an output named like an input",
            &one(copy("x", "x"), "x", "x"),
        ),
        refused("an empty graph", &model(&[], &[], &[])),
        refused(
            "no inputs",
            &model(
                &[numbers_alone()],
                &[],
                &[value("y", &tensor(INT64, &["2"]))],
            ),
        ),
        refused(
            "no outputs",
            &model(&[copy("x", "y")], &[value("x", &floats)], &[]),
        ),
        refused("twice the rows", &one(concat, "x", "y")),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn an_input_may_be_an_output_as_it_is() {
    let of = tensor(FLOAT, &["n", "1"]);
    let file = model(
        &[node("Neg", "", &["x"], &["y"], &[])],
        &[value("x", &of)],
        &[value("y", &of), value("x", &of)],
    );
    let result = answers(&file, &json!({ "x": 3 }));
    assert_eq!(result, json!({ "y": -3.0, "x": 3.0 }));
}

#[test]
fn the_pipeline_s_name_is_one_that_a_pipeline_may_have() {
    let place = tempfile::tempdir().unwrap();
    let long = format!("{}.onnx", "a b".repeat(50));
    for name in [
        "no.onnx",
        "123.onnx",
        "1e3.onnx",
        "ü.onnx",
        "-.onnx",
        ".onnx",
        "a.b c$d.onnx",
        &long,
    ] {
        let folder = tempfile::tempdir_in(place.path()).unwrap();
        let path = folder.path().join(name);
        fs::write(&path, copies(&[("x", "y")], "1")).unwrap();
        let output = run(&["new", &path.to_string_lossy()]);
        assert!(output.status.success(), "{name}: {}", err(&output));
        let file = folder.path().join("pipeline.yaml");
        let output = run(&["check", &file.to_string_lossy()]);
        assert!(output.status.success(), "{name}: {}", err(&output));
    }
}

#[test]
fn a_width_that_nothing_tells_is_asked_for() {
    let fourth = [number("axis", 1)];
    let file = model_with(
        &[node("Gather", "", &["x", "place"], &["y"], &fourth)],
        &[constant("place", 3)],
        &[value("x", &tensor(FLOAT, &["n", "width"]))],
        &[value("y", &tensor(FLOAT, &["n", "1"]))],
    );
    let place = tempfile::tempdir().unwrap();
    let (path, pipeline) = (place.path().join("m.onnx"), place.path().join("p.yaml"));
    fs::write(&path, file).unwrap();
    let (path, pipeline) = (path.to_string_lossy(), pipeline.to_string_lossy());
    let output = run(&["new", &path, "-o", &pipeline]);
    assert!(output.status.success(), "{}", err(&output));
    assert!(err(&output).contains("correct the shapes under `fields`"));
    let yaml = fs::read_to_string(&*pipeline).unwrap();
    for part in [
        "First correct the shapes under `fields`",
        "shape: [1] }       # how many? the model file does not say",
        "# What comes out shows once the shapes",
    ] {
        assert!(yaml.contains(part), "{part}\n{yaml}");
    }
    let output = run(&["check", &pipeline]);
    assert_eq!(output.status.code(), Some(78));
    assert!(err(&output).contains("indices element out of data bounds"));
    fs::write(&*pipeline, yaml.replace("shape: [1]", "shape: [5]")).unwrap();
    let output = run(&["check", &pipeline]);
    assert!(output.status.success(), "{}", err(&output));
}
