//! Models on a GPU, by the driver that stands for one: the whole program, equal to Python's onnxruntime.

use crate::{
    new_runs::{Sample, of_examples, quarter_of_all, serve_with},
    support::fake_cuda,
};

/// Serves the models on the GPU, and says where each of them ran.
fn on_gpu(samples: &[Sample]) -> String {
    let checked = serve_with(samples, &[("FOREBAY_LIBCUDA", fake_cuda::library())]);
    let lines = checked.lines().filter(|line| line.contains(" runs on "));
    lines.map(|line| format!("{}\n", line.trim())).collect()
}

#[test]
fn a_first_quarter_of_all_models() {
    insta::assert_snapshot!(on_gpu(&quarter_of_all(0)));
}

#[test]
fn a_second_quarter_of_all_models() {
    insta::assert_snapshot!(on_gpu(&quarter_of_all(1)));
}

#[test]
fn a_third_quarter_of_all_models() {
    insta::assert_snapshot!(on_gpu(&quarter_of_all(2)));
}

#[test]
fn a_last_quarter_of_all_models() {
    insta::assert_snapshot!(on_gpu(&quarter_of_all(3)));
}

#[test]
fn the_examples_models() {
    insta::assert_snapshot!(on_gpu(&of_examples()));
}
