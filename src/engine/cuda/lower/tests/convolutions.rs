//! Convolutions by cuDNN.

use super::{FLOAT, Made, fusing::kernels, ints};
use crate::{
    engine::cuda::{
        convolution::Order,
        lower::Products,
        plan::{Plan, Step},
        product::Math,
    },
    graph::proto::Attribute,
};

fn lowered(made: Made, math: Math, order: Order) -> Plan {
    let products = Products {
        math,
        cudnn: Some(order),
        ..Products::OWN
    };
    made.lower_by(17, products).unwrap()
}

fn padded() -> Vec<Attribute> {
    vec![ints("pads", &[1, 1, 1, 1])]
}

/// Two blocks as residual networks have them, a pool between, and one that reads the second's result otherwise.
fn residual() -> Made {
    Made::default()
        .input("x", FLOAT, &[2, 3, 8, 8])
        .floats("w0", &[16, 3, 3, 3])
        .floats("b0", &[16])
        .floats("w1", &[16, 16, 3, 3])
        .floats("w2", &[16, 16, 3, 3])
        .floats("w3", &[8, 16, 1, 1])
        .node("c0 = Conv(x, w0, b0)", padded())
        .node("r0 = Relu(c0)", vec![])
        .node("p = MaxPool(r0)", vec![ints("kernel_shape", &[2, 2])])
        .node("c1 = Conv(p, w1)", padded())
        .node("r1 = Relu(c1)", vec![])
        .node("c2 = Conv(r1, w2)", padded())
        .node("s = Add(c2, p)", vec![])
        .node("r2 = Relu(s)", vec![])
        .node("t = Sigmoid(r2)", vec![])
        .node("y = Conv(t, w3)", vec![])
        .output("y")
}

#[test]
fn planes_lie_as_they_do_for_forebays_own_kernels() {
    let single = lowered(residual(), Math::Single, Order::Planes);
    insta::assert_snapshot!(single);
    let tf32 = lowered(residual(), Math::Tf32, Order::Planes);
    assert_eq!(
        tf32.to_string(),
        single.to_string().replace("fp32", "tf32"),
        "nothing else changes"
    );
    for (plan, kernel) in [(single, "conv_f32"), (tf32, "conv_tf32")] {
        for step in &plan.steps {
            if let Step::Convolution(convolution) = step {
                let instead = convolution.instead.as_ref().unwrap();
                assert_eq!((instead.kernel, &instead.node), (kernel, &convolution.node));
            }
        }
    }
    // In sixteen bits forebay's kernels round pictures as they read them; the library would want others.
    let half = lowered(residual(), Math::Half, Order::Planes);
    assert_eq!(half.convolutions().count(), 0);
}

#[test]
fn channels_stay_side_by_side_from_one_convolution_to_the_next() {
    let half = lowered(residual(), Math::Half, Order::Channels);
    insta::assert_snapshot!(half);
    let bfloat = lowered(residual(), Math::Bfloat, Order::Channels);
    assert_eq!(
        bfloat.to_string(),
        half.to_string().replace("fp16", "bf16"),
        "nothing else changes"
    );
    assert_ne!(bfloat.constants, half.constants);
    let tf32 = lowered(residual(), Math::Tf32, Order::Channels);
    assert_eq!(kernels(&tf32), kernels(&half));
}

/// A convolution, what `gate` makes of its result `c`, and another one behind their product.
fn gated(gate: &str) -> Vec<String> {
    let graph = Made::default()
        .input("x", FLOAT, &[2, 4, 6, 6])
        .floats("w", &[8, 4, 3, 3])
        .floats("v", &[8, 8, 3, 3])
        .node("c = Conv(x, w)", vec![])
        .node(gate, vec![])
        .node("h = Sigmoid(g)", vec![])
        .node("m = Mul(c, h)", vec![])
        .node("y = Conv(m, v)", vec![])
        .output("y");
    let plan = lowered(graph, Math::Bfloat, Order::Channels);
    let named = plan.steps.iter().zip(kernels(&plan));
    let said = named.map(|(step, kernel)| format!("{kernel} {}", step.node()));
    said.collect()
}

#[test]
fn what_is_done_elementwise_between_two_convolutions_turns_nothing() {
    insta::assert_snapshot!(gated("g = Identity(c)").join("\n"), @r"
    pointwise_f32 c (Conv)
    cudnn c (Conv)
    pointwise_f32 m (Mul)
    cudnn y (Conv)
    pointwise_f32 y (Conv)
    ");
    // The mean over a picture is of planes, and a number for each channel.
    insta::assert_snapshot!(gated("g = GlobalAveragePool(c)").join("\n"), @r"
    pointwise_f32 c (Conv)
    cudnn c (Conv)
    pointwise_f32 c (Conv)
    reduce_f32 g (GlobalAveragePool)
    pointwise_f32 h (Sigmoid)
    pointwise_f32 m (Mul)
    cudnn y (Conv)
    pointwise_f32 y (Conv)
    ");
}

#[test]
fn filters_are_turned_with_the_pictures() {
    let graph = || {
        Made::default()
            .input("x", FLOAT, &[1, 2, 4, 4])
            .floats("w", &[2, 2, 1, 2])
            .node("y = Conv(x, w)", vec![])
            .output("y")
    };
    let plan = lowered(graph(), Math::Single, Order::Channels);
    let first = f32::from(b'w');
    let turned: Vec<u8> = [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]
        .iter()
        .flat_map(|at| (first + at).to_le_bytes())
        .collect();
    assert_eq!(plan.constants[0].bytes, turned);
    let planes = lowered(graph(), Math::Single, Order::Planes);
    assert_ne!(planes.constants[0].bytes, turned);
}

#[test]
fn what_the_library_cannot_be_asked_for_is_left_to_the_kernels() {
    let plan = |x: &[i64], w: &[i64], known: bool, pads: &[i64], math, order| {
        let made = Made::default().input("x", FLOAT, x);
        let made = if known {
            made.floats("w", w)
        } else {
            made.input("w", FLOAT, w)
        };
        let made = made.node("y = Conv(x, w)", vec![ints("pads", pads)]);
        kernels(&lowered(made.output("y"), math, order))
    };
    let (x, w) = ([2, 4, 8, 8], [16, 4, 3, 3]);
    let one = ["cudnn"];
    let own = ["conv_f32"];
    assert_eq!(
        plan(&x, &w, true, &[1; 4], Math::Single, Order::Planes),
        one
    );
    // More below and to the right than above and to the left.
    assert_eq!(
        plan(&x, &w, true, &[0, 0, 1, 1], Math::Single, Order::Planes),
        own
    );
    // What is beyond the last window is never read.
    let strided = Made::default()
        .input("x", FLOAT, &[2, 4, 8, 8])
        .floats("w", &[16, 4, 3, 3])
        .node(
            "y = Conv(x, w)",
            vec![ints("pads", &[1, 1, 0, 0]), ints("strides", &[2, 2])],
        )
        .output("y");
    assert_eq!(kernels(&lowered(strided, Math::Single, Order::Planes)), one);
    // Filters that come from outside cannot be turned.
    assert_eq!(
        plan(&x, &w, false, &[1; 4], Math::Single, Order::Planes),
        one
    );
    assert_eq!(
        plan(&x, &w, false, &[1; 4], Math::Single, Order::Channels),
        own
    );
    assert_eq!(
        plan(&x, &w, false, &[1; 4], Math::Half, Order::Channels),
        own
    );
    // Signals are pictures of one row.
    assert_eq!(
        plan(
            &[2, 4, 9],
            &[16, 4, 3],
            true,
            &[1; 2],
            Math::Tf32,
            Order::Planes
        ),
        one
    );
}

#[test]
fn single_pixels_are_the_same_in_both_orders() {
    let graph = Made::default()
        .input("x", FLOAT, &[2, 4, 1, 1])
        .floats("w", &[16, 4, 1, 1])
        .node("y = Conv(x, w)", vec![])
        .output("y");
    assert_eq!(
        kernels(&lowered(graph, Math::Tf32, Order::Channels)),
        ["cudnn"]
    );
}
