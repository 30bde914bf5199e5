//! `forebay new` with models of pictures and of texts: the steps that it proposes around them.

use std::{fs, path::PathBuf};

use forebay::host::text::{TextOptions, TextStep, Tokens};
use serde_json::{Value, json};

use crate::{
    cli::{err, run},
    engine::{folder, lines},
    engine_onnx::{FLOAT, INT64, Proto, model, model_with, node, number, tensor, value},
    new_names::copies,
    new_runs::{from_file_to_file, with_blocks},
};

/// One red pixel, as a PNG file.
const RED: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";
/// The element type of bytes.
const UINT8: i64 = 2;
/// The element type of narrower whole numbers.
const INT32: i64 = 6;

/// A folder with a model and other files in it, and what `new` wrote there.
struct Place {
    folder: tempfile::TempDir,
    yaml: String,
}

impl Place {
    fn new(name: &str, model: &[u8], beside: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("{name}.onnx"));
        fs::write(&path, model).unwrap();
        for (name, file) in beside {
            fs::write(folder.path().join(name), file).unwrap();
        }
        let output = run(&["new", &path.to_string_lossy()]);
        assert!(output.status.success(), "{}", err(&output));
        let yaml = fs::read_to_string(folder.path().join("pipeline.yaml")).unwrap();
        let place = Self { folder, yaml };
        place.checks(&place.yaml);
        place
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("pipeline.yaml")
    }

    /// This file, in the place of the one that was written, is right.
    fn checks(&self, yaml: &str) {
        fs::write(self.file(), yaml).unwrap();
        let output = run(&["check", &self.file().to_string_lossy()]);
        assert!(output.status.success(), "{}\n{yaml}", err(&output));
    }

    /// What the file answers to one row, with its ends moved to files.
    fn answer(&self, row: &Value) -> Value {
        let yaml = from_file_to_file(&self.yaml);
        // A picture is no line.
        let yaml = with_blocks(&yaml, &[("decode:", "decode: { json: {} }\n")]);
        fs::write(self.file(), &yaml).unwrap();
        let at = |name: &str| self.folder.path().join(name);
        fs::write(at("rows.jsonl"), format!("{row}\n")).unwrap();
        let output = run(&["run", &self.file().to_string_lossy()]);
        assert!(output.status.success(), "{}\n{yaml}", err(&output));
        let dead = fs::read_to_string(at("dead.jsonl")).unwrap_or_default();
        assert!(dead.is_empty(), "{dead:.300}\n{yaml}");
        lines(&at("results.jsonl")).remove(0)
    }
}

/// The file with the steps in it that only stand there as comments.
fn uncommented(yaml: &str) -> String {
    let (head, steps) = yaml.split_once("\nsteps:\n").unwrap();
    let steps = steps.replace("  #  - ", "  - ").replace("  #    ", "    ");
    format!("{head}\nsteps:\n{steps}")
}

fn near(got: &Value, want: &[f64]) -> bool {
    let got = got.as_array().unwrap();
    let pairs = got.iter().zip(want);
    got.len() == want.len()
        && pairs
            .into_iter()
            .all(|(a, b)| (a.as_f64().unwrap() - b).abs() < 1e-5)
}

fn ints(name: &str, values: &[i64]) -> Proto {
    let of = Proto::new().bytes(1, name).int(20, 7);
    values
        .iter()
        .fold(of, |attribute, value| attribute.int(8, *value))
}

/// A constant list of whole numbers.
fn list(name: &str, values: &[i64]) -> Proto {
    let size = i64::try_from(values.len()).unwrap();
    let of = Proto::new().int(1, size).int(2, INT64).bytes(8, name);
    values
        .iter()
        .fold(of, |tensor, value| tensor.int(7, *value))
}

/// The mean of each channel, as the score of a class.
fn means(element: i64, dims: &[&str], axes: &[i64], softmax: bool) -> Vec<u8> {
    let mut nodes = vec![node(
        "Cast",
        "",
        &["picture"],
        &["floats"],
        &[number("to", 1)],
    )];
    let attributes = [ints("axes", axes), number("keepdims", 0)];
    let mean = |to| node("ReduceMean", "", &["floats"], &[to], &attributes);
    if softmax {
        nodes.push(mean("mean"));
        nodes.push(node("Softmax", "", &["mean"], &["scores"], &[]));
    } else {
        nodes.push(mean("scores"));
    }
    let classes = if dims.contains(&"1") { "1" } else { "3" };
    model(
        &nodes,
        &[value("picture", &tensor(element, dims))],
        &[value("scores", &tensor(FLOAT, &["n", classes]))],
    )
}

#[test]
fn a_classifier_of_pictures_of_any_size() {
    let file = means(FLOAT, &["n", "3", "h", "w"], &[2, 3], false);
    let labels = "red\ngreen\r\nlight: blue\n";
    let place = Place::new("colours", &file, &[("labels.txt", labels.as_bytes())]);
    insta::assert_snapshot!(place.yaml);
    let answer = place.answer(&json!({ "image": RED }));
    assert_eq!(answer["label"], "red");
    // softmax([(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0 - 0.406) / 0.225])
    let want = [0.969_797_705_8, 0.013_362_668_9, 0.016_839_625_3];
    assert!(near(&answer["probabilities"], &want), "{answer}");
}

#[test]
fn a_classifier_whose_channels_come_last_and_whose_scores_are_probabilities() {
    let file = means(FLOAT, &["n", "48", "40", "3"], &[1, 2], true);
    let place = Place::new("colours", &file, &[("labels.txt", b"red\ngreen\n")]);
    insta::assert_snapshot!(place.yaml);
    let answer = place.answer(&json!({ "image": RED }));
    assert_eq!(answer["label"], 0);
    let want = [0.969_797_705_8, 0.013_362_668_9, 0.016_839_625_3];
    assert!(near(&answer["scores"], &want), "{answer}");
}

#[test]
fn a_model_that_takes_the_bytes_of_pixels() {
    let file = means(UINT8, &["n", "3", "32", "32"], &[2, 3], false);
    let place = Place::new("colours", &file, &[]);
    assert!(!place.yaml.contains("normalize"), "{}", place.yaml);
    let answer = place.answer(&json!({ "image": RED }));
    assert!(near(&answer["probabilities"], &[1.0, 0.0, 0.0]), "{answer}");
}

#[test]
fn a_gray_picture() {
    let file = means(FLOAT, &["n", "1", "28", "28"], &[2, 3], false);
    let place = Place::new("gray", &file, &[]);
    for part in ["channels: gray", "normalize: { scale: 255, layout: chw }"] {
        assert!(place.yaml.contains(part), "{part}\n{}", place.yaml);
    }
    // Pillow's luma of red is 76.
    let answer = place.answer(&json!({ "image": RED }));
    let score = answer["scores"].as_f64().unwrap();
    assert!((score - 76.0 / 255.0).abs() < 1e-5, "{answer}");
}

#[test]
fn a_model_that_scales_its_pixels_itself() {
    let of = tensor(FLOAT, &["n", "3", "16", "16"]);
    let half = Proto::new().int(2, FLOAT).bytes(9, 0.5_f32.to_le_bytes());
    let attributes = [ints("axes", &[2, 3]), number("keepdims", 0)];
    let file = model_with(
        &[
            node("Mul", "", &["x", "half"], &["less"], &[]),
            node("ReduceMean", "", &["less"], &["embedding"], &attributes),
        ],
        &[half.bytes(8, "half")],
        &[value("x", &of)],
        &[value("embedding", &tensor(FLOAT, &["n", "3"]))],
    );
    let place = Place::new("vectors", &file, &[]);
    assert!(place.yaml.contains("it begins with Mul"), "{}", place.yaml);
    let answer = place.answer(&json!({ "image": RED }));
    assert_eq!(answer, json!({ "vector": [1.0, 0.0, 0.0] }));
}

#[test]
fn a_detector() {
    let file = model_with(
        &[node("Reshape", "", &["images", "shape"], &["output0"], &[])],
        &[list("shape", &[0, 6, -1])],
        &[value("images", &tensor(FLOAT, &["n", "3", "32", "32"]))],
        &[value("output0", &tensor(FLOAT, &["n", "6", "512"]))],
    );
    let place = Place::new("detector", &file, &[]);
    insta::assert_snapshot!(place.yaml);
    let whole = uncommented(&place.yaml);
    let whole = whole.replace("      output0: output0 ", "      scores: found.scores ");
    assert!(whole.contains("\n  - nms:") && whole.contains("found.scores "));
    place.checks(&whole);
}

/// `[n, tokens, 2]`: each token's id, and a 1 where it is text; or the mean of these over the tokens.
fn encoder(element: i64, tokens: &str, classes: bool) -> Vec<u8> {
    let inputs = ["input_ids", "attention_mask"];
    let mut nodes = Vec::new();
    for (input, [float, column]) in inputs.iter().zip([["a", "b"], ["c", "d"]]) {
        nodes.push(node("Cast", "", &[input], &[float], &[number("to", 1)]));
        nodes.push(node("Unsqueeze", "", &[float, "last"], &[column], &[]));
    }
    let output = if classes {
        let attributes = [ints("axes", &[1]), number("keepdims", 0)];
        nodes.push(node(
            "Concat",
            "",
            &["b", "d"],
            &["e"],
            &[number("axis", 2)],
        ));
        nodes.push(node("ReduceMean", "", &["e"], &["logits"], &attributes));
        value("logits", &tensor(FLOAT, &["n", "2"]))
    } else {
        let axis = number("axis", 2);
        nodes.push(node(
            "Concat",
            "",
            &["b", "d"],
            &["last_hidden_state"],
            &[axis],
        ));
        value("last_hidden_state", &tensor(FLOAT, &["n", tokens, "2"]))
    };
    let of = tensor(element, &["n", tokens]);
    model_with(
        &nodes,
        &[list("last", &[2])],
        &inputs.map(|input| value(input, &of)),
        &[output],
    )
}

fn tokenizer() -> PathBuf {
    folder("tests/data/text").join("wordpiece.json")
}

#[test]
fn an_encoder_of_texts() {
    const TEXT: &str = "The quick brown fox";
    let file = encoder(INT64, "tokens", false);
    let json = fs::read(tokenizer()).unwrap();
    let place = Place::new("encoder", &file, &[("tokenizer.json", &json)]);
    insta::assert_snapshot!(place.yaml);
    let answer = place.answer(&json!({ "text": TEXT }));
    let mut step = TextStep::load(&tokenizer(), &TextOptions::new(tokenizer())).unwrap();
    let mut tokens = Tokens::default();
    step.run(TEXT, &mut tokens).unwrap();
    let ids = tokens.input_ids.iter().zip(&tokens.attention_mask);
    let sum: i64 = ids.map(|(id, mask)| id * mask).sum();
    let mean = sum as f64 / tokens.lengths[0] as f64;
    let length = mean.hypot(1.0);
    assert!(
        near(&answer["vector"], &[mean / length, 1.0 / length]),
        "{answer}"
    );
}

#[test]
fn a_classifier_of_texts() {
    let file = encoder(INT64, "16", true);
    let json = fs::read(tokenizer()).unwrap();
    let beside: [(&str, &[u8]); 2] = [("tokenizer.json", &json), ("labels.txt", b"bad\ngood")];
    let place = Place::new("mood", &file, &beside);
    insta::assert_snapshot!(place.yaml);
    let answer = place.answer(&json!({ "text": "words" }));
    // Ids are larger than 1.
    assert_eq!(answer["label"], "bad");
}

#[test]
fn an_encoder_that_cannot_have_the_step_is_a_table_with_a_reason() {
    let json = fs::read(tokenizer()).unwrap();
    let note = |place: &Place| {
        let mut lines = place.yaml.lines();
        let note = lines.find(|line| line.starts_with("# It looks like"));
        note.unwrap()
            .replace(&*place.folder.path().to_string_lossy(), "FOLDER")
    };
    let none = Place::new("a", &encoder(INT64, "16", false), &[]);
    let narrow = encoder(INT32, "16", false);
    let narrow = Place::new("b", &narrow, &[("tokenizer.json", &json)]);
    let broken = encoder(INT64, "16", false);
    let broken = Place::new("c", &broken, &[("tokenizer.json", b"{}")]);
    let notes = [none, narrow, broken].map(|place| note(&place));
    insta::assert_snapshot!(notes.join("\n"));
}

#[test]
fn the_steps_that_a_table_is_shown_are_right() {
    let place = Place::new("table", &copies(&[("X", "Y")], "4"), &[]);
    let whole = uncommented(&place.yaml);
    let fields = "fields:\n  age: { nullable: true }\n  height: {}\n  state: { dtype: string }\n";
    let whole = with_blocks(&whole, &[("fields:", fields)]);
    let whole = whole.replace("      X: X\n", "      X: [scaled, state_columns]\n");
    assert!(whole.contains("\n  - impute:") && whole.contains("[scaled, state_columns]"));
    place.checks(&whole);
}
