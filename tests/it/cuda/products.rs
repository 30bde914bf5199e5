//! Products by cuBLASLt, on the stand-in for it; and in other precisions than the models'.

use crate::{
    cuda::conformance::{MATH, with},
    support::fake_cuda,
};

const MODELS: &str = "cuda::conformance::case_models";

/// How many products ran in this precision, whatever the algorithm.
fn products(kernels: &serde_json::Value, math: &str) -> u64 {
    let kernels = kernels.as_object().unwrap().iter();
    let own = kernels.filter(|(name, _)| name.starts_with(&format!("cublaslt {math} ")));
    own.filter_map(|(_, count)| count.as_u64()).sum()
}

#[test]
fn models_give_what_they_give_on_the_cpu_by_the_library_too() {
    let (without, kernels) = with(MODELS, &[0], &[]);
    assert_eq!(products(&kernels, "fp32"), 0);
    let (by_library, kernels) = with(MODELS, &[1, 3], &[fake_cuda::with_library()]);
    assert_eq!(by_library, without);
    assert!(products(&kernels, "fp32") > 100, "{kernels}");
}

#[test]
fn an_encoder_gives_what_it_gives_on_the_cpu_in_every_precision() {
    const ENCODER: &str = "cuda::conformance::case_encoder";
    for math in ["fp32", "tf32", "fp16", "bf16"] {
        let environment = [fake_cuda::with_library(), (MATH, math)];
        let (_, kernels) = with(ENCODER, &[0, 3, 5], &environment);
        assert!(products(&kernels, math) > 20, "{math}: {kernels}");
    }
    for math in ["fp32", "tf32", "fp16", "bf16"] {
        let (_, kernels) = with(ENCODER, &[1], &[(MATH, math)]);
        let own = format!("gemm_{}", math.replace("fp", "f"));
        assert!(kernels[&own].as_u64() > Some(20), "{math}: {kernels}");
    }
}

#[test]
fn models_give_nearly_what_they_give_on_the_cpu_in_other_precisions() {
    let mut said = String::new();
    for math in ["tf32", "fp16", "bf16"] {
        let environment = [fake_cuda::with_library(), (MATH, math)];
        let (outcomes, kernels) = with(MODELS, &[2], &environment);
        assert!(products(&kernels, math) > 100, "{math}: {kernels}");
        said += &format!("{math}\n{outcomes}\n\n");
    }
    for math in ["tf32", "fp16", "bf16"] {
        let (own, kernels) = with(MODELS, &[2], &[(MATH, math)]);
        let kernel = format!("gemm_{}", math.replace("fp", "f"));
        assert!(kernels[&kernel].as_u64() > Some(10), "{math}: {kernels}");
        said += &format!("{math} without the library\n{own}\n\n");
    }
    insta::assert_snapshot!(said);
}
