//! Every fault of a file, of options and of a text, as an operator or a sender reads it.

use std::fmt::Write as _;

use super::*;

/// The sentence for a file with these bytes.
fn load(bytes: impl AsRef<[u8]>, change: impl FnOnce(&mut TextOptions)) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, bytes).expect("written");
    let mut options = TextOptions::new(&path);
    change(&mut options);
    let fault = TextStep::load(&path, &options).expect_err("a file or options to refuse");
    fault
        .to_string()
        .replace(&folder.path().display().to_string(), "DIR")
}

fn file(name: &str) -> String {
    std::fs::read_to_string(data(&format!("{name}.json"))).expect("readable")
}

/// The file with one key changed.
fn changed(name: &str, key: &str, value: serde_json::Value) -> String {
    let mut file: serde_json::Value = serde_json::from_str(&file(name)).expect("JSON");
    *file.pointer_mut(key).expect("a key of the file") = value;
    file.to_string()
}

fn without(name: &str, parent: &str, key: &str) -> String {
    let mut file: serde_json::Value = serde_json::from_str(&file(name)).expect("JSON");
    let parent = file
        .pointer_mut(parent)
        .and_then(|part| part.as_object_mut());
    parent.expect("a key of the file").remove(key);
    file.to_string()
}

fn told(cases: Vec<(&str, String)>) -> String {
    let mut text = String::new();
    for (case, said) in cases {
        writeln!(text, "{case}:\n  {said}").expect("written to memory");
    }
    text
}

#[test]
fn files_that_are_no_tokenizer() {
    let missing = TextStep::load("models/none.json".as_ref(), &TextOptions::new("none.json"));
    let folder = TextStep::load("tests/data".as_ref(), &TextOptions::new("tests/data"));
    let plain = |bytes: &str| load(bytes, |_| ());
    insta::assert_snapshot!(
        "files",
        told(vec![
            ("no file", missing.expect_err("no such file").to_string()),
            ("a folder", folder.expect_err("a folder").to_string()),
            ("an empty file", plain("")),
            (
                "vocab.txt",
                plain("[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n##ing\n")
            ),
            ("merges.txt", plain("#version: 0.2\nĠ t\nĠt he\n")),
            (
                "spiece.model",
                load(b"\x0a\x0e\x0a\x05<unk>\x15\xff\xfe\x00\x00\x18\x02", |_| ())
            ),
            ("half a file", plain(&file("wordpiece")[..200])),
            ("prose", plain("This is a tokenizer.\nIt is not.\n")),
            ("a number", plain("42")),
            (
                "tokenizer_config.json",
                plain(r#"{"do_lower_case": true, "tokenizer_class": "BertTokenizer"}"#)
            ),
            (
                "config.json",
                plain(r#"{"architectures": ["BertModel"], "hidden_size": 384}"#)
            ),
            (
                "special_tokens_map.json",
                plain(r#"{"unk_token": "[UNK]", "cls_token": "[CLS]"}"#)
            ),
            ("vocab.json", plain(r#"{"!": 0, "the": 1}"#)),
            (
                "sentence_bert_config.json",
                plain(r#"{"max_seq_length": 256, "do_lower": false}"#)
            ),
            ("an empty object", plain("{}")),
            ("another object", plain(r#"{"name": "x"}"#)),
        ])
    );
}

#[test]
fn tokenizers_that_are_damaged() {
    let plain = |bytes: String| load(bytes, |_| ());
    insta::assert_snapshot!(
        "damaged",
        told(vec![
            (
                "no vocabulary",
                plain(without("wordpiece", "/model", "vocab"))
            ),
            ("no merges", plain(without("byte_bpe", "/model", "merges"))),
            (
                "no unknown token",
                plain(without("wordpiece", "/model", "unk_token"))
            ),
            (
                "the model is text",
                plain(changed("unigram", "/model", "unigram".into()))
            ),
            (
                "another kind",
                plain(changed("unigram", "/model/type", "Morfessor".into()))
            ),
            (
                "another version",
                plain(changed("unigram", "/version", "2.0".into()))
            ),
            (
                "another normalizer",
                plain(changed("unigram", "/normalizer/type", "Magic".into()))
            ),
            (
                "a wrong merge",
                plain(changed(
                    "byte_bpe",
                    "/model/merges/0",
                    serde_json::json!(["x", "nowhere"])
                ))
            ),
            (
                "dropout",
                plain(changed(
                    "byte_bpe",
                    "/model/dropout",
                    serde_json::json!(0.1)
                ))
            ),
            (
                "an empty vocabulary",
                plain(changed("wordpiece", "/model/vocab", serde_json::json!({})))
            ),
            (
                "an added token with another id",
                plain(changed("wordpiece", "/added_tokens/2/id", 7.into()))
            ),
            (
                "a padding token with another id",
                plain(changed("minilm", "/padding/pad_id", 1.into()))
            ),
            (
                "no room",
                plain(changed("minilm", "/truncation/max_length", 2.into()))
            ),
        ])
    );
}

#[test]
fn options_that_do_not_fit() {
    let minilm = file("minilm");
    let no_names = file("wordpiece").replace("[PAD]", "[FILL]");
    insta::assert_snapshot!(
        "options",
        told(vec![
            ("no length", load(&minilm, |o| o.max_length = Some(0))),
            (
                "only special tokens",
                load(&minilm, |o| o.max_length = Some(2))
            ),
            (
                "too long",
                load(&minilm, |o| o.max_length = Some(usize::MAX))
            ),
            (
                "unknown padding",
                load(&minilm, |o| o.pad_token = Some("<pad>".to_owned()))
            ),
            ("no padding", load(no_names, |_| ())),
            ("no bytes", load(&minilm, |o| o.max_bytes = 0)),
        ])
    );
}

#[test]
fn options_are_read_strictly() {
    let read = |text: &str| serde_json::from_str::<TextOptions>(text);
    let full = r#"{"tokenizer": "t.json", "max_length": 8, "truncation": "reject", "padding": "max_length",
        "padding_side": "left", "pad_token": "<pad>", "add_special_tokens": false, "prefix": "query: ", "max_bytes": 9}"#;
    let expected = TextOptions {
        tokenizer: "t.json".into(),
        max_length: Some(8),
        truncation: Some(Truncation::Reject),
        padding: Padding::MaxLength,
        padding_side: Some(Side::Left),
        pad_token: Some("<pad>".to_owned()),
        add_special_tokens: false,
        prefix: "query: ".to_owned(),
        max_bytes: 9,
    };
    assert_eq!(read(full).expect("options"), expected);
    assert_eq!(
        read(r#"{"tokenizer": "t.json"}"#).expect("options"),
        TextOptions::new("t.json")
    );
    insta::assert_snapshot!(
        "strict",
        told(vec![
            ("no file", read("{}").expect_err("no file").to_string()),
            (
                "another key",
                read(r#"{"tokenizer": "t", "maxlen": 3}"#)
                    .expect_err("a key")
                    .to_string()
            ),
            (
                "another word",
                read(r#"{"tokenizer": "t", "truncation": "middle"}"#)
                    .expect_err("a word")
                    .to_string()
            ),
        ])
    );
}

#[test]
fn texts_that_are_rejected() {
    let mut out = Tokens::default();
    let mut said = |mut step: TextStep, text: &str| {
        let fault = step.run(text, &mut out).expect_err("a text to reject");
        format!("{}: {fault}", fault.kind())
    };
    let short = step("minilm", |o| o.truncation = Some(Truncation::Reject));
    let small = step("minilm", |o| o.max_bytes = 10);
    // Without a token for what it does not know, this one has no answer.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokenizer.json");
    std::fs::write(
        &path,
        changed("wordpiece", "/model/unk_token", "[NONE]".into()),
    )
    .expect("written");
    let unknown = TextStep::load(&path, &TextOptions::new(&path)).expect("a tokenizer");
    insta::assert_snapshot!(
        "texts",
        told(vec![
            ("too many tokens", said(short, &"water ".repeat(127))),
            ("too many bytes", said(small, "eleven byte")),
            ("unknown", said(unknown, "\u{10ffff}")),
        ])
    );
    assert_eq!(out, Tokens::default());
}
