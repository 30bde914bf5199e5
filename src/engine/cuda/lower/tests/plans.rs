//! Whole plans as text.

use super::{DOUBLE, FLOAT, INT64, Made, floats, int, ints, text, texts};

/// Two layers, and the parts of a whole.
pub(super) fn mlp() -> Made {
    Made::default()
        .input("x", FLOAT, &[8, 30])
        .floats("w1", &[30, 64])
        .floats("b1", &[64])
        .floats("w2", &[64, 3])
        .floats("b2", &[3])
        .node("h = Gemm(x, w1, b1)", vec![])
        .node("a = Relu(h)", vec![])
        .node("m = MatMul(a, w2)", vec![])
        .node("s = Add(m, b2)", vec![])
        .node("y = Softmax(s)", vec![])
        .output("y")
}

#[test]
fn an_mlp_is_a_product_for_each_layer() {
    insta::assert_snapshot!(mlp().lower().unwrap());
}

/// A layer of an encoder on two sequences of five tokens, with two heads of four.
pub(super) fn encoder() -> Made {
    let split = |graph: Made, from: &str, to: &str, order: &[i64]| {
        graph
            .node(&format!("{to}4 = Reshape({from}, heads)"), vec![])
            .node(
                &format!("{to} = Transpose({to}4)"),
                vec![ints("perm", order)],
            )
    };
    let mut graph = Made::default()
        .input("x", FLOAT, &[2, 5, 8])
        .input("mask", FLOAT, &[2, 1, 1, 5])
        .ints("heads", &[2, 5, 2, 4])
        .ints("flat", &[2, 5, 8])
        .number("scale", 0.5)
        .number("root2", std::f32::consts::SQRT_2)
        .number("one", 1.0)
        .number("half", 0.5);
    for name in ["q", "k", "v", "o"] {
        graph = graph
            .floats(&format!("w{name}"), &[8, 8])
            .floats(&format!("b{name}"), &[8]);
    }
    for name in ["q", "k", "v"] {
        graph = graph
            .node(&format!("{name}m = MatMul(x, w{name})"), vec![])
            .node(&format!("{name}b = Add({name}m, b{name})"), vec![]);
    }
    graph = split(graph, "qb", "qh", &[0, 2, 1, 3]);
    graph = split(graph, "kb", "kh", &[0, 2, 3, 1]);
    graph = split(graph, "vb", "vh", &[0, 2, 1, 3]);
    graph
        .node("scores = MatMul(qh, kh)", vec![])
        .node("scaled = Mul(scores, scale)", vec![])
        .node("masked = Add(scaled, mask)", vec![])
        .node("p = Softmax(masked)", vec![int("axis", -1)])
        .node("ctx = MatMul(p, vh)", vec![])
        .node("ctxt = Transpose(ctx)", vec![ints("perm", &[0, 2, 1, 3])])
        .node("ctxf = Reshape(ctxt, flat)", vec![])
        .node("om = MatMul(ctxf, wo)", vec![])
        .node("ob = Add(om, bo)", vec![])
        .floats("g", &[8])
        .floats("beta", &[8])
        .node(
            "n = com.microsoft:SkipLayerNormalization(ob, x, g, beta)",
            vec![],
        )
        .floats("w1", &[8, 16])
        .floats("b1", &[16])
        .node("um = MatMul(n, w1)", vec![])
        .node("ub = Add(um, b1)", vec![])
        .node("d = Div(ub, root2)", vec![])
        .node("e = Erf(d)", vec![])
        .node("e1 = Add(e, one)", vec![])
        .node("ue = Mul(ub, e1)", vec![])
        .node("y = Mul(ue, half)", vec![])
        .output("y")
}

#[test]
fn an_encoder_layer_moves_nothing_but_heads() {
    insta::assert_snapshot!(encoder().lower().unwrap());
}

#[test]
fn trees_are_a_walk_and_their_labels() {
    let plan = Made::default()
        .input("x", FLOAT, &[100, 4])
        .node(
            "label, p = ai.onnx.ml:TreeEnsembleClassifier(x)",
            vec![
                ints("nodes_treeids", &[0, 0, 0]),
                ints("nodes_nodeids", &[0, 1, 2]),
                ints("nodes_featureids", &[3, 0, 0]),
                texts("nodes_modes", &["BRANCH_LEQ", "LEAF", "LEAF"]),
                floats("nodes_values", &[0.5, 0.0, 0.0]),
                ints("nodes_truenodeids", &[1, 0, 0]),
                ints("nodes_falsenodeids", &[2, 0, 0]),
                ints("class_treeids", &[0, 0]),
                ints("class_nodeids", &[1, 2]),
                ints("class_ids", &[0, 0]),
                floats("class_weights", &[0.25, 0.75]),
                texts("classlabels_strings", &["no", "yes"]),
            ],
        )
        .output("label")
        .output("p")
        .lower()
        .unwrap();
    assert_eq!(
        plan.outputs[0].labels.as_deref(),
        Some(&vec!["no".to_owned(), "yes".to_owned()])
    );
    insta::assert_snapshot!(plan);
}

#[test]
fn a_cnn_keeps_its_activations_in_its_convolutions() {
    let plan = Made::default()
        .input("x", FLOAT, &[2, 3, 16, 16])
        .floats("w1", &[8, 3, 3, 3])
        .floats("b1", &[8])
        .floats("w2", &[8, 8, 3, 3])
        .floats("b2", &[8])
        .floats("fc", &[8, 10])
        .node("c1 = Conv(x, w1, b1)", vec![ints("pads", &[1, 1, 1, 1])])
        .node("r1 = Relu(c1)", vec![])
        .node("c2 = Conv(r1, w2, b2)", vec![ints("pads", &[1, 1, 1, 1])])
        .node("s = Add(c2, r1)", vec![])
        .node("r2 = Relu(s)", vec![])
        .node(
            "p = MaxPool(r2)",
            vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])],
        )
        .node("g = GlobalAveragePool(p)", vec![])
        .node("f = Flatten(g)", vec![])
        .node("y = MatMul(f, fc)", vec![])
        .output("y")
        .lower()
        .unwrap();
    insta::assert_snapshot!(plan);
}

#[test]
fn an_lstm_is_a_product_and_a_cell_for_each_step() {
    let plan = Made::default()
        .input("x", FLOAT, &[2, 3, 4])
        .floats("w", &[1, 20, 4])
        .floats("r", &[1, 20, 5])
        .floats("b", &[1, 40])
        .node("y, yh, yc = LSTM(x, w, r, b)", vec![int("hidden_size", 5)])
        .output("y")
        .output("yc")
        .lower()
        .unwrap();
    insta::assert_snapshot!(plan);
}

#[test]
fn outputs_that_are_inputs_constants_or_the_same_are_copied() {
    let plan = Made::default()
        .input("x", FLOAT, &[2, 2])
        .input("n", INT64, &[2])
        .input("d", DOUBLE, &[2])
        .floats("c", &[2])
        .node("same = Identity(x)", vec![])
        .node("e = Exp(x)", vec![])
        .node("again = Identity(e)", vec![])
        .node("turned = Transpose(e)", vec![])
        .node("cast = Cast(n)", vec![int("to", 11)])
        .node("sum = Add(cast, d)", vec![])
        .output("same")
        .output("e")
        .output("again")
        .output("turned")
        .output("c")
        .output("sum")
        .lower()
        .unwrap();
    insta::assert_snapshot!(plan);
}

#[test]
fn resizing_goes_along_one_axis_at_a_time() {
    let plan = Made::default()
        .input("x", FLOAT, &[1, 3, 8, 8])
        .floats("none", &[0])
        .ints("sizes", &[1, 3, 16, 12])
        .node(
            "y = Resize(x, none, none, sizes)",
            vec![text("mode", "linear")],
        )
        .output("y")
        .lower()
        .unwrap();
    insta::assert_snapshot!(plan);
}
