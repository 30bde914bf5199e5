//! Names that a model's author chose, as YAML, as part of a comment, and as a word in a shell.

use std::fmt::Write as _;

/// The longest key that YAML takes on one line with its value, less some for the indent.
const KEY_MAX: usize = 1000;
/// The column in which comments begin.
const COMMENTS: usize = 38;
/// The longest name that a comment shows whole.
const SHOWN_MAX: usize = 40;

/// A name as a YAML key: as it is where no reader can take it for anything else.
pub(super) fn key(text: &str) -> String {
    const WORDS: [&str; 13] = [
        "true", "false", "yes", "no", "on", "off", "y", "n", "null", "none", "nan", "inf",
        "infinity",
    ];
    let mut letters = text.chars();
    let plain = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { quoted(text) }
}

/// A name and what it stands before.
pub(super) fn entry(indent: &str, name: &str, value: &str) -> String {
    let key = key(name);
    if key.len() > KEY_MAX {
        format!("{indent}? {key}\n{indent}: {value}")
    } else {
        format!("{indent}{key}: {value}")
    }
}

/// A name as a YAML value: a key in which `${` stands for itself.
pub(super) fn value(text: &str) -> String {
    key(&text.replace("${", "$${"))
}

/// Double quotes, and escapes for what does not print or would end a line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        let written = match letter {
            '"' | '\\' => write!(quoted, "\\{letter}"),
            '\n' => write!(quoted, "\\n"),
            '\t' => write!(quoted, "\\t"),
            _ if breaks(letter) => write!(quoted, "\\u{:04X}", u32::from(letter)),
            _ => write!(quoted, "{letter}"),
        };
        debug_assert!(written.is_ok(), "writing into a string");
    }
    quoted.push('"');
    quoted
}

/// Whether a letter may not stand in a line of YAML as it is. All such have four hex digits.
fn breaks(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}'..='\u{FFFF}'
        )
}

/// A text that stays on its line.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|letter| if breaks(letter) { ' ' } else { letter })
        .collect()
}

/// A name in a comment; a long one is cut.
pub(super) fn shown(text: &str) -> String {
    let line = one_line(text);
    match line.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// A path as a word of a command line.
pub(super) fn shell(text: &str) -> String {
    let plain =
        |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-' | '/' | '+');
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Writes a line, with a comment in its own column.
pub(super) fn line(yaml: &mut String, text: &str, comment: &str) {
    let last = text.rsplit('\n').next().unwrap_or_default().chars().count();
    let written = if comment.is_empty() {
        writeln!(yaml, "{text}")
    } else {
        let gap = " ".repeat(COMMENTS.saturating_sub(last).max(2));
        writeln!(yaml, "{text}{gap}# {}", one_line(comment))
    };
    debug_assert!(written.is_ok(), "writing into a string");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_yaml_needs_it() {
        for plain in ["X", "_0", "age.years", "float-input", "nothing"] {
            assert_eq!(key(plain), plain);
        }
        for (name, yaml) in [
            ("", r#""""#),
            ("Yes", r#""Yes""#),
            ("1e3", r#""1e3""#),
            ("a: b #c", r#""a: b #c""#),
            ("\"a\\\n\r\t", r#""\"a\\\n\u000D\t""#),
            ("ü\u{85}\u{2028}\u{7f}🐧", r#""ü\u0085\u2028\u007F🐧""#),
        ] {
            assert_eq!(key(name), yaml);
        }
        assert_eq!(key("${A}"), r#""${A}""#);
        assert_eq!(value("${A}"), r#""$${A}""#);
    }

    #[test]
    fn paths_are_quoted_where_a_shell_needs_it() {
        assert_eq!(shell("a/b-1.yaml"), "a/b-1.yaml");
        assert_eq!(shell("it's here.yaml"), r"'it'\''s here.yaml'");
    }
}
