use super::*;

fn floats(element: Element, values: &[f64]) -> Value<Tensor> {
    Value::Tensor(Tensor {
        element,
        shape: vec![values.len()],
        values: Values::Float(values.to_vec()),
    })
}

fn compare(expected: &Value<Tensor>, found: &Value<Tensor>, relative: Option<f64>) -> Vec<Output> {
    let tolerance = Tolerance {
        relative,
        absolute: 1e-7,
    };
    let mut outputs = Vec::new();
    values("y", expected, found, tolerance, &mut outputs);
    outputs
}

fn differ(element: Element, expected: f64, found: f64, relative: Option<f64>) -> bool {
    let outputs = compare(
        &floats(element, &[expected]),
        &floats(element, &[found]),
        relative,
    );
    !outputs[0].passed()
}

#[test]
fn numbers_may_be_off_by_so_much() {
    let float = |expected, found| differ(Element::Float32, expected, found, None);
    assert!(!float(1.0, 1.000_999));
    assert!(float(1.0, 1.001_001));
    assert!(!float(0.0, 9e-8));
    assert!(float(0.0, 2e-7));
    assert!(!float(f64::NAN, f64::NAN));
    assert!(float(f64::NAN, 1.0));
    assert!(float(1.0, f64::NAN));
    assert!(!float(f64::INFINITY, f64::INFINITY));
    assert!(float(f64::INFINITY, f64::NEG_INFINITY));
    assert!(float(f64::INFINITY, f64::MAX));
    assert!(float(f64::MAX, f64::INFINITY));
    assert!(!float(0.0, -0.0));
    assert!(!differ(Element::Bfloat16, 1.0, 1.015_625, None));
    assert!(differ(Element::Bfloat16, 1.0, 1.015_625, Some(1e-3)));
    assert!(!differ(Element::Float32, 1.0, 1.4, Some(0.4)));
}

#[test]
fn integers_must_be_the_same() {
    let ints = |value: u64| {
        Value::Tensor(Tensor {
            element: Element::Uint64,
            shape: vec![],
            values: Values::Uint(vec![value]),
        })
    };
    let outputs = compare(&ints(u64::MAX), &ints(u64::MAX - 1), Some(1.0));
    assert!(!outputs[0].passed());
    let words = outputs[0].words();
    assert!(words.contains("`y`[]: expected 18446744073709551615, found 18446744073709551614"));
}

#[test]
fn complex_numbers_are_compared_by_their_distance() {
    let complex = |value: [f64; 2]| {
        Value::Tensor(Tensor {
            element: Element::Complex64,
            shape: vec![1],
            values: Values::Complex(vec![value]),
        })
    };
    let passes = |one, other| compare(&complex(one), &complex(other), None)[0].passed();
    assert!(passes([3.0, 4.0], [3.003, 4.0]));
    assert!(!passes([3.0, 4.0], [3.006, 4.0]));
    assert!(passes([f64::NAN, 0.0], [f64::NAN, 0.0]));
    assert!(!passes([f64::NAN, 0.0], [0.0, 0.0]));
}

#[test]
fn the_worst_is_named_beside_what_is_allowed() {
    let expected = floats(Element::Float32, &[100.0, 1.0, 2.0]);
    let found = floats(Element::Float32, &[100.3, 1.1, 2.0]);
    let outputs = compare(&expected, &found, None);
    let worst = outputs[0].worst.as_ref().expect("some differ");
    assert_eq!((outputs[0].differ, &worst.index[..]), (2, &[1][..]));
    assert_eq!(index(23, &[2, 3, 4]), [1, 2, 3]);
    assert_eq!(index(5, &[2, 3, 1]), [1, 2, 0]);
}

#[test]
fn other_kinds_and_lengths_differ() {
    let one = floats(Element::Float32, &[1.0]);
    let list = |count| Value::Sequence(vec![one.clone(); count]);
    let map = |key: &str| Value::Map(vec![(Key::Text(key.into()), one.clone())]);
    let said: Vec<String> = [
        (&one, &floats(Element::Float32, &[1.0, 2.0])),
        (&one, &floats(Element::Float64, &[1.0])),
        (&one, &Value::Nothing),
        (&list(1), &list(2)),
        (&list(0), &one),
        (&map("a"), &map("b")),
    ]
    .into_iter()
    .map(|(expected, found)| compare(expected, found, None)[0].words())
    .collect();
    insta::assert_snapshot!(said.join("\n"));
    for same in [&list(0), &list(3), &map("a"), &Value::Nothing] {
        assert!(compare(same, same, None).iter().all(Output::passed));
    }
}

#[test]
fn numbers_are_short() {
    let said = [
        0.0, 1e-9, 0.001, 0.012_345, 0.5, 1.0, 12.345, 999.94, 1234.5, 99_999.0, 1e5,
    ]
    .map(short);
    insta::assert_snapshot!(said.join(" "));
}
