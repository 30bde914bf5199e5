use super::place::file_names;

#[test]
fn names_are_safe_and_each_is_there_once() {
    let names = file_names(
        [
            "income", "a/b:c", "..", "", "Income", "income", "income-2", "größe",
        ]
        .into_iter(),
    );
    assert_eq!(
        names,
        [
            "income.onnx",
            "a_b_c.onnx",
            "_..onnx",
            "graph.onnx",
            "Income-2.onnx",
            "income-3.onnx",
            "income-2-2.onnx",
            "gr__e.onnx",
        ]
    );
}
