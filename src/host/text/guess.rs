//! What a file is that is no `tokenizer.json`: the names of the files around it are easily mixed up.

use serde_json::{Map, Value};

/// Where the right file comes from.
const RIGHT_FILE: &str = "give the tokenizer.json of the same model; where there is none, \
    `AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)` of Python's transformers writes it";

/// Keys that give another file away, and what that file is called.
const OTHERS: [(&str, &str); 7] = [
    ("tokenizer_class", "a tokenizer_config.json"),
    ("model_max_length", "a tokenizer_config.json"),
    ("do_lower_case", "a tokenizer_config.json"),
    ("hidden_size", "a model's config.json"),
    ("architectures", "a model's config.json"),
    ("model_type", "a model's config.json"),
    ("max_seq_length", "a sentence_bert_config.json"),
];

/// Kinds of tokenizers, and what each needs under `model`.
const KINDS: [(&str, &[&str]); 4] = [
    ("WordPiece", &["vocab", "unk_token"]),
    ("BPE", &["vocab", "merges"]),
    ("Unigram", &["vocab"]),
    ("WordLevel", &["vocab", "unk_token"]),
];

/// Why these bytes are no tokenizer; `said` is what the crate says.
pub(super) fn why(bytes: &[u8], said: &str) -> String {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return format!("the file is empty; {RIGHT_FILE}");
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return format!(
            "the file is not text; it may be a SentencePiece model (sentencepiece.bpe.model, \
             spiece.model); {RIGHT_FILE}"
        );
    };
    match serde_json::from_str(text) {
        Err(error) => match list(text) {
            Some(file) => format!("this is {file}; {RIGHT_FILE}"),
            None => format!("the file is not JSON: {error}; {RIGHT_FILE}"),
        },
        Ok(Value::Object(keys)) => object(&keys, said),
        Ok(_) => format!("this is JSON, but not an object; {RIGHT_FILE}"),
    }
}

/// A list of tokens, one to a line.
fn list(text: &str) -> Option<&'static str> {
    if text.starts_with("#version") {
        return Some("a merges.txt, one half of a BPE tokenizer");
    }
    let mut lines = text.lines().take(1_000);
    (text.lines().nth(1).is_some() && lines.all(|line| !line.contains(['{', '}', ' '])))
        .then_some("a list of tokens, a vocab.txt")
}

fn object(keys: &Map<String, Value>, said: &str) -> String {
    let Some(model) = keys.get("model") else {
        let file = OTHERS
            .iter()
            .find(|(key, _)| keys.contains_key(*key))
            .map(|(_, file)| *file)
            .or_else(|| {
                let numbers = !keys.is_empty() && keys.values().all(Value::is_u64);
                numbers.then_some("a vocab.json, one half of a tokenizer")
            })
            .or_else(|| {
                let named = [
                    "unk_token",
                    "cls_token",
                    "pad_token",
                    "bos_token",
                    "eos_token",
                ];
                let special = named.iter().any(|key| keys.contains_key(*key));
                special.then_some("a special_tokens_map.json")
            });
        return match file {
            Some(file) => format!("this is {file}; {RIGHT_FILE}"),
            None => format!("the key `model` is missing, so this is no tokenizer; {RIGHT_FILE}"),
        };
    };
    part(model).unwrap_or_else(|| format!("the tokenizer cannot be read: {said}"))
}

/// What is missing under `model`.
fn part(model: &Value) -> Option<String> {
    let Some(model) = model.as_object() else {
        return Some(format!(
            "`model` is not an object, so this is no tokenizer; {RIGHT_FILE}"
        ));
    };
    let kind = model.get("type")?.as_str()?;
    if let Some(wrong) = unknown(kind) {
        return Some(wrong);
    }
    let (name, needed) = KINDS.iter().find(|(name, _)| kind == *name)?;
    let missing = needed.iter().find(|key| !model.contains_key(**key))?;
    Some(format!(
        "the key `model.{missing}` is missing, which a {name} tokenizer must have; {RIGHT_FILE}"
    ))
}

/// The sentence about a kind of tokenizer that is not known; `None` for one that is.
pub(super) fn unknown(kind: &str) -> Option<String> {
    let names: Vec<_> = KINDS.iter().map(|(name, _)| *name).collect();
    (!names.contains(&kind)).then(|| {
        format!(
            "`model.type` is {kind:?}, which forebay does not know; it knows {}",
            names.join(", ")
        )
    })
}

/// A part of the file that the crate does not know passes for one that it knows and looks alike;
/// the sentence about the first whose `type` was `read` as another.
pub(super) fn misread(written: &Value, read: &Value) -> Option<String> {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            if let (Some(Value::String(kind)), Some(found)) =
                (written.get("type"), read.get("type"))
                && found != kind
            {
                return Some(format!(
                    "it has a part of the type {kind:?}, which forebay does not know and would take \
                     for {found}; it may be of another tokenizer's library"
                ));
            }
            written
                .iter()
                .find_map(|(key, part)| misread(part, read.get(key)?))
        }
        (Value::Array(written), Value::Array(read)) => written
            .iter()
            .zip(read)
            .find_map(|(written, read)| misread(written, read)),
        _ => None,
    }
}
