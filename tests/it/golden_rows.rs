//! Golden rows that are wrong themselves.

use crate::golden::Place;

#[test]
fn rows_that_nobody_could_have_meant_are_refused() {
    let steps = Place::steps;
    let cases = [
        (
            "no key to pass",
            steps().with("rows.jsonl", "{\"id\":\"b\",", "{"),
        ),
        (
            "no key to pass in a list",
            steps().with("rows.jsonl", "{\"id\":\"e\",", "{"),
        ),
        (
            "a key twice",
            steps().with("rows.jsonl", "\"age\":35", "\"age\":35,\"age\":36"),
        ),
        (
            "an expected key twice",
            steps().with(
                "expected.jsonl",
                "\"states\":[0,0,1]",
                "\"states\":[0,0,1],\"states\":[0,0,1]",
            ),
        ),
    ];
    let mut all = String::new();
    for (name, place) in cases {
        let (said, code) = place.said("check", &[]);
        assert_eq!(code, Some(78), "{name}: {said}");
        all.push_str(&format!("{name}\n{said}\n"));
    }
    insta::assert_snapshot!(all);
    // What must be rejected need not be whole, and null is a value.
    let rejected = steps().with("rows.jsonl", "{\"id\":\"c\",", "{");
    let null = rejected.with("rows.jsonl", "\"id\":\"b\"", "\"id\":null");
    let null = null.with("expected.jsonl", "\"id\":\"b\"", "\"id\":null");
    let (said, code) = null.said("check", &[]);
    assert_eq!(code, Some(0), "{said}");
}
