//! The same conversions by Python's pint, written by `tests/data/make_units.py`.

use super::between;

const ANSWERS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/units/pint.json"
));

#[test]
fn pint_agrees() {
    let answers: Vec<serde_json::Value> = serde_json::from_str(ANSWERS).expect("JSON");
    assert!(answers.len() >= 60);
    for answer in answers {
        let text = |key: &str| answer[key].as_str().expect("a text").to_owned();
        let number = |key: &str| answer[key].as_f64().expect("a number");
        let ours = between(&text("from"), &text("to"));
        let (factor, offset) = (number("factor"), number("offset"));
        assert!(
            (ours.factor - factor).abs() <= 1e-14 * factor.abs(),
            "{answer} {ours:?}"
        );
        assert!(
            (ours.offset - offset).abs() <= 1e-12 * (1.0 + offset.abs()),
            "{answer} {ours:?}"
        );
    }
}
