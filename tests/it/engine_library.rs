//! Where ONNX Runtime is looked for, and what is said when it is nowhere.
#![allow(clippy::unwrap_used, reason = "a test that panics has done its work")]

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use forebay::engine::cpu::library::{Surroundings, find_in};

/// A made-up machine in a temporary folder.
struct Machine {
    place: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self {
            place: tempfile::tempdir().unwrap(),
        };
        fs::create_dir_all(machine.path("project/target/release")).unwrap();
        fs::create_dir_all(machine.path("usr/lib")).unwrap();
        machine.write("project/Cargo.toml", b"[package]");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A file that begins like a library for this machine.
    fn library(&self, name: &str) -> PathBuf {
        let mut bytes = vec![0; 64];
        fs::File::open(std::env::current_exe().unwrap())
            .unwrap()
            .read_exact(&mut bytes)
            .unwrap();
        self.write(name, &bytes)
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings {
            flag: None,
            variable: None,
            executable: Some(self.path("project/target/release/forebay")),
            current_dir: Some(self.path("home")),
            python: vec![self.path("venv")],
            system: vec![self.path("usr/lib")],
        }
    }

    fn words(&self, surroundings: &Surroundings) -> String {
        let message = find_in(surroundings).unwrap_err().message;
        message
            .replace(&self.place.path().display().to_string(), "")
            .replace(std::env::consts::ARCH, "ARCH")
    }
}

#[test]
fn when_it_is_nowhere_every_place_is_listed_with_what_was_there() {
    let machine = Machine::new();
    insta::assert_snapshot!("nowhere", machine.words(&machine.surroundings()));
    // Things that are there and are of no use.
    machine.library("venv/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1.16.3");
    machine.write(
        "project/.runtime/onnxruntime/libonnxruntime.so",
        b"<html>404</html>",
    );
    let mut foreign = fs::read(machine.library("foreign")).unwrap();
    foreign[18] = 0x28;
    foreign[19] = 0;
    machine.write("usr/lib/libonnxruntime.so", &foreign);
    insta::assert_snapshot!("unusable", machine.words(&machine.surroundings()));
}

#[test]
fn places_are_asked_in_order() {
    let machine = Machine::new();
    let found = |surroundings: &Surroundings| {
        let path = find_in(surroundings).unwrap();
        path.strip_prefix(machine.place.path())
            .map(Path::to_path_buf)
            .unwrap()
    };
    let mut surroundings = machine.surroundings();
    for name in [
        "usr/lib/libonnxruntime.so.1.31.1",
        "venv/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1.31.1",
        "project/.runtime/onnxruntime/libonnxruntime.so",
        "project/target/release/libonnxruntime.so",
    ] {
        machine.library(name);
        assert_eq!(found(&surroundings), Path::new(name));
    }
    // From a folder below another project, its own comes after what lies beside the executable.
    surroundings.executable = None;
    surroundings.current_dir = Some(machine.path("project/pipelines/income"));
    fs::create_dir_all(machine.path("project/pipelines/income")).unwrap();
    assert_eq!(
        found(&surroundings),
        Path::new("project/.runtime/onnxruntime/libonnxruntime.so")
    );
    // The variable names a file, and the flag wins; it may name a folder.
    surroundings.variable = Some(machine.library("named/by_variable.so"));
    assert_eq!(found(&surroundings), Path::new("named/by_variable.so"));
    machine.library("flag/libonnxruntime.so.1.30.0");
    machine.library("flag/libonnxruntime.so.1.31.1");
    surroundings.flag = Some(machine.path("flag"));
    assert_eq!(
        found(&surroundings),
        Path::new("flag/libonnxruntime.so.1.31.1")
    );
}

#[test]
fn what_is_named_and_of_no_use_ends_the_search() {
    let machine = Machine::new();
    machine.library("project/target/release/libonnxruntime.so");
    let mut surroundings = machine.surroundings();
    let mut all = Vec::new();
    surroundings.variable = Some(machine.path("nothing/libonnxruntime.so"));
    all.push(machine.words(&surroundings));
    surroundings.flag = Some(machine.write("text/libonnxruntime.so", b"text"));
    all.push(machine.words(&surroundings));
    surroundings.flag = Some(machine.path("home"));
    fs::create_dir(machine.path("home")).unwrap();
    all.push(machine.words(&surroundings));
    insta::assert_snapshot!(all.join("\n"));
}
