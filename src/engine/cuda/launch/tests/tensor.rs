//! What is launched on tensor cores.

use super::{convolution, listed, product, spot};
use crate::{
    engine::cuda::{
        launch::{conv::Conv, gemm::Gemm},
        plan::Launch,
        product::Math,
    },
    graph::tensor::Element,
};

fn sized(element: Element, [m, n]: [usize; 2], batches: usize) -> Gemm {
    Gemm {
        element,
        m,
        n,
        batches: [batches, 1],
        ..product([0, 1, 2, 3].map(spot))
    }
}

fn launched<P>(launch: &Launch<P>) -> (&str, [u32; 3], u32, u32) {
    (launch.kernel, launch.grid, launch.block[0], launch.shared)
}

#[test]
fn every_precision_has_a_kernel_in_two_sizes() {
    let listed = listed();
    for (element, math, name) in [
        (Element::Float32, Math::Tf32, "gemm_tf32"),
        (Element::Float16, Math::Single, "gemm_f16"),
        (Element::Float16, Math::Half, "gemm_f16"),
        (Element::Bfloat16, Math::Bfloat, "gemm_bf16"),
    ] {
        let small = sized(element, [65, 64], 3).launch(math).unwrap();
        assert_eq!(launched(&small), (name, [2, 1, 3], 128, 24_576));
        let large = sized(element, [128 * 9, 128 * 12], 1).launch(math).unwrap();
        let name = format!("{name}_large");
        assert_eq!(launched(&large), (&*name, [9, 12, 1], 256, 49_152));
        for launch in [small, large] {
            assert!(listed.contains_key(&format!("size:{}", launch.kernel)));
        }
    }
}

#[test]
fn large_tiles_are_for_what_fills_a_gpu_with_them() {
    let tile = |m, n, batches| {
        let launch = sized(Element::Float16, [m, n], batches).launch(Math::Half);
        launch.unwrap().block[0] / 2
    };
    assert_eq!(tile(128 * 107, 128, 1), 64);
    assert_eq!(tile(128 * 107 + 1, 128, 1), 128);
    assert_eq!(tile(65, 65, 107), 64);
    assert_eq!(tile(65, 65, 108), 128, "of many small ones too");
    assert_eq!(tile(128, 64, 1000), 64, "half of each would be empty");
}

#[test]
fn single_precision_stays_so_where_it_is_asked_for() {
    for math in [Math::Single, Math::Half, Math::Bfloat] {
        let launch = sized(Element::Float32, [4096, 4096], 1)
            .launch(math)
            .unwrap();
        assert_eq!(launched(&launch), ("gemm_f32", [64, 64, 1], 256, 0));
    }
    let double = sized(Element::Float64, [64, 64], 1)
        .launch(Math::Tf32)
        .unwrap();
    assert_eq!(double.kernel, "gemm_f64");
}

#[test]
fn convolutions_of_one_group_are_multiplied_on_tensor_cores() {
    let listed = listed();
    let conv = || convolution([0, 1, 2, 3, 4].map(spot));
    for (math, name) in [
        (Math::Tf32, "conv_tf32"),
        (Math::Half, "conv_f16"),
        (Math::Bfloat, "conv_bf16"),
    ] {
        let small = conv().launch(math).unwrap();
        assert_eq!(launched(&small), (name, [1, 1, 1], 128, 24_576));
        let wide = Conv {
            n: 8 * 54,
            filters: 200,
            ..conv()
        };
        let large = wide.launch(math).unwrap();
        let name = format!("{name}_large");
        assert_eq!(launched(&large), (&*name, [54, 2, 1], 256, 49_152));
        for launch in [small, large] {
            assert!(listed.contains_key(&format!("size:{}", launch.kernel)));
        }
        for (odd, kernel) in [
            (
                Conv {
                    groups: 2,
                    ..conv()
                },
                "conv_f32",
            ),
            (
                Conv {
                    groups: 4,
                    ..conv()
                },
                "conv_direct_f32",
            ),
            (
                Conv {
                    filters: 7,
                    ..conv()
                },
                "conv_direct_f32",
            ),
            (
                Conv {
                    transposed: true,
                    ..conv()
                },
                "conv_transpose_f32",
            ),
            (
                Conv {
                    image: [1 << 15, 1 << 15],
                    ..conv()
                },
                "conv_f32",
            ),
        ] {
            assert_eq!(odd.launch(math).unwrap().kernel, kernel);
        }
    }
    assert_eq!(conv().launch(Math::Single).unwrap().kernel, "conv_f32");
}
