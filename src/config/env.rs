//! `${NAME}` and `${NAME:-default}` in scalars.

use std::env::VarError;

/// Gives the value of an environment variable.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a scalar could not be filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The part of the scalar that is wrong.
    pub(super) text: String,
    /// What is wrong with it.
    pub(super) message: String,
    /// What to do.
    pub(super) help: Option<String>,
}

/// Puts the environment's values in the place of `${NAME}`; `$${` stands for `${` itself. What
/// comes from the environment is not looked into again.
pub(super) fn fill(text: &str, lookup: Lookup<'_>) -> Result<String, Fault> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = &reference[2..];
            continue;
        }
        filled.push_str(before);
        let Some(end) = reference.find('}') else {
            return Err(Fault {
                text: reference.to_owned(),
                message: "`${` without its `}`".to_owned(),
                help: Some("write `$${` where the text itself has `${`".to_owned()),
            });
        };
        let (whole, after) = reference.split_at(end + 1);
        let inside = &whole[2..end];
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_name(name) {
            return Err(Fault {
                text: whole.to_owned(),
                message: format!("`${{{name}}}` does not name an environment variable"),
                help: Some(
                    "a name has letters, digits and `_`; write `$${` where the text itself has `${`"
                        .to_owned(),
                ),
            });
        }
        if let Err(VarError::NotUnicode(_)) = std::env::var(name) {
            return Err(Fault {
                text: whole.to_owned(),
                message: format!("the environment variable `{name}` is not UTF-8 text"),
                help: Some(format!("set `{name}` to text in UTF-8")),
            });
        }
        // As in a shell: `:-` also stands in for a variable that is set to nothing.
        let value = lookup(name).filter(|value| default.is_none() || !value.is_empty());
        match value.or_else(|| default.map(str::to_owned)) {
            Some(value) => filled.push_str(&value),
            None => {
                return Err(Fault {
                    text: whole.to_owned(),
                    message: format!("the environment variable `{name}` is not set"),
                    help: Some(format!(
                        "set `{name}`, or give a default: `${{{name}:-default}}`"
                    )),
                });
            }
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        let lookup = |name: &str| match name {
            "A" => Some("va${B}lue".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        fill(text, &lookup).map_err(|fault| fault.text)
    }

    #[test]
    fn variables_are_filled_in_once() {
        assert_eq!(filled("x${A}y"), Ok("xva${B}luey".to_owned()));
        assert_eq!(filled("${B:-de:-f}${B:-}"), Ok("de:-f".to_owned()));
        assert_eq!(filled("<${EMPTY}${EMPTY:-x}>"), Ok("<x>".to_owned()));
        assert_eq!(filled("$${A} costs $5"), Ok("${A} costs $5".to_owned()));
        assert_eq!(filled("$$${A}"), Ok("$${A}".to_owned()));
    }

    #[test]
    fn faults_name_the_part() {
        assert_eq!(filled("a ${B} c"), Err("${B}".to_owned()));
        assert_eq!(filled("a ${A c"), Err("${A c".to_owned()));
        assert_eq!(filled("${}"), Err("${}".to_owned()));
        assert_eq!(filled("${1A}"), Err("${1A}".to_owned()));
    }
}
