//! Against Pillow, on the files that tests/data/images/make.py writes.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use serde::Deserialize;

use super::{Channels, Filter, Fit, ImageFault, ImageOptions, ImageStep};

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    file: String,
    group: String,
    options: ImageOptions,
    shape: Vec<usize>,
    at: usize,
}

pub(super) fn file(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/images");
    fs::read(path.join(name)).expect("a test image")
}

fn cases() -> Vec<(Case, Vec<u8>)> {
    let cases: Vec<Case> = serde_json::from_slice(&file("cases.json")).expect("cases");
    let expected = file("expected.bin");
    cases
        .into_iter()
        .map(|case| {
            let len: usize = case.shape.iter().product();
            let pixels = expected[case.at..case.at + len].to_vec();
            (case, pixels)
        })
        .collect()
}

pub(super) fn run(options: ImageOptions, bytes: &[u8]) -> Result<Vec<u8>, ImageFault> {
    let mut out = Vec::new();
    ImageStep::new(options)
        .expect("good options")
        .run(bytes, &mut out)?;
    Ok(out)
}

/// The largest and the mean difference.
fn difference(ours: &[u8], theirs: &[u8]) -> (u8, f64) {
    assert_eq!(ours.len(), theirs.len());
    let each = ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b));
    let sum: u64 = each.clone().map(u64::from).sum();
    (each.max().unwrap_or(0), sum as f64 / ours.len() as f64)
}

#[test]
fn print_differences() {
    for (case, expected) in cases() {
        match run(case.options, &file(&case.file)) {
            Ok(ours) => {
                let (max, mean) = difference(&ours, &expected);
                if max > 0 || case.group != "exact" { println!("{:24} {:8} max {max:3} mean {mean:.4}", case.name, case.group); }
            }
            Err(e) => println!("{:24} {}", case.name, e),
        }
    }
}
