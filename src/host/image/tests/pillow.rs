//! Against the pixels that Pillow makes, by tests/data/images/make.py.

use serde::Deserialize;

use super::{file, run};
use crate::host::image::{ImageOptions, ImageStep};

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    file: String,
    /// How close it must be: `exact`, or the name of a format with loss.
    group: String,
    options: ImageOptions,
    shape: Vec<usize>,
    at: usize,
}

/// The cases, each with the expected bytes.
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

/// The largest and the mean difference.
fn difference(ours: &[u8], theirs: &[u8]) -> (u8, f64) {
    assert_eq!(ours.len(), theirs.len());
    let each = ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b));
    let sum: u64 = each.clone().map(u64::from).sum();
    (each.max().unwrap_or(0), sum as f64 / ours.len() as f64)
}

/// PNG, WebP (lossy too) and resampling: the very same. JPEG: two decoders need not agree to the
/// bit; the most seen is 4 levels at a pixel and 0.44 on average, where colour is at half the
/// resolution (4:2:0), and 2 and 0.03 where it is not.
#[test]
fn pixels_are_pillows() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (case, expected) in cases() {
        count += 1;
        let step = ImageStep::new(case.options.clone()).expect("good options");
        assert_eq!(step.row_shape(), case.shape, "{}", case.name);
        let ours = match run(case.options, &file(&case.file)) {
            Ok(ours) => ours,
            Err(fault) => {
                wrong.push(format!("{}: {fault}", case.name));
                continue;
            }
        };
        let (max, mean) = difference(&ours, &expected);
        let full_colour = case.name.contains("444")
            || case.name.contains("gray")
            || case.name.contains("keep_rgb");
        let good = match case.group.as_str() {
            "jpeg" if full_colour => max <= 2 && mean <= 0.03,
            "jpeg" => max <= 4 && mean <= 0.45,
            _ => max == 0,
        };
        if !good {
            wrong.push(format!("{}: max {max}, mean {mean:.3}", case.name));
        }
    }
    assert!(count > 100, "{count} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One step for all files, whatever was in its memory before.
#[test]
fn a_step_keeps_nothing_of_the_picture_before() {
    let options = ImageOptions::new([40, 50], crate::host::image::Fit::Crop);
    let files = [
        "q90_420.jpg",
        "rgba.png",
        "gray.jpg",
        "lossy.webp",
        "thin.png",
    ];
    let alone: Vec<_> = files
        .iter()
        .map(|name| run(options.clone(), &file(name)).expect("readable"))
        .collect();
    let mut step = ImageStep::new(options).expect("good options");
    let mut out = Vec::new();
    for round in 0..3 {
        for (name, alone) in files.iter().zip(&alone) {
            let whole = file(name);
            out.truncate(7);
            let begin = out.len();
            step.run(&whole, &mut out).expect("readable");
            assert_eq!(&out[begin..], alone, "{name}, round {round}");
            let before = out.clone();
            step.run(&whole[..whole.len() / 2], &mut out)
                .expect_err("half a file");
            assert_eq!(out, before, "{name}: nothing is appended on a fault");
        }
    }
}
