//! Equal to scikit-learn's hashes (`tests/data/hash/make.py`).

use serde::Deserialize;

use super::*;

fn options(places: usize) -> HashOptions {
    HashOptions {
        places,
        prefix: String::new(),
        form: None,
        signed: None,
    }
}

#[derive(Deserialize)]
struct Cases {
    /// Texts with their hashes.
    hashes: Vec<(String, i32)>,
    rows: Vec<Row>,
}

/// What `FeatureHasher` makes of one text.
#[derive(Deserialize)]
struct Row {
    places: usize,
    prefix: String,
    text: String,
    signed: bool,
    place: usize,
    number: f32,
}

fn cases() -> Cases {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/hash/expected.json");
    let text = std::fs::read_to_string(path).expect("make.py wrote it");
    serde_json::from_str(&text).expect("of this form")
}

#[test]
fn hashes_are_those_of_scikit_learn() {
    let cases = cases().hashes;
    assert!(cases.len() > 50);
    for (text, hash) in cases {
        assert_eq!(murmur3(text.as_bytes()).cast_signed(), hash, "{text:?}");
    }
}

#[test]
fn rows_are_those_of_its_feature_hasher() {
    let rows = cases().rows;
    assert!(rows.iter().any(|row| row.number < 0.0));
    for row in rows {
        let mut step = HashStep::new(HashOptions {
            prefix: row.prefix,
            signed: Some(row.signed),
            ..options(row.places)
        })
        .expect("good options");
        assert_eq!(
            step.run(&row.text),
            (row.place, row.number),
            "{:?}",
            row.text
        );
    }
}

#[test]
fn options_that_cannot_be() {
    let place = HashOptions {
        form: Some(Form::Place),
        signed: Some(false),
        ..options(8)
    };
    let said: Vec<String> = [options(0), options(PLACES_MAX + 1), place]
        .into_iter()
        .map(|options| {
            HashStep::new(options)
                .map(drop)
                .expect_err("bad options")
                .to_string()
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}
