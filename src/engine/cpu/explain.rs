//! ONNX Runtime's errors in words for the person who has to do something about them.

use std::{fs, io::Read as _, path::Path};

use crate::engine::ModelError;

/// Why `path` cannot be a model, as far as the file system tells.
///
/// # Errors
/// It is not there, is no file, is empty or cannot be read.
pub(super) fn check_file(path: &Path) -> Result<(), ModelError> {
    let bad = |why: String| Err(about(path, &why));
    let data = match fs::metadata(path) {
        Ok(data) => data,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return bad("there is no such file".to_owned());
        }
        Err(error) => return bad(format!("the file cannot be read: {error}")),
    };
    if data.is_dir() {
        return bad("this is a folder; name the .onnx file in it".to_owned());
    }
    if data.len() == 0 {
        return bad("the file is empty".to_owned());
    }
    match fs::File::open(path) {
        Ok(_) => Ok(()),
        Err(error) => bad(format!("the file cannot be read: {error}")),
    }
}

/// An error about this model.
pub(super) fn about(path: &Path, why: &str) -> ModelError {
    ModelError::new(format!("model {}: {why}", path.display()))
}

/// Why ONNX Runtime would not load the model.
pub(super) fn load_failure(path: &Path, error: &ort::Error) -> ModelError {
    let words = clean(error.message());
    let unreadable = error.code() == ort::ErrorCode::InvalidProtobuf
        || words.contains("No graph was found in the protobuf");
    if unreadable {
        return about(path, &not_onnx(path));
    }
    if words.contains("is under development") || words.contains("Unsupported model IR version") {
        return about(path, &too_new(&words));
    }
    if words.contains("ort_value_name_idx_map") {
        return about(
            path,
            "its graph is empty: it has no inputs and computes nothing",
        );
    }
    if let Some(operator) = unknown_operator(&words) {
        return about(
            path,
            &format!(
                "it uses the operator {operator}, which this ONNX Runtime does not have; \
                 export the model without it, or with a lower target_opset"
            ),
        );
    }
    if let Some(locale) = missing_locale(&words) {
        return about(path, &no_locale(locale));
    }
    about(path, &format!("ONNX Runtime cannot load it: {words}"))
}

/// Whether a runtime with more operators, types or versions could do what this one refuses.
pub(super) fn is_not_supported(error: &ort::Error) -> bool {
    let words = clean(error.message());
    let type_is_refused =
        words.contains("Type Error: Type 'tensor(") && words.contains("is invalid");
    error.code() == ort::ErrorCode::NotImplemented
        || type_is_refused
        || words.contains("is under development")
        || words.contains("Unsupported model IR version")
        || words.contains("is not currently registered or supported")
        || unknown_operator(&words).is_some()
}

/// What an unreadable file looks like.
fn not_onnx(path: &Path) -> String {
    let size = fs::metadata(path)
        .map(|data| data.len())
        .unwrap_or_default();
    // What cannot be read looks like nothing in particular.
    let head = first_bytes(path).unwrap_or_default();
    match looks_like(&head) {
        Some(what) => format!("this is not an ONNX file, it looks like {what}"),
        // Every ONNX file begins with the field `ir_version`, a small number.
        None if head.first() == Some(&8) => format!(
            "the file begins like an ONNX model but is cut off or damaged (it has {size} bytes); fetch or export it again"
        ),
        None => "this is not an ONNX file".to_owned(),
    }
}

fn first_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    fs::File::open(path)?.take(512).read_to_end(&mut head)?;
    Ok(head)
}

/// What a file with these first bytes is, if it is something that people mistake for ONNX.
fn looks_like(head: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 13] = [
        (
            b"version https://git-lfs",
            "a Git LFS pointer: run `git lfs pull` to fetch the model itself",
        ),
        (
            b"PK\x03\x04",
            "a zip archive (PyTorch, Keras and savez files are such): export the model to ONNX",
        ),
        (b"\x89HDF", "an HDF5 file (Keras): export the model to ONNX"),
        (b"\x1f\x8b", "a gzip archive: unpack it"),
        (
            b"\x78\x9c",
            "a compressed joblib file: export the model to ONNX (skl2onnx)",
        ),
        (
            b"\x78\x5e",
            "a compressed joblib file: export the model to ONNX (skl2onnx)",
        ),
        (b"ZF", "a joblib file: export the model to ONNX (skl2onnx)"),
        (
            b"tree\nversion=",
            "a LightGBM text model: export it to ONNX (onnxmltools)",
        ),
        (
            b"binf",
            "an XGBoost binary model: export it to ONNX (onnxmltools)",
        ),
        (
            b"CBM1",
            "a CatBoost model: export it with save_model(format=\"onnx\")",
        ),
        (b"GGUF", "a GGUF file, which is for other programs"),
        (b"<", "HTML or XML, perhaps an error page of a download"),
        (b"{", "JSON (XGBoost saves such): export the model to ONNX"),
    ];
    if let Some((_, what)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(what);
    }
    if head.len() > 1 && head[0] == 0x80 && (2..=5).contains(&head[1]) {
        return Some("a Python pickle (joblib writes such): export the model to ONNX (skl2onnx)");
    }
    if head.get(4..8) == Some(b"TFL3") {
        return Some("a TensorFlow Lite model: export it to ONNX (tf2onnx)");
    }
    if head.get(8) == Some(&b'{')
        && head
            .get(1..8)
            .is_some_and(|length| length.ends_with(&[0; 4]))
    {
        return Some(
            "a safetensors file, which holds weights and no graph: export the model to ONNX",
        );
    }
    let text = head
        .iter()
        .all(|byte| matches!(byte, 9 | 10 | 13 | 32..=126 | 128..));
    text.then_some("a text file")
}

/// `Opset 99 is under development …` and `Unsupported model IR version: 99, max … 11`.
fn too_new(words: &str) -> String {
    let opset = between(words, "Opset ", " is under").zip(between(words, "till opset ", "."));
    let domain = between(words, "support for domain ", " is").unwrap_or("ai.onnx");
    let version =
        between(words, "IR version: ", ",").zip(between(words, "max supported IR version: ", ""));
    match (opset, version) {
        (Some((has, most)), _) => format!(
            "it is made for opset {has} of {domain}, and this ONNX Runtime knows {most} at most; \
             export it with target_opset {most} or lower, or use a newer ONNX Runtime"
        ),
        (None, Some((has, most))) => format!(
            "it is made for version {has} of the ONNX format, and this ONNX Runtime knows {most} at most; \
             save it with ir_version {most} or lower, or use a newer ONNX Runtime"
        ),
        (None, None) => format!("it is too new for this ONNX Runtime: {words}"),
    }
}

/// `No Op registered for X with …` and `Fatal error: domain:X(-1) is not a registered function/op`.
fn unknown_operator(words: &str) -> Option<String> {
    if let Some(name) = between(words, "No Op registered for ", " with ") {
        return Some(format!("`{name}`"));
    }
    let before = words.split(" is not a registered function/op").next()?;
    if before.len() == words.len() {
        return None;
    }
    let name = before.rsplit(' ').next()?;
    Some(format!(
        "`{}`",
        name.split('(')
            .next()
            .unwrap_or(name)
            .trim_start_matches(':')
    ))
}

/// `… Failed to construct locale with name:en_US.UTF-8:locale::facet … name not valid:…`
fn missing_locale(words: &str) -> Option<&str> {
    let name = between(words, "Failed to construct locale with name:", ":")?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_.-@".contains(letter);
    (!name.is_empty() && name.chars().all(plain)).then_some(name)
}

/// Small images come without the tables that upper and lower case are looked up in.
fn no_locale(name: &str) -> String {
    let language = name.split('.').next().unwrap_or(name);
    let short = language.split('_').next().unwrap_or(language);
    format!(
        "its StringNormalizer needs the locale {name}, which this system does not have; install it: on Debian and Ubuntu \
         `apt-get install locales && localedef -i {language} -f UTF-8 {name}` (or the package locales-all), \
         on Fedora and Red Hat `dnf install glibc-langpack-{short}`"
    )
}

/// What stands between the first `from` and the next `to` after it (or the end, for an empty `to`).
fn between<'a>(words: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = words.split_once(from)?;
    if to.is_empty() {
        return Some(rest.trim());
    }
    rest.split_once(to).map(|(inner, _)| inner)
}

/// ONNX Runtime's words on one line, without the places in its own source and the model's path.
pub(super) fn clean(message: &str) -> String {
    let mut words = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.starts_with("Load model from ")
        && let Some((_, rest)) = words.split_once(" failed:")
    {
        words = rest.to_owned();
    }
    if let Some((node, rest)) = between(&words, "returned while running ", " node.").zip(between(
        &words,
        "Status Message: ",
        "",
    )) {
        let name = between(&words, "Name:'", "'").filter(|name| !name.is_empty());
        let name = name.map(|name| format!(" `{name}`")).unwrap_or_default();
        words = format!("{node}{name}: {rest}");
    }
    while let Some(shorter) = without_source_place(&words) {
        words = shorter;
    }
    words.trim().to_owned()
}

/// Cuts out one `/path/file.cc:12 signature(of, a, function) const [with T = float]`.
fn without_source_place(words: &str) -> Option<String> {
    let start = words
        .match_indices('/')
        .map(|(at, _)| at)
        .filter(|at| *at == 0 || matches!(words.as_bytes().get(at - 1), Some(b' ' | b':')))
        .find(|at| {
            let place = words[*at..].split(' ').next().unwrap_or_default();
            place.rsplit_once(':').is_some_and(|(file, line)| {
                line.parse::<u32>().is_ok()
                    && [".cc", ".h", ".cpp", ".hpp"]
                        .iter()
                        .any(|end| file.ends_with(end))
            })
        })?;
    let (before, rest) = words.split_at(start);
    let (_, signature) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(format!(
        "{before}{}",
        after_signature(signature).trim_start()
    ))
}

/// What follows a C++ function signature; all of it where there is none.
fn after_signature(text: &str) -> &str {
    let Some(open) = text.find('(') else {
        return text;
    };
    if !text[..open].contains("::") {
        return text;
    }
    let mut rest = &text[open..];
    while rest.starts_with('(') {
        rest = after_closing(rest, '(', ')');
    }
    rest = rest.trim_start();
    rest = rest.strip_prefix("const ").unwrap_or(rest);
    if rest.starts_with("[with ") {
        rest = after_closing(rest, '[', ']');
    }
    rest
}

fn after_closing(text: &str, open: char, close: char) -> &str {
    let mut depth = 0usize;
    for (at, letter) in text.char_indices() {
        if letter == open {
            depth += 1;
        } else if letter == close {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return &text[at + close.len_utf8()..];
            }
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_the_engine_s_source_are_cut_out() {
        assert_eq!(
            clean(
                "Non-zero status code returned while running MatMul node. Name:'layer/mul' Status Message: \
                 /onnxruntime_src/onnxruntime/core/providers/cpu/math/matmul_helper.h:142 onnxruntime::common::Status \
                 onnxruntime::MatMulComputeHelper::Compute(const onnxruntime::TensorShape&, bool) const [with T = float] \
                 left operand cannot broadcast on dim 1\n"
            ),
            "MatMul `layer/mul`: left operand cannot broadcast on dim 1"
        );
        assert_eq!(clean("Got 3/4 of a/b.onnx: no"), "Got 3/4 of a/b.onnx: no");
    }

    #[test]
    fn a_locale_that_is_not_there_is_named() {
        let words = clean(
            "Exception during initialization: /onnxruntime_src/onnxruntime/core/providers/cpu/nn/string_normalizer.cc:87 \
             onnxruntime::string_normalizer::Locale::Locale(const string&) Failed to construct locale with \
             name:en_US.UTF-8:locale::facet::_S_create_c_locale name not valid:Please, install necessary language-pack-XX",
        );
        assert_eq!(missing_locale(&words), Some("en_US.UTF-8"));
        let said = no_locale("en_US.UTF-8");
        for part in [
            "needs the locale en_US.UTF-8",
            "localedef -i en_US -f UTF-8 en_US.UTF-8`",
            "glibc-langpack-en`",
        ] {
            assert!(said.contains(part), "{said}");
        }
        // What goes into a command is a name and nothing else.
        assert_eq!(
            missing_locale("Failed to construct locale with name:a `b`:x"),
            None
        );
    }

    #[test]
    fn what_is_not_onnx_is_named() {
        for (head, part) in [
            (&b"PK\x03\x04rest"[..], "zip"),
            (b"\x80\x04\x95", "pickle"),
            (b"\x89HDF\r\n", "HDF5"),
            (
                b"version https://git-lfs.github.com/spec/v1",
                "git lfs pull",
            ),
            (b"\x1c\0\0\0TFL3", "TensorFlow Lite"),
            (b"\x10\x01\0\0\0\0\0\0{\"a\"", "safetensors"),
            ("Grüße\n".as_bytes(), "text"),
        ] {
            assert!(
                looks_like(head).is_some_and(|what| what.contains(part)),
                "{part}"
            );
        }
        assert_eq!(looks_like(b"\x08\x0a\x12\x07skl2onnx\0"), None);
    }
}
