//! What units do to values: through the real program, against numbers worked out by hand.

use serde_json::{Value, json};

use crate::support::offline::{here, run};

/// A model with a vector of two that it gives back, in these units.
fn pair(fields: &str, units: &str, feeds: &str) -> String {
    format!(
        "fields: {fields}
models: {{ m: {{ path: {}, input_units: {{ X: {units} }} }} }}
steps: [{{ model: m, inputs: {{ X: {feeds} }} }}]",
        here("tests/data/step_faults/same.onnx")
    )
}

/// In one message, since messages may overtake each other.
fn rows(middle: &str, rows: &[Value]) -> Vec<Value> {
    let ran = run(middle, &[Value::from(rows.to_vec()).to_string()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    match ran.results.as_slice() {
        [Value::Array(results)] => results.clone(),
        other => panic!("no list: {other:?}"),
    }
}

fn assert_y(result: &Value, expected: [f64; 2]) {
    for (element, expected) in expected.into_iter().enumerate() {
        let found = result["Y"][element].as_f64();
        let found = found.unwrap_or_else(|| panic!("no number: {result}"));
        assert!(
            (found - expected).abs() <= 1e-6 * expected.abs().max(1.0),
            "{result} is not {expected}"
        );
    }
}

#[test]
fn a_column_without_a_unit_stays_as_it_is_beside_one_with_a_unit() {
    let middle = pair("{ a: { unit: t }, b: {} }", "[kg, \"1\"]", "[a, b]");
    let results = rows(&middle, &[json!({ "a": 1.5, "b": 7 })]);
    assert_y(&results[0], [1500.0, 7.0]);
}

#[test]
fn whole_numbers_are_converted_as_floats() {
    let fields = "{ a: { dtype: i64, unit: g }, b: { dtype: u8, unit: \"[degF]\" } }";
    let middle = pair(fields, "[kg, Cel]", "[a, b]");
    let results = rows(&middle, &[json!({ "a": 1234, "b": 212 })]);
    assert_y(&results[0], [1.234, 100.0]);
}

#[test]
fn a_vector_has_one_unit_for_all_its_elements() {
    let middle = pair("{ a: { shape: [2], unit: ft } }", "m", "a");
    let results = rows(&middle, &[json!({ "a": [1, 10] })]);
    assert_y(&results[0], [0.3048, 3.048]);
}

#[test]
fn what_is_missing_stays_missing_through_a_conversion() {
    let fields = "{ a: { unit: \"[degF]\", nullable: true }, b: { unit: Cel } }";
    let middle = pair(fields, "Cel", "[a, b]");
    let results = rows(
        &middle,
        &[
            json!({ "a": null, "b": 1 }),
            json!({ "b": 2 }),
            json!({ "a": 32, "b": 3 }),
        ],
    );
    // JSON has no NaN.
    assert_eq!(results[0]["Y"][0], Value::Null);
    assert_eq!(results[1]["Y"][0], Value::Null);
    assert_y(&results[2], [0.0, 3.0]);
}

/// `default`, `range` and `values` are about what comes in, so they are in the field's own unit.
#[test]
fn default_and_range_are_in_the_unit_of_the_field() {
    let fields = "{ a: { unit: t, default: 2, range: [0, 10] }, b: { unit: kg } }";
    let middle = pair(fields, "kg", "[a, b]");
    let lines = [
        json!({ "b": 1 }).to_string(),
        json!({ "a": 10, "b": 1 }).to_string(),
        json!({ "a": 11, "b": 1 }).to_string(),
    ];
    let ran = run(&middle, &lines);
    assert_y(&ran.results[0], [2000.0, 1.0]);
    assert_y(&ran.results[1], [10_000.0, 1.0]);
    assert_eq!(ran.results.len(), 2);
    let reasons = ran.reasons();
    assert!(reasons[0].1.contains("11"), "{reasons:?}");
}

#[test]
fn a_density_is_that_of_the_row() {
    let fields = "{ a: { unit: \"[bu_us]/[acr_us]\", density: { by: crop } }, b: {}, crop: { dtype: string, values: [Barley, wheat] } }";
    let middle = pair(fields, "[kg/har, \"1\"]", "[a, b]");
    let results = rows(
        &middle,
        &[
            json!({ "a": 27, "b": 1, "crop": "Barley" }),
            json!({ "a": 27, "b": 1, "crop": "wheat" }),
        ],
    );
    // 27 * 48 lb (60 lb) of 0.45359237 kg, on an acre of 0.404687260987426 ha.
    assert_y(
        &results[0],
        [27.0 * 48.0 * 0.453_592_37 / 0.404_687_260_987_426, 1.0],
    );
    assert_y(
        &results[1],
        [27.0 * 60.0 * 0.453_592_37 / 0.404_687_260_987_426, 1.0],
    );
}

#[test]
fn a_formula_takes_the_density_of_a_field() {
    let fields =
        "{ yield: { unit: \"[bu_us]/[acr_us]\", density: { value: \"48 [lb_av]/[bu_us]\" } } }";
    let steps = "steps: [{ formula: \"unit(yield, 't/har')\", output: t }]";
    let results = rows(
        &format!("fields: {fields}\n{steps}"),
        &[json!({ "yield": 27 })],
    );
    let found = results[0]["t"].as_f64().unwrap();
    let expected = 27.0 * 0.048 * 0.453_592_37 / 0.404_687_260_987_426;
    assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
}

/// A density that another field says: as a formula and as a model's input, in both types of floats, and by the
/// densities of the file as well as by the standard ones.
#[test]
fn a_formula_takes_the_density_that_another_field_says() {
    for (of, oats) in [
        ("", 32.0),
        (
            ", of: { Barley: \"48 [lb_av]/[bu_us]\", oats: \"34.5 [lb_av]/[bu_us]\" }",
            34.5,
        ),
    ] {
        let fields = format!(
            "{{ a: {{ dtype: f64, unit: \"[bu_us]/[acr_us]\", density: {{ by: crop{of} }} }}, v: {{ shape: [2], unit: \"[bu_us]\", density: {{ by: crop{of} }} }}, crop: {{ dtype: string, values: [Barley, oats] }} }}"
        );
        let steps = "steps:\n  - { formula: \"unit(a, 't/har') * unit(2, 'EUR/t')\", output: worth, unit: EUR/har }\n  - { formula: \"number(v, 'kg') + 1\", output: mass }\nencode: { json: { outputs: { worth: worth, mass: mass } } }";
        let results = rows(
            &format!("fields: {fields}\n{steps}"),
            &[
                json!({ "a": 27, "v": [1, 2], "crop": "Barley" }),
                json!({ "a": 27, "v": [1, 2], "crop": "oats" }),
            ],
        );
        for (result, pounds) in results.iter().zip([48.0, oats]) {
            let kilos = pounds * 0.453_592_37;
            let worth = 27.0 * kilos / 1000.0 / 0.404_687_260_987_426 * 2.0;
            let found = result["worth"].as_f64().expect("a number");
            assert!(
                (found - worth).abs() < 1e-12 * worth,
                "{found} is not {worth}"
            );
            for (element, times) in [(0, 1.0), (1, 2.0)] {
                let (found, mass) = (
                    result["mass"][element].as_f64().expect("a number"),
                    kilos * times + 1.0,
                );
                assert!((found - mass).abs() < 1e-5, "{found} is not {mass}");
            }
        }
    }
}

/// The cells of the lines of a Markdown table with this head.
fn table(text: &str, head: &str) -> Vec<Vec<String>> {
    let rest = text.split_once(head).expect("the table is there").1;
    let lines = rest
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let cells = line.trim_matches('|').split('|');
        cells
            .map(|cell| cell.trim().trim_matches('`').to_owned())
            .collect()
    };
    lines.map(cells).collect()
}

/// Every conversion of `docs/units.md`, as a formula of one pipeline.
#[test]
fn the_conversions_of_the_documentation_are_right() {
    let text = std::fs::read_to_string(here("docs/units.md")).expect("readable");
    let lines = table(&text, "| value | in | becomes | in | by density |");
    assert!(lines.len() >= 10, "{lines:?}");
    let (mut fields, mut steps) = (String::new(), String::new());
    let mut row = serde_json::Map::new();
    for (at, line) in lines.iter().enumerate() {
        let [value, from, _, to, density] = line.as_slice() else {
            panic!("{line:?}")
        };
        let density = match density.as_str() {
            "" => String::new(),
            density => format!(", density: {{ value: \"{density}\" }}"),
        };
        fields.push_str(&format!(
            "\n  x{at}: {{ dtype: f64, unit: \"{from}\"{density} }}"
        ));
        steps.push_str(&format!(
            "\n  - {{ formula: \"unit(x{at}, '{to}')\", output: y{at} }}"
        ));
        row.insert(format!("x{at}"), value.parse::<f64>().unwrap().into());
    }
    let outputs: Vec<String> = (0..lines.len()).map(|at| format!("y{at}: y{at}")).collect();
    let outputs = outputs.join(", ");
    let middle = format!(
        "fields: {fields}\nsteps: {steps}\nencode: {{ json: {{ outputs: {{ {outputs} }} }} }}"
    );
    let results = rows(&middle, &[Value::Object(row)]);
    for (at, line) in lines.iter().enumerate() {
        let expected: f64 = line[2].parse().unwrap();
        let found = results[0][format!("y{at}")].as_f64().unwrap();
        assert!(
            (found - expected).abs() <= 1e-9 * expected.abs(),
            "{line:?} gives {found}"
        );
    }
}

#[test]
fn the_pipeline_of_the_documentation_is_one() {
    let text = std::fs::read_to_string(here("docs/units.md")).expect("readable");
    let yaml = text
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let yaml = yaml.expect("there is one");
    super::load_at("tests/data/step_faults/units.yaml", yaml)
        .unwrap_or_else(|errors| panic!("{errors}"));
}
