//! What is not covered, in words.

use super::{FLOAT, INT64, Made, TEXT, int, ints, text};

/// Of which boxes stay: a list of a length that nobody knows beforehand.
fn boxes() -> Made {
    Made::default()
        .input("b", FLOAT, &[1, 3, 4])
        .input("s", FLOAT, &[1, 1, 3])
        .ints("n", &[3])
        .node("list = NonMaxSuppression(b, s, n)", vec![])
}

#[test]
fn refusals_name_node_operator_and_what_is_missing() {
    let x = || Made::default().input("x", FLOAT, &[4, 6]);
    let one = |text: &str, attributes| x().node(text, attributes).output("y").lower();
    let made = [
        one("y = Trilu(x)", vec![]),
        one("y = ai.onnx.ml:SVMClassifier(x)", vec![]),
        one("y = Cast(x)", vec![int("to", 8)]),
        one("y = Cast(x)", vec![int("to", 17)]),
        one("y = Transpose(x)", vec![ints("perm", &[0, 0, 1])]),
        one("y = Softmax(x)", vec![int("axis", 2)]),
        one("y = MatMul(x, x)", vec![]),
        one("y = Exp(missing)", vec![]),
        one("y = Exp()", vec![]),
        x().input("n", INT64, &[2])
            .node("y = Reshape(x, n)", vec![])
            .output("y")
            .lower(),
        x().ints("n", &[5, 5])
            .node("y = Reshape(x, n)", vec![])
            .output("y")
            .lower(),
        x().input("c", 14, &[4])
            .node("y = Exp(x)", vec![])
            .output("y")
            .lower(),
        Made::default()
            .input("s", TEXT, &[4])
            .node("y = Exp(s)", vec![])
            .output("y")
            .lower(),
        boxes().output("list").lower(),
        boxes().node("y = Shape(list)", vec![]).output("y").lower(),
        boxes()
            .node("y = GatherND(b, list)", vec![])
            .output("y")
            .lower(),
        Made::default()
            .input("x", FLOAT, &[-1, 6])
            .node("y = Exp(x)", vec![])
            .output("y")
            .lower(),
        x().node("y = Exp(x)", vec![]).output("z").lower(),
        x().node("y = Add(x, x)", vec![]).output("y").lower_in(6),
        Made::default()
            .input("x", FLOAT, &[1, 2, 4, 4, 4])
            .floats("w", &[2, 2, 1, 1, 1])
            .node("y = Conv(x, w)", vec![])
            .output("y")
            .lower(),
        one("y = Pad(x, n)", vec![text("mode", "mirror")]),
        Made::default()
            .input("x", FLOAT, &[2, 2, 2, 2, 2, 2, 2, 2])
            .node("y = Transpose(x)", vec![])
            .output("y")
            .lower(),
    ];
    let said: Vec<String> = (made.into_iter())
        .map(|made| match made {
            Ok(plan) => format!("lowered:\n{plan}"),
            Err(error) => error.to_string(),
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}
