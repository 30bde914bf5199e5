//! The margin example: a formula with units, against what pint works out; and what its README shows.

use std::path::Path;

use forebay::config;
use serde_json::Value;

use crate::{
    cli::forebay,
    config_steps::load_at,
    support::examples::{example, json, rows},
};

/// Every sample row has a result that is `expected` within this.
fn assert_results(file: &str, expected: &str, near: f64) {
    let file = example(file);
    let output = forebay(&["run", file.to_str().expect("UTF-8")])
        .output()
        .expect("the program runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let results: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(json)
        .collect();
    let expected = rows(expected);
    assert_eq!((results.len(), expected.len()), (120, 120));
    for row in &expected {
        let result = results.iter().find(|result| result["id"] == row["id"]);
        let result = result.unwrap_or_else(|| panic!("no result for {row}"));
        for (key, value) in row.as_object().expect("an object") {
            let (found, value) = (result[key].as_f64(), value.as_f64());
            let (found, value) = (found.expect("a number"), value.expect("a number"));
            assert!(
                (found - value).abs() <= near * value.abs().max(1.0),
                "{key}: {result} is not {row}"
            );
        }
    }
}

#[test]
fn margins_are_what_pint_works_out() {
    assert_results("margin/pipeline.yaml", "margin/expected.jsonl", 1e-9);
}

#[test]
fn a_model_that_knows_kilograms_is_fed_with_bushels() {
    let (file, expected) = ("margin/pipeline.model.yaml", "margin/expected.model.jsonl");
    assert_results(file, expected, 1e-6);
}

const DENSITY: &str = ", density: { value: \"48 [lb_av]/[bu_us]\" }";

#[test]
fn the_readme_shows_what_is_said_of_wrong_units() {
    let readme = std::fs::read_to_string(example("margin/README.md")).expect("readable");
    let unit = format!(", unit: \"[bu_us]/[acr_us]\"{DENSITY}");
    let changes = [
        (
            "pipeline.yaml",
            "price: { dtype: f64, unit: EUR/t }",
            "price: { dtype: f64 }",
        ),
        ("pipeline.yaml", DENSITY, ""),
        ("pipeline.yaml", "unit: EUR/har }", "unit: EUR }"),
        ("pipeline.yaml", "unit: EUR/t }", "unit: USD/t }"),
        ("pipeline.model.yaml", unit.as_str(), ""),
    ];
    for (file, before, after) in changes {
        let path = format!("pipelines/margin/{file}");
        let text = std::fs::read_to_string(Path::new(&path)).expect("readable");
        assert!(text.contains(before), "{file} has no `{before}`");
        let errors: config::ConfigErrors = load_at(&path, &text.replacen(before, after, 1))
            .err()
            .unwrap_or_else(|| panic!("`{before}` may be `{after}`"));
        let said = errors.render(false);
        assert!(
            readme.contains(said.trim_end()),
            "the README has not:\n{said}"
        );
    }
    assert_eq!(readme.matches("```text").count(), changes.len());
}

#[test]
fn other_units_of_the_same_kind_are_converted() {
    let path = "pipelines/margin/pipeline.yaml";
    let text = std::fs::read_to_string(path).expect("readable");
    let text = text.replace("unit: EUR/har }", "unit: \"EUR/[acr_us]\" }");
    load_at(path, &text.replace("unit: EUR/t }", "unit: EUR/kg }"))
        .unwrap_or_else(|errors| panic!("{errors}"));
}
