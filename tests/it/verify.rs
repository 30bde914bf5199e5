//! `forebay verify` over a few of ONNX's own cases, and over cases with mistakes in them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use forebay::graph::{data::Sequence, proto::Tensor};
use prost::Message;
use tempfile::TempDir;

use crate::cli::{err, out, run};

const CASES: &str = "tests/data/verify/cases";

/// A folder of cases with mistakes.
struct Broken {
    folder: TempDir,
}

impl Broken {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder }
    }

    fn path(&self) -> &str {
        self.folder.path().to_str().expect("UTF-8")
    }

    /// A copy of a case, as `name`; returns its folder.
    fn copy(&self, case: &str, name: &str) -> PathBuf {
        let to = self.folder.path().join(name);
        copy(&Path::new(CASES).join(case), &to);
        to
    }

    /// What is printed about the folder, and the exit code.
    fn verify(&self, options: &[&str]) -> (String, Option<i32>) {
        let output = run(&[&["verify", self.path()], options].concat());
        let said = format!("{}{}", out(&output), err(&output));
        (said.replace(self.path(), "DIR"), output.status.code())
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a case") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// Changes a file of the first data set.
fn change<T: Message + Default>(case: &Path, file: &str, change: impl Fn(&mut T)) {
    let path = case.join("test_data_set_0").join(file);
    let mut value = T::decode(&fs::read(&path).expect("a file")[..]).expect("a value");
    change(&mut value);
    fs::write(path, value.encode_to_vec()).expect("written");
}

fn bytes(case: &Path, file: &str, change: impl Fn(&mut Vec<u8>)) {
    let path = case.join("test_data_set_0").join(file);
    let mut bytes = fs::read(&path).expect("a file");
    change(&mut bytes);
    fs::write(path, bytes).expect("written");
}

/// Puts other bytes at the end of a tensor's elements.
fn last(bytes: &'static [u8]) -> impl Fn(&mut Tensor) {
    move |tensor| {
        let mut raw = tensor.raw_data.take().expect("raw data").to_vec();
        let at = raw.len() - bytes.len();
        raw[at..].copy_from_slice(bytes);
        tensor.raw_data = Some(raw.into());
    }
}

#[test]
fn cases_of_every_type_pass() {
    let output = run(&["verify", CASES, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out(&output)).expect("JSON");
    let sets = report["data_sets"].as_array().expect("a list");
    let mut others: Vec<String> = (sets.iter())
        .filter(|set| set["result"] != "passed")
        .map(|set| {
            let name = set["data_set"].as_str().expect("a path").split('/').nth(4);
            format!("{} {} {}", name.expect("a name"), set["result"], set["why"])
        })
        .collect();
    others.sort();
    insta::assert_snapshot!(others.join("\n"));
    assert_eq!(sets.len(), 57);
    assert_eq!(report["passed"], 54);
    assert_eq!(output.status.code(), Some(69), "{}", err(&output));
}

#[test]
fn a_case_that_passes_is_success() {
    let case = format!("{CASES}/own_two_data_sets");
    let output = run(&["verify", &case]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let path = "tests/data/verify/cases/own_two_data_sets/test_data_set_";
    assert_eq!(
        out(&output),
        format!("{path}0: passed\n{path}1: passed\n2 data sets: 2 passed, 0 failed\n")
    );
    let output = run(&["verify", &case, "--quiet"]);
    assert_eq!(out(&output), "2 data sets: 2 passed, 0 failed\n");
}

#[test]
fn what_differs_is_shown() {
    let broken = Broken::new();
    let output = |case, name, bytes| {
        change(&broken.copy(case, name), "output_0.pb", last(bytes));
    };
    output("test_add_bcast", "float", &[0, 0, 0x80, 0x3f]);
    output("test_add_bcast", "nan", &[0, 0, 0xc0, 0x7f]);
    output("test_sub_uint16", "integer", &[7, 1]);
    output("test_cast_FLOAT_to_FLOAT8E4M3FN", "float8", &[0x38]);
    output("test_cast_FLOAT_to_UINT4", "packed", &[0x53]);
    output("test_cast_FLOAT_to_BFLOAT16", "bfloat16", &[0, 0x3f]);
    output("own_two_data_sets", "one_of_two", &[0, 0, 0x80, 0x3f]);
    let tensor = |case, name, with: fn(&mut Tensor)| {
        change(&broken.copy(case, name), "output_0.pb", with);
    };
    tensor("test_and2d", "bool", |tensor| {
        let raw = tensor.raw_data.take().expect("raw data");
        tensor.raw_data = Some(raw.iter().map(|byte| 1 - byte).collect());
    });
    tensor("test_string_concat", "string", |tensor| {
        tensor.string_data[1] = "q".repeat(80).into();
    });
    tensor("test_add_bcast", "shape", |tensor| tensor.dims = vec![60]);
    tensor("test_sub_uint16", "type", |tensor| tensor.data_type = 5);
    let list = |case, name, with: fn(&mut Sequence)| {
        change(&broken.copy(case, name), "output_0.pb", with);
    };
    list("test_identity_sequence", "list", |list| {
        list.tensor_values.pop();
    });
    list("own_maps_out_string", "map", |list| {
        list.map_values[1].string_keys[0] = "maybe".into();
    });
    let (said, code) = broken.verify(&[]);
    insta::assert_snapshot!(said);
    assert_eq!(code, Some(1));
    let (said, code) = broken.verify(&["--json"]);
    assert!(said.contains("\"failed\": 13"), "{said}");
    assert_eq!(code, Some(1));
}

#[test]
fn what_is_broken_is_said() {
    let broken = Broken::new();
    let copy = |name| broken.copy("own_two_data_sets", name);
    bytes(&copy("cut_off"), "input_0.pb", |bytes| {
        bytes.truncate(bytes.len() - 3);
    });
    bytes(&copy("empty"), "output_0.pb", Vec::clear);
    change(&copy("too_short"), "input_1.pb", |tensor: &mut Tensor| {
        tensor.dims = vec![7];
    });
    change(
        &copy("wrong_type_in"),
        "input_1.pb",
        |tensor: &mut Tensor| {
            tensor.data_type = 6;
        },
    );
    for (name, file) in [("no_input", "input_1.pb"), ("no_output", "output_0.pb")] {
        fs::remove_file(copy(name).join("test_data_set_0").join(file)).expect("removed");
    }
    let set = copy("one_too_many").join("test_data_set_0");
    fs::copy(set.join("input_0.pb"), set.join("input_2.pb")).expect("a copy");
    let set = copy("one_too_many_without_a_name").join("test_data_set_0");
    fs::copy(set.join("input_0.pb"), set.join("input_2.pb")).expect("a copy");
    change(
        set.parent().expect("a folder"),
        "input_2.pb",
        |tensor: &mut Tensor| {
            tensor.name.clear();
        },
    );
    let case = copy("no_data_sets");
    for set in ["test_data_set_0", "test_data_set_1"] {
        fs::remove_dir_all(case.join(set)).expect("removed");
    }
    fs::write(copy("no_model").join("model.onnx"), "<html>").expect("written");
    let case = broken.copy("own_maps_out_int64", "no_list");
    fs::write(case.join("test_data_set_0/output_0.pb"), [0x10, 0x63]).expect("written");
    let (said, code) = broken.verify(&[]);
    insta::assert_snapshot!(said);
    assert_eq!(code, Some(1));
}

#[test]
fn files_are_told_by_their_names_first() {
    let broken = Broken::new();
    let set = broken
        .copy("own_two_data_sets", "swapped")
        .join("test_data_set_0");
    for (from, to) in [("input_0", "x"), ("input_1", "input_0"), ("x", "input_1")] {
        let path = |name: &str| set.join(format!("{name}.pb"));
        fs::rename(path(from), path(to)).expect("renamed");
    }
    assert_eq!(broken.verify(&[]).1, Some(0));
    let case = set.parent().expect("a folder").to_owned();
    for file in ["input_0.pb", "input_1.pb"] {
        change(&case, file, |tensor: &mut Tensor| tensor.name.clear());
    }
    // Now it is 1 - 3.
    let (said, code) = broken.verify(&[]);
    assert!(said.contains("expected 2.0, found -2.0"), "{said}");
    assert_eq!(code, Some(1));
}

#[test]
fn the_tolerance_is_the_user_s() {
    let broken = Broken::new();
    let case = broken.copy("own_two_data_sets", "off");
    // 2.25 in the place of 2.
    change(&case, "output_0.pb", last(&[0, 0, 0x10, 0x40]));
    assert_eq!(broken.verify(&[]).1, Some(1));
    assert_eq!(broken.verify(&["--rtol", "0.2"]).1, Some(0));
    assert_eq!(broken.verify(&["--rtol", "0", "--atol", "0.25"]).1, Some(0));
    assert_eq!(broken.verify(&["--rtol", "0", "--atol", "0.24"]).1, Some(1));
    let (said, code) = broken.verify(&["--rtol", "-1"]);
    assert!(said.contains("like 1e-3"), "{said}");
    assert_eq!(code, Some(2));
}

#[test]
fn folders_without_models_are_said_to_be_such() {
    let empty = tempfile::tempdir().expect("a folder");
    for (dir, says) in [
        ("no/such/folder", "no/such/folder cannot be read"),
        (
            empty.path().to_str().expect("UTF-8"),
            "there is no model.onnx in",
        ),
        ("Cargo.toml", "Cargo.toml is a file"),
    ] {
        let output = run(&["verify", dir]);
        assert_eq!(output.status.code(), Some(66), "{}", err(&output));
        assert!(err(&output).contains(says), "{}", err(&output));
    }
}

#[test]
fn links_that_lead_back_end() {
    let broken = Broken::new();
    broken.copy("test_and2d", "below/case");
    std::os::unix::fs::symlink(broken.path(), broken.folder.path().join("below/up"))
        .expect("a link");
    let (said, code) = broken.verify(&[]);
    assert!(said.contains("1 data set: 1 passed"), "{said}");
    assert_eq!(code, Some(0));
}
