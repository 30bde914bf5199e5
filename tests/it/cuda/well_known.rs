//! Models of well-known shapes, small ones, on the fake: an MLP, an encoder, two kinds of convolutional networks, LSTM
//! layers and trees.

use forebay::{
    engine::raw::Value,
    graph::{
        proto::Model,
        tensor::{Data, Element, Raw},
    },
};

use forebay::engine::cuda::product::Math;

use super::conformance::{MATH, Outcome, math_of_case, outcome, with};
use crate::support::fake_cuda;

#[allow(dead_code, reason = "the benchmark uses all of it")]
#[path = "../../../benches/support/shapes.rs"]
pub(super) mod shapes;

use shapes::{Encoder, Random};

const ROWS: usize = 5;

const ENCODER: Encoder = Encoder {
    layers: 2,
    hidden: 24,
    heads: 3,
    inner: 40,
    words: 50,
    tokens: 9,
};

#[allow(
    clippy::cast_possible_truncation,
    reason = "any number of single precision does"
)]
fn numbers(random: &mut Random, name: &str, shape: &[usize]) -> (String, Value<Raw>) {
    let shape = [&[ROWS], shape].concat();
    let count = shape.iter().product();
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.number() as f32)
        .take(count)
        .flat_map(f32::to_le_bytes)
        .collect();
    let raw = Raw {
        element: Element::Float32,
        shape,
        data: Data::Packed(bytes.into()),
    };
    (name.to_owned(), Value::Tensor(raw))
}

/// Whole numbers, by row and place.
fn wholes(name: &str, of: impl Fn(usize, usize) -> usize) -> (String, Value<Raw>) {
    let cells = (0..ROWS).flat_map(|row| (0..ENCODER.tokens).map(move |at| (row, at)));
    let bytes: Vec<u8> = cells
        .flat_map(|(row, at)| (of(row, at) as u64).to_le_bytes())
        .collect();
    let raw = Raw {
        element: Element::Int64,
        shape: vec![ROWS, ENCODER.tokens],
        data: Data::Packed(bytes.into()),
    };
    (name.to_owned(), Value::Tensor(raw))
}

/// What a model is given, by name.
type Fed = Vec<(String, Value<Raw>)>;

/// Each with its name and what it is given.
fn cases() -> Vec<(&'static str, Model, Fed)> {
    let mut random = Random::new(3);
    let mut numbers = |name, shape: &[usize]| vec![numbers(&mut random, name, shape)];
    vec![
        ("mlp", shapes::mlp(&[13, 24, 17, 3]), numbers("x", &[13])),
        (
            "encoder",
            shapes::encoder(ENCODER),
            vec![
                wholes("input_ids", |row, at| (row * 31 + at * 7) % ENCODER.words),
                // Rows of all lengths, one token at least.
                wholes("attention_mask", |row, at| usize::from(at <= row * 2)),
            ],
        ),
        (
            "resnet18",
            shapes::resnet18(32, 4, 5),
            numbers("image", &[3, 32, 32]),
        ),
        (
            "mobilenet",
            shapes::mobilenet(32, 2, 5),
            numbers("image", &[3, 32, 32]),
        ),
        ("lstm", shapes::lstm(7, 5, 6, 3), numbers("x", &[7, 5])),
        ("trees", shapes::trees(20, 5, 9), numbers("x", &[9])),
    ]
}

#[test]
fn models_of_well_known_shapes_give_what_they_give_on_the_cpu() {
    fake_cuda::right_in_every_order("cuda::well_known::case_shapes", &[]);
}

#[test]
fn convolutional_networks_give_nearly_what_they_give_on_the_cpu_in_other_precisions() {
    for (math, kernel) in [
        ("tf32", "conv_tf32"),
        ("fp16", "conv_f16"),
        ("bf16", "conv_bf16"),
    ] {
        for seed in ["0", "1", "2"] {
            let environment = [("FAKE_SEED", seed), (MATH, math)];
            let outcome = fake_cuda::run("cuda::well_known::case_images", &environment);
            assert!(outcome.passed, "{math}, seed {seed}: {outcome:?}");
            assert_eq!(outcome.report["violations"], serde_json::json!([]));
            let launched = outcome.report["kernels"][kernel].as_u64();
            assert!(launched > Some(20), "{math}: {}", outcome.report["kernels"]);
        }
    }
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_images() {
    for (name, model, inputs) in cases() {
        if name == "resnet18" || name == "mobilenet" {
            let math = math_of_case();
            assert_eq!(outcome(&model, &inputs, math), Outcome::Equal, "{name}");
        }
    }
}

#[test]
fn they_do_with_kernels_of_their_own() {
    let cache = tempfile::tempdir().unwrap();
    let environment = [
        fake_cuda::with_compiler(),
        ("XDG_CACHE_HOME", cache.path().to_str().unwrap()),
    ];
    let (_, kernels) = with(
        "cuda::well_known::case_shapes",
        &[0, 1, 2, 3, 7],
        &environment,
    );
    for (kernel, least) in [("fused_mlp", 1), ("fused_chain", 6)] {
        assert!(kernels[kernel].as_u64() >= Some(least), "{kernels}");
    }
    for general in ["pointwise_f32", "pointwise_i64"] {
        assert_eq!(kernels[general], serde_json::Value::Null, "{kernels}");
    }
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_shapes() {
    for (name, model, inputs) in cases() {
        assert_eq!(
            outcome(&model, &inputs, Math::Single),
            Outcome::Equal,
            "{name}"
        );
    }
}
