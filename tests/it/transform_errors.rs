//! What `forebay transform` says, when it goes wrong and when it goes well.

use std::fmt::Write as _;

use crate::{
    cli::{err, forebay, out},
    support::examples::example,
    transform_formats::data,
    transform_rows::Place,
};

/// Runs it in a folder, and shows the exit code and all it says, without what differs each time.
fn said(place: &Place, args: &[&str]) -> String {
    let folder = place.pipeline.parent().expect("a folder");
    let mut all = vec!["transform", "steps.yaml"];
    all.extend(args);
    let ran = forebay(&all).current_dir(folder).output().expect("it runs");
    let mut shown = format!("$ {}\n", args.join(" "));
    shown += &out(&ran);
    shown += &err(&ran);
    let code = ran.status.code().unwrap_or_default();
    let _infallible = writeln!(shown, "exit {code}\n");
    timeless(&shown).replace(&data(""), "DATA/")
}

fn timeless(text: &str) -> String {
    let line = |line: &str| match (line.find(" in "), line.ends_with(" rows/s")) {
        (Some(at), true) => format!("{} in T s: N rows/s", &line[..at]),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list of mistakes")]
fn mistakes() {
    let place = Place::new();
    let bytes = std::fs::read(data("income.parquet")).expect("there");
    place.write("empty.jsonl", "");
    place.write("empty.csv", "");
    place.write("header.csv", "a,b\n");
    place.write("wrong.csv", "A,bb,V\n1,2,3\n");
    place.write("semicolons.csv", "a;b\n1;2\n");
    place.write("twice.csv", "a,a\n1,2\n");
    place.write("latin.csv", b"a,\xe9\n1,2\n");
    place.write(
        "quote.csv",
        format!("a,b\n1,2\n\"1,{}\n", "2\n".repeat(33 << 20)),
    );
    place.write("bad.csv", "a\n-1\n-2\nx\n");
    place.write("good.csv", "a\n1\n-2\n");
    place.write("truncated.parquet", &bytes[..bytes.len() / 2]);
    place.write("text.parquet", "a,b\n1,2\n");
    let mut damaged = std::fs::read(data("kinds.parquet")).expect("there");
    damaged[4..900].fill(0xff);
    place.write("damaged.parquet", damaged);
    std::fs::create_dir(place.at("folder.csv")).expect("made");
    let odd = data("odd.parquet");
    let mut shown = String::new();
    for args in [
        &["-i", "empty.jsonl", "-o", "o.csv"][..],
        &["-i", "empty.csv", "-o", "o.csv"],
        &["-i", "header.csv", "-o", "o.csv"],
        &["-i", "wrong.csv", "-o", "o.csv"],
        &["-i", "semicolons.csv", "-o", "o.csv"],
        &["-i", "twice.csv", "-o", "o.csv"],
        &["-i", "latin.csv", "-o", "o.csv"],
        &["-i", "quote.csv", "-o", "o.csv"],
        &["-i", "bad.csv", "-o", "o.csv"],
        &["-i", "bad.csv", "-o", "o.csv", "--max-rejects", "1"],
        &["-i", "missing.csv", "-o", "o.csv"],
        &["-i", "folder.csv", "-o", "o.csv"],
        &["-i", "truncated.parquet", "-o", "o.csv"],
        &["-i", "text.parquet", "-o", "o.csv"],
        &["-i", &odd, "-o", "o.csv"],
        &["-i", "-", "--input-format", "parquet", "-o", "o.csv"],
        &["-i", "good.csv", "-o", "no/such/folder.csv"],
        &["-i", "good.csv", "-o", "folder.csv"],
        &[
            "-i",
            "good.csv",
            "-o",
            "/dev/full",
            "--output-format",
            "csv",
        ],
        &[
            "-i",
            "good.csv",
            "-o",
            "/dev/full",
            "--output-format",
            "parquet",
        ],
        &[
            "-i",
            "good.csv",
            "-o",
            "o.csv",
            "--rejects",
            "no/such/folder.jsonl",
        ],
        &["-i", "good.csv", "-o", "good.csv"],
        &["-i", "good.csv", "-o", "o.csv", "--rejects", "./good.csv"],
        &["-i", "good.txt", "-o", "o.csv"],
        &["-i", "good.csv", "-o", "-", "--output-format", "parquet"],
        &["-i", "good.csv", "-o", "o.csv", "--outputs", "scald"],
        &[
            "-i",
            "good.csv",
            "-o",
            "o.csv",
            "--outputs",
            "probabilities",
        ],
        &["-i", "good.csv", "-o", "o.csv", "--outputs", "a,a"],
        &["-i", "good.csv", "-o", "o.csv", "--outputs", "row[9]"],
    ] {
        let all: Vec<&str> = args.iter().copied().chain(["--without-models"]).collect();
        shown += &said(&place, &all);
    }
    // What is wrong in the middle of a file is not always seen in the same words.
    let damaged = said(
        &place,
        &["-i", "damaged.parquet", "-o", "o.csv", "--without-models"],
    );
    assert!(
        damaged.contains("exit 1\n") || damaged.contains("exit 66\n"),
        "{damaged}"
    );
    shown += &said(&place, &["-i", "good.csv", "-o", "o.csv"]);
    insta::assert_snapshot!(shown);
    assert!(!place.at("o.csv").exists());
}

#[test]
fn fields_that_cannot_be_read_are_named() {
    let place = Place::new();
    let text = std::fs::read_to_string(&place.pipeline).expect("there");
    let mut shown = String::new();
    for (field, input) in [
        ("decimal", data("odd.parquet")),
        ("struct", data("odd.parquet")),
        ("latin", data("odd.parquet")),
    ] {
        let changed = text.replace(
            "  a: { dtype: f32, range: [0, 1e9] }",
            "  a: { dtype: f32, default: 1 }",
        );
        let changed = changed.replace("pass: [id]", &format!("pass: [{field}]"));
        std::fs::write(&place.pipeline, changed).expect("written");
        shown += &said(&place, &["-i", &input, "-o", "o.csv", "--without-models"]);
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn codecs_that_are_not_read_are_named() {
    let place = Place::new();
    let mut shown = String::new();
    for codec in ["gzip", "brotli", "lz4"] {
        let input = data(&format!("{codec}.parquet"));
        shown += &said(&place, &["-i", &input, "-o", "o.csv", "--without-models"]);
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn summaries() {
    let place = Place::new();
    place.write(
        "rows.csv",
        "a,bb,identity\n1,,1\n-2,,2\n3,,3\nx,,4\n-3,,5\n",
    );
    let mut shown = String::new();
    shown += &said(
        &place,
        &["-i", "rows.csv", "-o", "o.csv", "--without-models"],
    );
    shown += &said(
        &place,
        &[
            "-i",
            "rows.csv",
            "-o",
            "-",
            "--output-format",
            "jsonl",
            "--without-models",
            "--outputs",
            "a",
        ],
    );
    insta::assert_snapshot!(shown);
    let pipeline = example("income/pipeline.yaml");
    let sample = example("income/sample.jsonl");
    let args = [pipeline.to_str(), sample.to_str()].map(|path| path.expect("UTF-8"));
    let output = place.at("o.parquet");
    let output = output.to_str().expect("UTF-8");
    let ran = forebay(&["transform", args[0], "-i", args[1], "-o", output, "--json"]);
    let ran = { ran }.output().expect("it runs");
    assert_eq!(err(&ran), "");
    let mut summary: serde_json::Value = serde_json::from_str(&out(&ran)).expect("JSON");
    for key in ["seconds", "rows_per_second"] {
        assert!(
            summary[key].as_f64().is_some_and(|value| value > 0.0),
            "{summary}"
        );
        summary[key] = serde_json::json!(0);
    }
    assert_eq!(summary["output"], output);
    summary["output"] = serde_json::json!("o.parquet");
    insta::assert_snapshot!(summary);
}
