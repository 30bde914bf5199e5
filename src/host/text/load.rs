//! A text step from its file and options, with everything checked that can be.

use std::{
    fs::{self, File},
    io::Read as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use serde::Deserialize;
use serde_json::Value;
use tokenizers::{
    ModelWrapper, PaddingDirection, PostProcessor as _, Tokenizer, TruncationDirection,
    TruncationParams,
};

use super::{
    LoadFault, Side, TextOptions, TextStep, Truncation, guess,
    options::{MAX_LENGTH, Padding},
};

/// The largest files of public models have some 40 MB.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Three rows of so many numbers are 24 MiB.
const LENGTH_MAX: usize = 1 << 20;
/// Names that the padding token goes by, where a file does not say.
const PAD_NAMES: [&str; 2] = ["[PAD]", "<pad>"];

/// The parts of the file that the crate reads and does not show, or does not check.
#[derive(Deserialize)]
struct Declared {
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    model: Model,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
}

#[derive(Default, Deserialize)]
struct Model {
    /// Left out by old files.
    #[serde(rename = "type")]
    kind: Option<String>,
    dropout: Option<f32>,
}

impl TextStep {
    /// Reads the `tokenizer.json` at `path`, which is where `options.tokenizer` is from here.
    ///
    /// # Errors
    /// No such file, no tokenizer, one that gives ids by chance, or options that do not fit it.
    pub fn load(path: &Path, options: &TextOptions) -> Result<Self, LoadFault> {
        made(path, options).map_err(|why| LoadFault {
            path: path.to_path_buf(),
            why,
        })
    }
}

fn made(path: &Path, options: &TextOptions) -> Result<TextStep, String> {
    let bytes = read(path)?;
    let mut tokenizer = parse(&bytes)?;
    check(&tokenizer, &bytes)?;
    let max_length = max_length(&tokenizer, options)?;
    let (pad_id, padding_side) = padding(&tokenizer, options)?;
    let asked = options.truncation.unwrap_or_else(|| {
        let left = |cut: &TruncationParams| cut.direction == TruncationDirection::Left;
        if tokenizer.get_truncation().is_some_and(left) {
            Truncation::Left
        } else {
            Truncation::Right
        }
    });
    let direction = match asked {
        Truncation::Right => Some(TruncationDirection::Right),
        Truncation::Left => Some(TruncationDirection::Left),
        Truncation::Reject => None,
    };
    let truncation = direction.map(|direction| TruncationParams {
        direction,
        // The crate counts special tokens here even where rows have none.
        max_length: max_length.max(special_in_row(&tokenizer)),
        ..TruncationParams::default()
    });
    tokenizer
        .with_padding(None)
        .with_truncation(truncation)
        .map_err(|error| format!("max_length {max_length}: {error}"))?;
    if let Some(cut) = tokenizer.get_truncation_mut() {
        cut.max_length = max_length;
    }
    if options.max_bytes == 0 {
        return Err(
            "max_bytes is 0, so every text would be rejected; leave it out or raise it".into(),
        );
    }
    Ok(TextStep {
        max_length,
        padding_side,
        pad_id: i64::from(pad_id),
        add_special_tokens: options.add_special_tokens,
        scratch: String::new(),
        prefix: options.prefix.clone(),
        max_bytes: options.max_bytes,
        vocab_size: tokenizer.get_vocab_size(true),
        highest_id: highest_id(&tokenizer)?.max(pad_id),
        kind: match tokenizer.get_model() {
            ModelWrapper::BPE(_) => "BPE",
            ModelWrapper::WordPiece(_) => "WordPiece",
            ModelWrapper::WordLevel(_) => "WordLevel",
            ModelWrapper::Unigram(_) => "Unigram",
        },
        tokenizer,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unread = |error: std::io::Error| format!("the file cannot be read: {error}");
    let found = fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            "there is no such file; the path is relative to the pipeline file".to_owned()
        }
        _ => unread(error),
    })?;
    if found.is_dir() {
        return Err("this is a folder; name the tokenizer.json in it".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(unread)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!(
            "the file has more than {} MiB, which no tokenizer.json has; is it the model?",
            FILE_BYTES_MAX >> 20
        ));
    }
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Tokenizer, String> {
    // The crate takes some broken files for impossible.
    match catch_unwind(AssertUnwindSafe(|| Tokenizer::from_bytes(bytes))) {
        Ok(Ok(tokenizer)) => Ok(tokenizer),
        Ok(Err(error)) => Err(guess::why(bytes, &error.to_string())),
        Err(_) => Err(guess::why(bytes, "its parts contradict each other")),
    }
}

/// What the crate would pass over, and give other ids than the model was trained on.
fn check(tokenizer: &Tokenizer, bytes: &[u8]) -> Result<(), String> {
    let declared: Declared = serde_json::from_slice(bytes)
        .map_err(|error| format!("the tokenizer cannot be read: {error}"))?;
    // A file of a kind that the crate does not know passes for one that it knows and looks alike.
    if let Some(wrong) = declared.model.kind.and_then(|kind| guess::unknown(&kind)) {
        return Err(wrong);
    }
    let parts = [
        (
            &declared.normalizer,
            serde_json::to_value(tokenizer.get_normalizer()),
        ),
        (
            &declared.pre_tokenizer,
            serde_json::to_value(tokenizer.get_pre_tokenizer()),
        ),
        (
            &declared.post_processor,
            serde_json::to_value(tokenizer.get_post_processor()),
        ),
    ];
    for (written, read) in parts {
        let read = read.map_err(|error| format!("the tokenizer cannot be read: {error}"))?;
        if let Some(wrong) = guess::misread(written, &read) {
            return Err(wrong);
        }
    }
    if declared.model.dropout.is_some_and(|share| share > 0.0) {
        return Err(
            "`model.dropout` is not 0, so the same text would have other ids each time; set it to \
             null, as it is outside of training"
                .into(),
        );
    }
    if tokenizer.get_vocab_size(false) == 0 {
        return Err("`model.vocab` is empty, so no text would have tokens".to_owned());
    }
    for token in declared.added_tokens {
        let given = tokenizer.token_to_id(&token.content);
        if given != Some(token.id) {
            let given = given.map_or("none".to_owned(), |id| id.to_string());
            return Err(format!(
                "the added token {:?} has the id {} under `added_tokens`, but {given} by the \
                 vocabulary; the file was changed by hand or is damaged",
                token.content, token.id
            ));
        }
    }
    Ok(())
}

/// Special tokens that stand around each text.
fn special_in_row(tokenizer: &Tokenizer) -> usize {
    tokenizer
        .get_post_processor()
        .map_or(0, |processor| processor.added_tokens(false))
}

fn max_length(tokenizer: &Tokenizer, options: &TextOptions) -> Result<usize, String> {
    let named = tokenizer.get_truncation().map(|cut| cut.max_length);
    let (length, whose) = match (options.max_length, named) {
        (Some(length), _) => (length, "max_length"),
        (None, Some(length)) => (length, "`truncation.max_length`"),
        (None, None) => (MAX_LENGTH, "max_length"),
    };
    let special = if options.add_special_tokens {
        special_in_row(tokenizer)
    } else {
        0
    };
    if length <= special {
        return Err(format!(
            "{whose} is {length}, but each row has {special} special tokens; it must be at least {}",
            special + 1
        ));
    }
    if length > LENGTH_MAX {
        return Err(format!(
            "{whose} is {length}, more than the {LENGTH_MAX} tokens that a row can have; set \
             max_length to what the model takes"
        ));
    }
    Ok(length)
}

/// The id of the padding token, and where it goes.
fn padding(tokenizer: &Tokenizer, options: &TextOptions) -> Result<(u32, Side), String> {
    let Padding::MaxLength = options.padding;
    let file = tokenizer.get_padding();
    let side = options.padding_side.unwrap_or(match file {
        Some(padding) if matches!(padding.direction, PaddingDirection::Left) => Side::Left,
        _ => Side::Right,
    });
    if let Some(token) = &options.pad_token {
        let id = tokenizer.token_to_id(token).ok_or_else(|| {
            let special = special_tokens(tokenizer);
            format!(
                "pad_token {token:?} is not in its vocabulary; its special tokens are {special}"
            )
        })?;
        return Ok((id, side));
    }
    if let Some(padding) = file {
        return match tokenizer.token_to_id(&padding.pad_token) {
            Some(id) if id == padding.pad_id => Ok((id, side)),
            id => Err(format!(
                "`padding` says that {:?} has the id {}, but by the vocabulary it has {}; name the \
                 right one with pad_token",
                padding.pad_token,
                padding.pad_id,
                id.map_or("none".to_owned(), |id| id.to_string())
            )),
        };
    }
    let found: Vec<u32> = PAD_NAMES
        .iter()
        .filter_map(|name| tokenizer.token_to_id(name))
        .collect();
    match found[..] {
        [id] => Ok((id, side)),
        _ => Err(format!(
            "it does not say which token fills a row up; name it with pad_token; its special \
             tokens are {}",
            special_tokens(tokenizer)
        )),
    }
}

fn special_tokens(tokenizer: &Tokenizer) -> String {
    let mut tokens: Vec<_> = tokenizer.get_added_tokens_decoder().into_iter().collect();
    tokens.sort_by_key(|(id, _)| *id);
    let shown: Vec<_> = tokens
        .iter()
        .filter(|(_, token)| token.special)
        .map(|(_, token)| format!("{:?}", token.content))
        .take(12)
        .collect();
    if shown.is_empty() {
        return "none".to_owned();
    }
    shown.join(", ")
}

/// The highest id of the vocabulary, or of the template around each text, which brings its own.
fn highest_id(tokenizer: &Tokenizer) -> Result<u32, String> {
    let empty = catch_unwind(AssertUnwindSafe(|| tokenizer.encode_fast("", true)))
        .map_err(|_| "its parts contradict each other".to_owned())?
        .map_err(|error| format!("it cannot split an empty text: {error}"))?;
    let vocabulary = tokenizer.get_vocab(true);
    let ids = vocabulary.values().chain(empty.get_ids());
    Ok(ids.copied().max().unwrap_or_default())
}
