//! Equal to magika's own extraction (`tests/data/window/make.py`).

use std::fmt::Write as _;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

fn magika() -> WindowOptions {
    WindowOptions {
        head: 1024,
        tail: 1024,
        block: Some(4096),
        strip: true,
        pad: 256,
        min_bytes: 8,
    }
}

fn small(change: impl FnOnce(&mut WindowOptions)) -> WindowOptions {
    let mut options = WindowOptions {
        head: 4,
        tail: 3,
        block: None,
        strip: false,
        pad: -1,
        min_bytes: 0,
    };
    change(&mut options);
    options
}

fn window(options: WindowOptions, bytes: &[u8]) -> Vec<i32> {
    let mut out = Vec::new();
    let step = WindowStep::new(options).expect("good options");
    step.run(bytes, &mut out).expect("enough bytes");
    out
}

/// One value as the script writes it: pieces that are repeated, and what magika makes of it.
#[derive(Deserialize)]
struct Case {
    pieces: Vec<(Vec<u8>, usize)>,
    /// FNV-1a, 64 bits, over the numbers as little-endian 32-bit; null where magika asks no model.
    window: Option<String>,
}

#[derive(Deserialize)]
struct Cases {
    magika: Vec<Case>,
    small: Vec<Small>,
}

/// Head, tail, block, the bytes, and the window, in full.
type Small = (usize, usize, usize, Vec<u8>, Vec<i32>);

fn cases() -> Cases {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/window/expected.json"
    );
    serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON")
}

fn fingerprint(numbers: &[i32]) -> String {
    let hash = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
    format!("{hash:016x}")
}

#[test]
fn windows_are_those_of_magika() {
    let step = WindowStep::new(magika()).expect("good options");
    assert_eq!(step.width(), 2048);
    let (mut windows, mut rejects) = (0, 0);
    for (number, case) in cases().magika.into_iter().enumerate() {
        let bytes: Vec<u8> = case
            .pieces
            .iter()
            .flat_map(|(piece, times)| piece.repeat(*times))
            .collect();
        let mut out = Vec::new();
        let made = step.run(&bytes, &mut out);
        if let Some(window) = case.window {
            assert_eq!((made, out.len()), (Ok(()), 2048), "case {number}");
            assert_eq!(fingerprint(&out), window, "case {number}");
            windows += 1;
        } else {
            assert!(made.is_err() && out.is_empty(), "case {number}");
            rejects += 1;
        }
    }
    assert!(
        windows >= 50 && rejects >= 10,
        "{windows} windows, {rejects} rejects"
    );
}

#[test]
fn small_windows_are_those_of_magika() {
    let cases = cases().small;
    assert!(cases.len() >= 100);
    for (head, tail, block, bytes, expected) in cases {
        let options = WindowOptions {
            head,
            tail,
            block: Some(block),
            min_bytes: 0,
            ..magika()
        };
        assert_eq!(
            window(options, &bytes),
            expected,
            "{head} {tail} {block} {bytes:?}"
        );
    }
}

#[test]
fn sides_and_padding() {
    assert_eq!(
        window(small(|_| ()), b"abcdefgh"),
        [97, 98, 99, 100, 102, 103, 104]
    );
    assert_eq!(window(small(|_| ()), b"ab"), [97, 98, -1, -1, -1, 97, 98]);
    assert_eq!(window(small(|_| ()), b""), [-1; 7]);
    assert_eq!(window(small(|o| o.head = 0), b"\x00\xff "), [0, 255, 32]);
    assert_eq!(window(small(|o| o.tail = 0), b" \x0b"), [32, 11, -1, -1]);
    let strip = |o: &mut WindowOptions| o.strip = true;
    assert_eq!(
        window(small(strip), b" \t\n\x0b\x0c\ra b "),
        [97, 32, 98, 32, 97, 32, 98]
    );
    // U+0085 and U+00A0 are white space in text, not in bytes.
    assert_eq!(
        window(small(strip), b"\x85\xa0"),
        [133, 160, -1, -1, -1, 133, 160]
    );
}

#[test]
fn faults_say_what_to_do() {
    let mut told = String::new();
    let mut options = |change: fn(&mut WindowOptions)| {
        let fault = WindowStep::new(small(change)).expect_err("options to refuse");
        writeln!(told, "{fault}").expect("written to memory");
    };
    options(|o| (o.head, o.tail) = (0, 0));
    options(|o| o.tail = usize::MAX);
    options(|o| o.tail = WIDTH_MAX);
    options(|o| o.block = Some(0));
    options(|o| o.block = Some(3));
    options(|o| (o.head, o.block) = (0, Some(2)));
    options(|o| o.min_bytes = 5);
    options(|o| (o.head, o.min_bytes) = (0, 4));
    let mut value = |change: fn(&mut WindowOptions), bytes: &[u8]| {
        let step = WindowStep::new(small(change)).expect("good options");
        let fault = step
            .run(bytes, &mut Vec::new())
            .expect_err("a value to reject");
        writeln!(told, "{}: {fault}", fault.kind()).expect("written to memory");
    };
    value(|o| o.min_bytes = 2, b"x");
    value(|o| (o.min_bytes, o.strip) = (2, true), b"   x");
    let read = |text: &str| serde_json::from_str::<WindowOptions>(text);
    for text in [
        r#"{"head": 8}"#,
        r#"{"head": 8, "pad": 0, "middle": 8}"#,
        r#"{"head": -1, "pad": 0}"#,
    ] {
        let fault = read(text).expect_err("options to refuse");
        writeln!(told, "{fault}").expect("written to memory");
    }
    insta::assert_snapshot!("faults", told);
    let text =
        r#"{"head": 1024, "tail": 1024, "block": 4096, "strip": true, "pad": 256, "min_bytes": 8}"#;
    assert_eq!(read(text).expect("options"), magika());
}

proptest! {
    /// Any bytes and any good options give a row of the width, or nothing.
    #[test]
    fn any_bytes_give_a_row(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b' '), Just(b'\n')], 0..80),
        head in 0usize..20, tail in 0usize..20, block in prop::option::of(1usize..60),
        strip in any::<bool>(), pad in any::<i32>(), min_bytes in 0usize..12,
    ) {
        let options = WindowOptions { head, tail, block, strip, pad, min_bytes };
        if let Ok(step) = WindowStep::new(options) {
            let mut out = vec![7];
            let made = step.run(&bytes, &mut out);
            let rows = usize::from(made.is_ok());
            prop_assert_eq!(out.len(), 1 + rows * (head + tail));
            prop_assert_eq!(out[0], 7);
        }
    }
}
