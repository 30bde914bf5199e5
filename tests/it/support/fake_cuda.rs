//! A CUDA driver for machines without a GPU, built from `tests/cuda/fake` once for each state of its sources; and
//! processes that have it as their driver.
//!
//! A process loads a driver once, so each case runs in a process of its own: this test binary again, with one test that
//! is ignored otherwise.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use forebay::engine::cuda::probe::CUDNN;

const FLAGS: &[&str] = &[
    "-std=c++17",
    "-O1",
    "-g1",
    "-fPIC",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Wno-unknown-pragmas",
];
/// cudarc asks for this name first, and finds the library that is loaded already.
const LINK_FLAGS: &[&str] = &["-shared", "-Wl,-soname,libcuda.so", "-ldl"];

/// What says which file cuBLASLt is. The fake is that, too.
pub(crate) const LIBRARY: &str = "FOREBAY_LIBCUBLASLT";
/// For processes that are to have no cuBLASLt, whatever the machine has.
pub(crate) const NO_LIBRARY: (&str, &str) = (LIBRARY, "/nowhere/libcublasLt.so.13");

/// What says which file cuDNN is. The fake is that, too, and all of its parts.
pub(crate) const CONVOLVER: &str = "FOREBAY_LIBCUDNN";
/// For processes that are to have no cuDNN, whatever the machine has.
pub(crate) const NO_CONVOLVER: (&str, &str) = (CONVOLVER, "/nowhere/libcudnn.so.9");

/// For processes whose cuDNN is the fake.
pub(crate) fn with_convolver() -> (&'static str, &'static str) {
    (CONVOLVER, library().to_str().unwrap())
}

/// What says which file NVRTC is. The fake is that, too: it has g++ compile.
pub(crate) const COMPILER: &str = "FOREBAY_LIBNVRTC";
/// For processes that are to have no NVRTC, whatever the machine has.
pub(crate) const NO_COMPILER: (&str, &str) = (COMPILER, "/nowhere/libnvrtc.so.13");

/// For processes whose NVRTC is the fake.
pub(crate) fn with_compiler() -> (&'static str, &'static str) {
    (COMPILER, library().to_str().unwrap())
}

/// For processes whose cuBLASLt is the fake.
pub(crate) fn with_library() -> (&'static str, &'static str) {
    (LIBRARY, library().to_str().unwrap())
}

/// The fake's file, absolute, with the name of the real one.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(build)
}

fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fake = root.join("tests/cuda/fake");
    let is_source = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "cpp");
    let (sources, headers): (Vec<PathBuf>, Vec<PathBuf>) =
        files(&fake).into_iter().partition(is_source);
    let shared = hash_of(&headers);
    let kernels = hash_of(
        &[
            files(&root.join("kernels")),
            files(&root.join("tests/cuda/shim")),
        ]
        .concat(),
    );
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fake-cuda");
    fs::create_dir_all(&built).unwrap();
    // Tests run in many processes; one builds, the others wait.
    let lock = fs::File::create(built.join("lock")).unwrap();
    lock.lock().unwrap();
    let mut objects = Vec::new();
    let mut compilers = Vec::new();
    for source in sources {
        let stem = source.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut hash = hash_of(std::slice::from_ref(&source)) ^ shared;
        match stem.as_str() {
            "kernels" => hash ^= kernels,
            // It looks for the shim here.
            "nvrtc" => hash ^= hash_of_place(root),
            _ => {}
        }
        let object = built.join(format!("{stem}-{hash:016x}.o"));
        if !object.exists() {
            let being_made = object.with_extension("new");
            let mut compiler = Command::new("g++");
            compiler
                .args(FLAGS)
                .arg("-c")
                .arg(&source)
                .arg("-o")
                .arg(&being_made);
            let shim = root.join("tests/cuda");
            compiler.arg(format!("-DFAKE_SHIM=\"{}\"", shim.display()));
            for folder in ["tests/cuda/fake", "tests/cuda/shim", "kernels"] {
                compiler.arg("-I").arg(root.join(folder));
            }
            compilers.push((start(&mut compiler), being_made, object.clone()));
        }
        objects.push(object);
    }
    for (compiler, being_made, object) in compilers {
        finish(compiler);
        fs::rename(being_made, object).unwrap();
    }
    let mut all = DefaultHasher::new();
    objects.hash(&mut all);
    let folder = built.join(format!("{:016x}", all.finish()));
    let library = folder.join("libcuda.so.1");
    if !library.exists() {
        fs::create_dir_all(&folder).unwrap();
        let being_made = folder.join("new");
        let mut linker = Command::new("g++");
        finish(start(
            linker
                .args(LINK_FLAGS)
                .arg("-o")
                .arg(&being_made)
                .args(&objects),
        ));
        make_parts(&folder);
        fs::rename(being_made, &library).unwrap();
    }
    library
}

/// What cuDNN must find beside itself: the fake again.
fn make_parts(folder: &Path) {
    for part in CUDNN.parts {
        let part = folder.join(part);
        if !part.is_symlink() {
            std::os::unix::fs::symlink("libcuda.so.1", part).unwrap();
        }
    }
}

/// The program that does what none may do, linked to the fake.
pub(crate) fn check_program() -> PathBuf {
    let library = library();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = root.join("tests/cuda/fake/check/check.cpp");
    let hash = hash_of(
        &["args.cuh", "args_boxes.cuh"]
            .map(|it| root.join("kernels").join(it))
            .into_iter()
            .chain([source.clone()])
            .collect::<Vec<_>>(),
    );
    let built = library.parent().unwrap();
    let program = built.join(format!("check-{hash:016x}"));
    let lock = fs::File::create(built.join("lock")).unwrap();
    lock.lock().unwrap();
    if !program.exists() {
        let being_made = built.join("check-new");
        let mut compiler = Command::new("g++");
        compiler.args(["-std=c++17", "-O1", "-Wall", "-Wextra", "-I"]);
        compiler
            .arg(root.join("kernels"))
            .arg("-o")
            .arg(&being_made);
        finish(start(compiler.arg(&source).arg(library)));
        fs::rename(being_made, &program).unwrap();
    }
    program
}

fn start(command: &mut Command) -> std::process::Child {
    let started = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    started.unwrap_or_else(|error| {
        panic!(
            "g++ does not start ({error}): the tests of the CUDA engine build a driver of their own with it; \
             install it (Debian: apt-get install g++)"
        )
    })
}

fn finish(child: std::process::Child) {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "g++ on the fake of libcuda: {said}"
    );
}

/// The files of a folder, sorted, without those of its folders.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found
}

fn hash_of_place(place: &Path) -> u64 {
    let mut hash = DefaultHasher::new();
    place.hash(&mut hash);
    hash.finish()
}

fn hash_of(files: &[PathBuf]) -> u64 {
    let mut hash = DefaultHasher::new();
    (FLAGS, LINK_FLAGS).hash(&mut hash);
    for file in files {
        (file.file_name(), fs::read(file).unwrap()).hash(&mut hash);
    }
    hash.finish()
}

/// What a case said and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Whether no test in it failed.
    pub(crate) passed: bool,
    /// What it said between the lines of the test harness.
    pub(crate) stdout: String,
    #[allow(dead_code, reason = "shown where a test fails")]
    pub(crate) stderr: String,
    /// The fake's report.
    pub(crate) report: serde_json::Value,
}

impl Outcome {
    /// What it said in lines that begin with `- `; fails where a test failed, or something was done that no program may do.
    pub(crate) fn lines(&self) -> String {
        assert!(self.passed, "{self:?}");
        assert_eq!(self.report["violations"], serde_json::json!([]));
        let lines = self.stdout.lines();
        let lines: Vec<&str> = lines.filter_map(|line| line.strip_prefix("- ")).collect();
        lines.join("\n")
    }
}

/// Runs an ignored test of this binary in a process of its own, whose driver is the fake; without cuBLASLt, NVRTC and cuDNN, unless the
/// environment says otherwise.
pub(crate) fn run(test: &str, environment: &[(&str, &str)]) -> Outcome {
    let report = tempfile::NamedTempFile::new().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            test,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("FOREBAY_LIBCUDA", library())
        .envs([NO_LIBRARY, NO_COMPILER, NO_CONVOLVER])
        .env("XDG_CACHE_HOME", cache.path())
        .env("FAKE_REPORT", report.path())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        stdout.contains("running 1 test"),
        "no test {test}: {stdout}{stderr}"
    );
    let written = fs::read(report.path()).unwrap();
    Outcome {
        passed: output.status.success(),
        report: serde_json::from_slice(&written)
            .unwrap_or_else(|error| panic!("no report of the fake ({error}): {stdout}{stderr}")),
        stdout,
        stderr,
    }
}

/// Runs a case in many random orders, each in a process of its own: it must pass in each, and do nothing that no program may do.
/// What each said is given back.
pub(crate) fn right_in_every_order(test: &str, environment: &[(&str, &str)]) -> Vec<Outcome> {
    let ran = in_orders(0..40, test, environment);
    for (seed, outcome) in (0..).zip(&ran) {
        assert!(outcome.passed, "seed {seed}: {outcome:?}");
        let left = &outcome.report["pieces_left"];
        assert_eq!(*left, 0, "seed {seed}: memory was not freed");
    }
    ran
}

/// Runs a case with what the fake is told to leave out, in many random orders: some must come out wrong, and by nothing else.
pub(crate) fn shows(skip: &str, test: &str, environment: &[(&str, &str)]) {
    let environment = [environment, &[("FAKE_SKIP", skip)]].concat();
    let ran = in_orders(0..16, test, &environment);
    let wrong = ran.iter().filter(|outcome| !outcome.passed).count();
    let orders = ran.len();
    assert!(wrong >= 2, "{skip}: wrong in {wrong} of {orders} orders");
}

fn in_orders(
    seeds: std::ops::Range<u32>,
    test: &str,
    environment: &[(&str, &str)],
) -> Vec<Outcome> {
    let run = |seed: u32| {
        let seed = seed.to_string();
        let outcome = run(test, &[environment, &[("FAKE_SEED", &*seed)]].concat());
        let violations = &outcome.report["violations"];
        assert_eq!(*violations, serde_json::json!([]), "seed {seed}");
        outcome
    };
    seeds.map(run).collect()
}
