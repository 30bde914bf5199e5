//! Products by cuBLASLt, and in other precisions than the model's.

use super::{
    DOUBLE, FLOAT, Made,
    fusing::kernels,
    plans::{encoder, mlp},
};
use crate::engine::cuda::{
    lower::{Products, Uncovered},
    plan::{Plan, Step},
    product::Math,
};

const BY_LIBRARY: bool = true;
const BY_KERNELS: bool = false;

fn lowered(made: Made, math: Math, library: bool) -> Result<Plan, Uncovered> {
    made.lower_by(
        17,
        Products {
            math,
            library,
            cudnn: None,
            fused: false,
        },
    )
}

#[test]
fn the_library_adds_biases_and_does_relu() {
    let plan = lowered(mlp(), Math::Single, BY_LIBRARY).unwrap();
    insta::assert_snapshot!(plan);
    let tf32 = lowered(mlp(), Math::Tf32, BY_LIBRARY).unwrap();
    assert_eq!(
        tf32.to_string(),
        plan.to_string().replace("fp32", "tf32"),
        "nothing else changes"
    );
}

#[test]
fn an_mlp_stays_in_sixteen_bits_from_its_first_product_to_its_last() {
    let half = lowered(mlp(), Math::Half, BY_LIBRARY).unwrap();
    insta::assert_snapshot!(half);
    let bfloat = lowered(mlp(), Math::Bfloat, BY_LIBRARY).unwrap();
    assert_eq!(
        bfloat.to_string(),
        half.to_string().replace("fp16", "bf16"),
        "nothing else changes"
    );
    assert_ne!(bfloat.constants, half.constants);
    let own = lowered(mlp(), Math::Half, BY_KERNELS).unwrap();
    assert_eq!(
        kernels(&own),
        [
            "pointwise_f32",
            "gemm_f16",
            "gemm_f16",
            "pointwise_f32",
            "softmax"
        ]
    );
}

#[test]
fn the_kernels_multiply_in_every_precision_too() {
    let by_kernels = |math| lowered(mlp(), math, BY_KERNELS).unwrap();
    let renamed = |plan: &Plan, from: &str, to: &str| {
        let kernels = kernels(plan).into_iter();
        kernels
            .map(|name| name.replace(from, to))
            .collect::<Vec<_>>()
    };
    let single = mlp().lower().unwrap();
    assert_eq!(by_kernels(Math::Single), single);
    let tf32 = by_kernels(Math::Tf32);
    assert_eq!(
        renamed(&tf32, "gemm_tf32", "gemm_f32"),
        kernels(&single),
        "nothing else changes"
    );
    assert_eq!(tf32.constants, single.constants);
    let half = by_kernels(Math::Half);
    assert_eq!(
        renamed(&by_kernels(Math::Bfloat), "gemm_bf16", "gemm_f16"),
        kernels(&half)
    );
}

#[test]
fn models_of_sixteen_bits_are_multiplied_so() {
    for (element, kernel) in [(10, "gemm_f16"), (16, "gemm_bf16")] {
        let graph = || {
            Made::default()
                .input("x", element, &[4, 6])
                .input("w", element, &[6, 6])
                .node("y = MatMul(x, w)", vec![])
                .output("y")
        };
        let plan = lowered(graph(), Math::Single, BY_KERNELS).unwrap();
        assert_eq!(kernels(&plan), [kernel]);
        let plan = lowered(graph(), Math::Tf32, BY_LIBRARY).unwrap();
        assert!(plan.has_products(), "{plan}");
    }
}

#[test]
fn an_encoder_layer_by_the_library() {
    insta::assert_snapshot!(lowered(encoder(), Math::Single, BY_LIBRARY).unwrap());
}

#[test]
fn an_encoder_layer_in_sixteen_bits() {
    insta::assert_snapshot!(lowered(encoder(), Math::Half, BY_LIBRARY).unwrap());
}

#[test]
fn a_value_that_several_products_read_is_converted_once_and_kept_for_the_rest() {
    let graph = Made::default()
        .input("x", FLOAT, &[4, 6])
        .floats("w", &[6, 6])
        .floats("v", &[6, 6])
        .node("a = Exp(x)", vec![])
        .node("l = MatMul(a, w)", vec![])
        .node("r = MatMul(a, v)", vec![])
        .node("s = Add(l, r)", vec![])
        .node("y = Add(s, a)", vec![])
        .output("y");
    let plan = lowered(graph, Math::Half, BY_KERNELS).unwrap();
    assert_eq!(
        kernels(&plan),
        [
            "pointwise_f32",
            "pointwise_f32",
            "gemm_f16",
            "gemm_f16",
            "pointwise_f32"
        ],
        "{plan}"
    );
}

#[test]
fn double_precision_stays_what_it_is() {
    let graph = || {
        Made::default()
            .input("x", DOUBLE, &[4, 6])
            .input("w", DOUBLE, &[6, 6])
            .node("y = MatMul(x, w)", vec![])
            .output("y")
    };
    let plan = lowered(graph(), Math::Half, BY_LIBRARY).unwrap();
    assert_eq!(kernels(&plan), ["gemm_f64"]);
}

#[test]
fn convolutions_are_multiplied_as_products_are_with_filters_of_that_type() {
    let graph = || {
        Made::default()
            .input("x", FLOAT, &[2, 3, 8, 8])
            .floats("w", &[16, 3, 3, 3])
            .input("v", FLOAT, &[16, 16, 3, 3])
            .node("a = Conv(x, w)", vec![])
            .node("r = Relu(a)", vec![])
            .node("y = Conv(r, v)", vec![])
            .output("y")
    };
    let plan = |math| lowered(graph(), math, BY_LIBRARY).unwrap();
    let single = plan(Math::Single);
    assert_eq!(kernels(&single), ["conv_f32", "conv_f32"]);
    let tf32 = plan(Math::Tf32);
    assert_eq!(kernels(&tf32), ["conv_tf32", "conv_tf32"]);
    assert_eq!(tf32.constants, single.constants);
    // Filters that come from outside stay in single precision, and so does what is multiplied by them.
    let half = plan(Math::Half);
    assert_eq!(kernels(&half), ["conv_f16", "conv_f32"]);
    assert_eq!(half.constants[0].bytes.len(), 16 * 27 * 2);
    assert_eq!(half.constants.len(), 1, "what is not used is not uploaded");
    assert_eq!(kernels(&plan(Math::Bfloat)), ["conv_bf16", "conv_f32"]);
}

#[test]
fn a_product_by_the_library_has_a_kernel_to_fall_back_on() {
    let plan = lowered(mlp(), Math::Half, BY_LIBRARY).unwrap();
    for step in &plan.steps {
        if let Step::Product(product) = step {
            let instead = product.instead.as_ref().unwrap();
            assert_eq!((instead.kernel, &instead.node), ("gemm_f16", &product.node));
        }
    }
}
