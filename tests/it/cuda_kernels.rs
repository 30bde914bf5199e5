//! The CUDA kernels, as far as a machine without a GPU can show: they run on the host against references in double
//! precision (`tests/cuda/kernels/`), and the checked-in binary is made from these sources.

use std::process::Command;

/// What `cargo build` embeds.
const EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kernels.fatbin"));

fn python(arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let out = Command::new(&python)
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap_or_else(|error| panic!("{python}: {error}; set PYTHON to a Python 3.8 or newer"));
    let text = [out.stdout, out.stderr].concat();
    (
        out.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn kernels_give_what_the_references_give() {
    let (passed, text) = python(&["tests/cuda/kernels/run.py"], &[]);
    assert!(passed, "{text}");
}

#[test]
fn without_a_compiler_the_tests_say_so() {
    let (passed, text) = python(
        &["tests/cuda/kernels/run.py"],
        &[("CXX", "no-such-compiler")],
    );
    assert!(!passed);
    assert!(
        text.contains("the compiler `no-such-compiler` was not found: install it"),
        "{text}"
    );
}

#[test]
fn the_checked_in_fatbin_is_of_these_sources() {
    let (fresh, text) = python(&["scripts/kernels.py", "verify"], &[]);
    assert!(fresh, "{text}");
}

#[test]
fn what_is_embedded_is_the_checked_in_fatbin() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/kernels/prebuilt/kernels.fatbin"
    );
    assert!(std::fs::read(path).expect("kernels.fatbin") == EMBEDDED);
    assert_eq!(
        EMBEDDED[..4],
        0xBA55_ED50_u32.to_le_bytes(),
        "a fatbin's first word"
    );
    assert!(EMBEDDED.len() < 3 << 19, "{} bytes", EMBEDDED.len());
}

/// `build.rs` and `scripts/kernels.py` must come to the same digest, or a build would call fresh kernels stale.
#[test]
fn the_build_saw_the_sources_that_the_manifest_names() {
    let manifest = include_str!("../../kernels/prebuilt/MANIFEST");
    let hash = env!("FOREBAY_KERNELS_HASH");
    assert_eq!(hash.len(), 64);
    assert!(
        manifest.contains(&format!("sources {hash}\n")),
        "{manifest}"
    );
}

/// Every kernel of the list in `args.cuh` is defined once, and none is missing from the list.
#[test]
fn the_list_of_kernels_is_complete() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/kernels");
    let mut defined = Vec::new();
    for entry in std::fs::read_dir(root).expect("kernels").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().extension().is_none_or(|end| end != "cu") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).expect("a source");
        for part in text.split("extern \"C\" __global__ void ").skip(1) {
            let head = part.split('{').next().unwrap_or_default();
            let (before, args) = head.split_once("(const ").expect("one struct by value");
            // Behind `__launch_bounds__(256)`.
            let kernel = before
                .rsplit(' ')
                .next()
                .expect("a name")
                .split('(')
                .next()
                .expect("a name");
            let args = args.trim_start_matches("__grid_constant__ ");
            let args = args.split(' ').next().expect("a type");
            defined.push(format!("X({kernel}, {args})"));
        }
        assert!(
            name == "kernels.cu"
                || std::fs::read_to_string(format!("{root}/kernels.cu"))
                    .expect("kernels.cu")
                    .contains(&format!("#include \"{name}\"")),
            "kernels.cu leaves out {name}"
        );
    }
    let list = std::fs::read_to_string(format!("{root}/args.cuh")).expect("args.cuh");
    let list = list
        .split("#define FOREBAY_KERNELS(X)")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").next())
        .expect("the list");
    let mut listed: Vec<String> = list
        .match_indices("X(")
        .map(|(at, _)| list[at..].split(')').next().unwrap_or_default().to_owned() + ")")
        .collect();
    defined.sort();
    listed.sort();
    assert_eq!(listed, defined);
}

/// Sources, headers and tests of the kernels hold the same length as files of Rust.
#[test]
fn files_stay_short() {
    for folder in ["kernels", "tests/cuda/kernels", "tests/cuda/shim"] {
        let path = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
        for entry in std::fs::read_dir(&path).expect("a folder").flatten() {
            if let Ok(text) = std::fs::read_to_string(entry.path()) {
                let lines = text.lines().count();
                assert!(lines <= 400, "{}: {lines} lines", entry.path().display());
            }
        }
    }
}
