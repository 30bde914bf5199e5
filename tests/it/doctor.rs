//! `forebay doctor`: what it says of machines with and without CUDA, and how it ends.

use serde_json::Value;

use crate::cli::{err, forebay, out};
#[cfg(target_os = "linux")]
use crate::support::fake_cuda;

/// The report as JSON, with the driver that this names; and the exit code.
fn doctor(driver: &str, more: &[(&str, &str)]) -> (Value, i32) {
    let mut command = forebay(&["doctor", "--json"]);
    command.env("FOREBAY_LIBCUDA", driver);
    command.envs(more.iter().copied());
    let output = command.output().unwrap();
    let report = serde_json::from_str(&out(&output))
        .unwrap_or_else(|error| panic!("{error}: {}{}", out(&output), err(&output)));
    (report, output.status.code().unwrap())
}

fn finding<'a>(report: &'a Value, name: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .find(|finding| finding["name"] == name)
        .unwrap_or_else(|| panic!("nothing of {name}: {report:#}"))
}

#[test]
fn without_cuda_all_that_is_needed_is_there() {
    let (report, code) = doctor("/nowhere/libcuda.so.1", &[]);
    assert_eq!((report["ready"].as_bool(), code), (Some(true), 0));
    let driver = finding(&report, "CUDA driver");
    assert_eq!(driver["status"], "missing");
    assert_eq!(driver["needed"], false);
    assert_eq!(driver["without"], "models run on the CPU");
    let why = driver["why"].as_str().unwrap();
    assert!(
        why.contains("/nowhere/libcuda.so.1: cannot open shared object file"),
        "{why}"
    );
    assert_eq!(finding(&report, "ONNX Runtime")["version"], "1.31.1");
    for name in [
        "cores",
        "memory",
        "open files",
        "kernels",
        "NVRTC",
        "cuBLASLt",
        "cuDNN",
        "nats-server",
    ] {
        finding(&report, name);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn with_a_driver_its_devices_are_listed() {
    let library = fake_cuda::library().to_str().unwrap();
    let settings = [
        ("FAKE_DEVICES", "2"),
        ("FAKE_MEM", "85899345920"),
        ("FAKE_CAPABILITY", "9.0"),
    ];
    let (report, code) = doctor(library, &settings);
    assert_eq!(code, 0);
    let driver = finding(&report, "CUDA driver");
    assert_eq!(driver["status"], "found");
    assert_eq!(driver["version"], "13.0");
    assert_eq!(driver["path"], library);
    assert_eq!(
        finding(&report, "cuda:1")["details"],
        "a fake of a GPU, compute capability 9.0, 4 multiprocessors, 80.0 GiB of 80.0 GiB free"
    );
    let (report, _) = doctor(library, &[("FAKE_CAPABILITY", "7.5")]);
    assert_eq!(finding(&report, "cuda:0")["status"], "unusable");
    let (report, code) = doctor(library, &[("FAKE_INIT", "803")]);
    assert_eq!(
        (finding(&report, "CUDA driver")["status"].as_str(), code),
        (Some("unusable"), 0)
    );
}

#[test]
fn without_onnx_runtime_it_fails_and_still_says_all_the_rest() {
    let (report, code) = doctor(
        "/nowhere/libcuda.so.1",
        &[("FOREBAY_ONNXRUNTIME", "/nowhere/libonnxruntime.so")],
    );
    assert_eq!((report["ready"].as_bool(), code), (Some(false), 69));
    assert_eq!(finding(&report, "ONNX Runtime")["status"], "missing");
    finding(&report, "nats-server");
    let output = forebay(&["doctor", "--onnxruntime", "/nowhere/it"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(
        out(&output).contains("ONNX Runtime   no"),
        "{}",
        out(&output)
    );
    assert_eq!(
        err(&output),
        "error: ONNX Runtime cannot be used, and nothing goes without\n"
    );
}
