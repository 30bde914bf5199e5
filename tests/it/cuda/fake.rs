//! The fake driver itself: that it sees what it is there to see, and that it is as slow, strict and forgetful as a device.

use std::{collections::BTreeMap, fs, process::Command};

use crate::support::fake_cuda;

/// Each case of `tests/cuda/fake/check/check.cpp`, and the violation that it must be; none where the driver's answers say it all.
const CASES: &[(&str, &str)] = &[
    ("fresh_memory_is_no_zeros", ""),
    ("work_waits", ""),
    ("pageable_copies_are_staged_and_pinned_are_not", ""),
    (
        "copy_outside",
        "cuMemcpyHtoDAsync writes 253 bytes outside of any memory that was given",
    ),
    (
        "pinned_freed_too_early",
        "cuMemcpyHtoDAsync reads 4 bytes in memory that was freed",
    ),
    ("freed_twice", "cuMemFree twice of the same"),
    (
        "freed_is_not_a_beginning",
        "cuMemFree of what it did not give",
    ),
    (
        "kernel_on_freed_memory",
        "the kernel canary touched an address in memory that was freed",
    ),
    (
        "kernel_far_outside",
        "the kernel canary touched an address outside of any memory that was given",
    ),
    (
        "kernel_just_outside",
        "something wrote behind a piece of 252 bytes of device memory, at byte 252",
    ),
    (
        "kernel_on_nothing",
        "the kernel canary touched an address outside of any memory that was given",
    ),
    (
        "stream_after_its_end",
        "use of a stream that is none, or is gone",
    ),
    (
        "event_after_its_end",
        "use of an event that is none, or is gone",
    ),
    ("launches_that_no_device_takes", ""),
    ("graphs_run_when_launched", ""),
    (
        "graph_gone_while_it_runs",
        "a graph is destroyed while it runs",
    ),
    (
        "graph_of_memory_that_is_gone",
        "cuMemsetD8Async writes 1 bytes in memory that was freed",
    ),
    ("recording_is_broken_by_what_may_not_be", ""),
    ("products_are_by_columns", ""),
    (
        "product_out_of_its_memory",
        "cublasLtMatmul: D of 36 bytes is outside of any memory that was given",
    ),
    (
        "product_less_aligned_than_was_said",
        "cublasLtMatmul: operand 1 is aligned to 16 bytes, and the algorithm was found for 64",
    ),
    (
        "product_with_a_bias_less_aligned_than_before",
        "cublasLtMatmul: the bias is aligned to 4 bytes, and the algorithm was found for 64",
    ),
    ("algorithm_of_another_product", ""),
    ("products_that_nvidia_has_not", ""),
    ("product_recorded_before_it_ran", ""),
    (
        "descriptor_after_its_end",
        "cuBLASLt is given a handle or a descriptor that is none, or is gone",
    ),
    ("convolutions_are_correlations", ""),
    (
        "convolution_out_of_its_memory",
        "cuDNN: the result of 16 bytes is outside of any memory that was given",
    ),
    (
        "convolution_that_is_not_aligned",
        "cuDNN is given a picture that is not aligned to 16 bytes",
    ),
    (
        "convolution_on_no_stream",
        "cuDNN convolves on the default stream, which nobody waits for",
    ),
    ("convolutions_that_nvidia_has_not", ""),
    ("convolution_recorded_before_it_ran", ""),
    (
        "picture_after_its_end",
        "cuDNN is given a handle or a descriptor that is none, or is gone",
    ),
    (
        "picture_of_which_nothing_is_said",
        "cuDNN is given a descriptor in which nothing is written",
    ),
];

#[test]
fn it_sees_what_it_is_there_to_see() {
    let program = fake_cuda::check_program();
    // The loader looks for the name that the library gives itself.
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(fake_cuda::library(), folder.path().join("libcuda.so")).unwrap();
    let run = |case: Option<&str>, seed: &str| {
        let report = folder.path().join("report");
        let mut command = Command::new(&program);
        command.args(case).env("LD_LIBRARY_PATH", folder.path());
        let output = command
            .env("FAKE_SEED", seed)
            .env("FAKE_REPORT", &report)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{case:?}: {output:?}");
        let report: serde_json::Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
        (
            said,
            report["violations"][0]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    let expected: BTreeMap<&str, &str> = CASES.iter().copied().collect();
    let (names, _) = run(None, "1");
    assert_eq!(names.lines().count(), expected.len());
    for case in names.lines() {
        for seed in ["1", "2"] {
            assert_eq!(run(Some(case), seed).1, expected[case], "{case}");
        }
    }
}
