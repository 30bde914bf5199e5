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
fn what_only_the_library_multiplies_is_refused_without_it() {
    let refused = lowered(mlp(), Math::Bfloat, BY_KERNELS).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "node `h` (Gemm): the CUDA engine has no product of bfloat16 and bfloat16"
    );
    // The kernels have no tf32, which is a freedom and no demand.
    let plan = lowered(mlp(), Math::Tf32, BY_KERNELS).unwrap();
    assert_eq!(plan, mlp().lower().unwrap());
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
fn a_product_by_the_library_has_a_kernel_to_fall_back_on() {
    let plan = lowered(mlp(), Math::Half, BY_LIBRARY).unwrap();
    for step in &plan.steps {
        if let Step::Product(product) = step {
            let instead = product.instead.as_ref().unwrap();
            assert_eq!((instead.kernel, &instead.node), ("gemm_f16", &product.node));
        }
    }
}
