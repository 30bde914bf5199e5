//! What `make gpu-bundle` packs: `forebay verify` on a device, and `run.sh`, which runs here with stand-ins for all that it starts.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cli::{err, forebay, out},
    support::fake_cuda,
};

fn verified(path: &str) -> (Output, Value) {
    let ran = forebay(&["verify", path, "--device", "cuda", "--json"])
        .env("FOREBAY_LIBCUDA", fake_cuda::library())
        .envs([
            fake_cuda::NO_LIBRARY,
            fake_cuda::NO_COMPILER,
            fake_cuda::NO_CONVOLVER,
        ])
        .output()
        .expect("it runs");
    let report = serde_json::from_slice(&ran.stdout).expect("JSON");
    (ran, report)
}

/// What ONNX Runtime or the device has not is no failure of the device: exit 69, and 1 for what differs alone.
#[test]
fn what_the_runtime_has_not_is_no_failure_of_the_device() {
    let (ran, report) = verified("tests/data/verify/cases");
    assert_eq!(report["failed"], 0, "{report:#}");
    assert_eq!(ran.status.code(), Some(69), "{}", err(&ran));
    let sets = report["data_sets"].as_array().expect("a list");
    let why = |case: &str| {
        let of = |set: &&Value| set["data_set"].as_str().is_some_and(|it| it.contains(case));
        let set = sets.iter().find(of).expect("the case");
        assert_eq!(set["result"], "not_supported", "{set}");
        set["why"].as_str().unwrap_or_default().to_owned()
    };
    // With the words of the CPU.
    let lacking = why("test_bitshift_left_uint16");
    assert!(
        lacking.contains("Could not find an implementation for BitShift"),
        "{lacking}"
    );
    assert_eq!(
        why("test_optional_get_element_optional_tensor"),
        "input `optional_input` is no tensor, and the CUDA engine takes tensors"
    );
}

/// Reads what `run.sh` left, as the benchmark's program does.
#[allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "shared with a benchmark"
)]
#[path = "../../benches/gpu/report.rs"]
mod report;

/// What `run.sh` itself starts. It gets no other: the machine may have the tool that is stood for.
const TOOLS: [&str; 14] = [
    "cat", "date", "dirname", "grep", "gzip", "head", "ls", "mkdir", "sed", "sort", "tail", "tar",
    "tee", "tr",
];

/// A bundle with a stand-in for every program.
struct Bundle {
    place: TempDir,
}

impl Bundle {
    /// `verify` ends with this exit code.
    fn new(code: i32) -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let at = |name: &str| place.path().join(name);
        for folder in ["bin", "parts/cases/shape_a", "parts/cases/shape_b"] {
            fs::create_dir_all(at(folder)).expect("a folder");
        }
        fs::copy("benches/gpu/run.sh", at("run.sh")).expect("copied");
        let forebay =
            format!("#!/bin/sh\necho \"$FOREBAY_LIBCUDNN $*\" >>ran\necho checked\nexit {code}\n");
        fs::write(at("parts/forebay"), forebay).expect("written");
        let runs = Permissions::from_mode(0o755);
        fs::set_permissions(at("parts/forebay"), runs).expect("it may run");
        let path = std::env::var_os("PATH").expect("a path");
        for tool in TOOLS {
            let found = std::env::split_paths(&path).map(|folder| folder.join(tool));
            let found = { found }.find(|file| file.exists()).expect(tool);
            symlink(found, at("bin").join(tool)).expect("linked");
        }
        Self { place }
    }

    fn with_sanitizer(self) -> Self {
        let tool =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cuda/sanitizer/compute-sanitizer");
        symlink(tool, self.place.path().join("bin/compute-sanitizer")).expect("linked");
        self
    }

    /// What the stage says and its exit code, with such a variable.
    fn sanitized(&self, (variable, value): (&str, &str)) -> (Option<i32>, String) {
        let ran = Command::new("/bin/sh")
            .args(["run.sh", "results", "sanitize"])
            .current_dir(self.place.path())
            .env_clear()
            .env("PATH", self.place.path().join("bin"))
            .env("CUDA_HOME", "/nowhere")
            .env(variable, value)
            .output()
            .expect("a shell");
        (ran.status.code(), format!("{}{}", out(&ran), err(&ran)))
    }

    /// The part of the report that is about it.
    fn reported(&self) -> String {
        let results = self.place.path().join("results");
        report::write(&results);
        let text = fs::read_to_string(results.join("report.md")).expect("a report");
        let (_, text) = text.split_once("not covered\n\n").expect("counts");
        text.split("\n## Aims")
            .next()
            .unwrap_or_default()
            .to_owned()
    }
}

const NOTHING: (&str, &str) = ("NOTHING", "");

#[test]
fn without_the_sanitizer_the_stage_says_so() {
    let bundle = Bundle::new(0);
    insta::assert_debug_snapshot!(bundle.sanitized(NOTHING));
    assert_eq!(
        bundle.reported(),
        "- compute-sanitizer is not here: not run\n"
    );
    assert!(!bundle.place.path().join("ran").exists());
}

#[test]
fn what_the_sanitizer_has_nothing_against_passes() {
    let bundle = Bundle::new(0).with_sanitizer();
    let (code, said) = bundle.sanitized(NOTHING);
    assert_eq!(code, Some(0), "{said}");
    insta::assert_snapshot!("nothing_found", bundle.reported());
    let ran = fs::read_to_string(bundle.place.path().join("ran")).expect("it ran");
    let once =
        "/nowhere/libcudnn.so.9 verify parts/cases/shape_a parts/cases/shape_b --device cuda\n";
    assert_eq!(ran, once.repeat(3));
    // One of them alone.
    let (code, said) = bundle.sanitized(("SANITIZE", "initcheck"));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        bundle.reported(),
        "- initcheck: exit 0, ERROR SUMMARY: 0 errors\n"
    );
    let (code, said) = bundle.sanitized(("SANITIZE", "leakcheck"));
    assert_eq!(code, Some(2), "{said}");
}

/// Whatever is found makes the stage fail and stands in the report, and the other checks still run.
#[test]
fn what_the_sanitizer_finds_fails_the_stage() {
    let bundle = Bundle::new(0).with_sanitizer();
    let mut all = String::new();
    for (variable, tool, expected) in [
        ("SANITIZER_FINDS", "memcheck", 9),
        ("SANITIZER_FINDS", "racecheck", 9),
        ("SANITIZER_FINDS", "synccheck", 9),
        ("SANITIZER_WARNS", "racecheck", 9),
        ("SANITIZER_SEES_NOTHING", "memcheck", 255),
    ] {
        let (code, said) = bundle.sanitized((variable, tool));
        assert_eq!(code, Some(expected), "{variable}={tool}: {said}");
        all += &format!("{variable}={tool}\n{}\n", bundle.reported());
    }
    insta::assert_snapshot!("found", all);
}

/// A program that fails has not been checked to its end.
#[test]
fn a_program_that_fails_below_the_sanitizer_fails_the_stage() {
    let bundle = Bundle::new(1).with_sanitizer();
    let (code, said) = bundle.sanitized(NOTHING);
    assert_eq!(code, Some(1), "{said}");
    insta::assert_snapshot!("program_failed", bundle.reported());
}
