//! Covers the secrets in the text of a pipeline file before any of it is shown.
//!
//! This works on lines, not on the YAML tree: a file that is no YAML is shown too.

use std::ops::Range;

/// Keys whose values are secrets wherever they stand.
const SECRET_KEYS: [&str; 2] = ["password", "token"];

/// The text with every secret's letters replaced by `*` (positions stay as they are), and the
/// secrets.
pub(super) fn cover(text: &str) -> (String, Vec<String>) {
    let mut ranges = Vec::new();
    let mut start = 0;
    // Indentation of the secret key, and of the `auth` key, that deeper lines belong to.
    let mut secret: Option<usize> = None;
    let mut auth: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let body = line.trim_end();
        let indent = body.len() - body.trim_start().len();
        let belongs =
            |outer: Option<usize>| outer.filter(|outer| indent > *outer || body.is_empty());
        (secret, auth) = (belongs(secret), belongs(auth));
        if secret.is_some() {
            ranges.push(start + indent..start + body.len());
        }
        let mut inside = auth.is_some();
        for (key, at) in keys(body) {
            let value = &body[at..];
            inside |= key == "auth";
            // A field or an output may be called `token`; its value is a mapping or a name of
            // its own that is written elsewhere too.
            let collection = value.starts_with(['{', '[']);
            let known = SECRET_KEYS.contains(&key) || key == "auth";
            let typo = inside && key != "user" && !key.ends_with("_file");
            if (known || typo) && !collection {
                ranges.push(start + at..start + body.len());
                if key != "auth" {
                    secret = secret.or(Some(indent));
                }
            }
        }
        if inside {
            auth = auth.or(Some(indent));
        }
        ranges.extend(user_infos(body).map(|at| start + at.start..start + at.end));
        start += line.len();
    }
    covered(text, &ranges)
}

/// The keys of a line, and where their values begin.
fn keys(line: &str) -> impl Iterator<Item = (&str, usize)> {
    line.match_indices(':').map(|(colon, _)| {
        let before = line[..colon].trim_end().trim_end_matches(['"', '\'']);
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let start = before.trim_end_matches(word).len();
        let value = line[colon + 1..].trim_start();
        (&before[start..], line.len() - value.len())
    })
}

fn covered(text: &str, ranges: &[Range<usize>]) -> (String, Vec<String>) {
    let mut bytes = text.as_bytes().to_vec();
    let mut secrets = Vec::new();
    for range in ranges {
        let part = &text[range.clone()];
        if is_reference(part) {
            continue;
        }
        bytes[range.clone()].fill(b'*');
        secrets.push(
            part.trim_matches(|c: char| "\"'{}[], |>".contains(c))
                .to_owned(),
        );
    }
    // Very short ones would cover letters of ordinary words.
    secrets.retain(|secret| secret.len() >= 4);
    let text = String::from_utf8(bytes).expect("whole characters became ASCII: this is a bug");
    (text, secrets)
}

/// Removes secrets from a message.
pub(super) fn scrub(line: &mut String, secrets: &[String]) {
    for secret in secrets {
        if line.contains(secret.as_str()) {
            *line = line.replace(secret.as_str(), "***");
        }
    }
    let infos: Vec<_> = user_infos(line).collect();
    for at in infos.into_iter().rev() {
        if !is_reference(&line[at.clone()]) {
            line.replace_range(at, "***");
        }
    }
}

/// Where `user:password` or a token stands in the URLs of a line.
fn user_infos(line: &str) -> impl Iterator<Item = Range<usize>> {
    line.match_indices("://").filter_map(|(at, _)| {
        let start = at + 3;
        let rest = &line[start..];
        // A password with a slash or a quote in it is no valid URL, but must be covered too; so
        // the last `@` before a space ends it.
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let info = &rest[..rest[..end].rfind('@')?];
        // The user's name in front of a `${PASSWORD}` is no secret.
        let user = info.find(":${").map_or(0, |colon| colon + 1);
        let user = if is_reference(&info[user..]) { user } else { 0 };
        (!info.is_empty()).then_some(start + user..start + info.len())
    })
}

/// Whether this is `${NAME}` and nothing else.
fn is_reference(text: &str) -> bool {
    text.trim_matches(|c: char| c.is_whitespace() || "\"'},]".contains(c))
        .strip_prefix("${")
        .is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_covered_and_references_are_not() {
        let shown = |text: &str| cover(text).0;
        assert_eq!(shown("password: hunter2"), "password: *******");
        assert_eq!(shown("  \"token\" : 'abc' # x"), "  \"token\" : *********");
        assert_eq!(
            shown("{ user: a, password: b }"),
            "{ user: a, password: ***"
        );
        assert_eq!(
            shown("password: |\n  one\n  two\nx: 1"),
            "password: *\n  ***\n  ***\nx: 1"
        );
        assert_eq!(shown("password: ${PW}"), "password: ${PW}");
        assert_eq!(shown("password: \"${PW}\" }"), "password: \"${PW}\" }");
        assert_eq!(shown("password: ${PW:-secret}"), "password: *************");
        assert_eq!(shown("password_file: a"), "password_file: a");
        assert_eq!(
            shown("url: nats://u:pass@host:4222"),
            "url: nats://******@host:4222"
        );
        assert_eq!(
            shown("url: nats://u:${PW}@host"),
            "url: nats://u:${PW}@host"
        );
        assert_eq!(
            shown("url: nats://${TOKEN}@host"),
            "url: nats://${TOKEN}@host"
        );
        assert_eq!(shown("auth: hunter2"), "auth: *******");
        assert_eq!(
            shown("auth:\n  user: me\n  pasword: x\n  key_file: f\nx: y"),
            "auth:\n  user: me\n  pasword: *\n  key_file: f\nx: y"
        );
        assert_eq!(
            shown("auth: { user: a, passwd: b }"),
            "auth: { user: a, passwd: ***"
        );
        assert_eq!(
            shown("token: { dtype: f32 }\nx: 1"),
            "token: { dtype: f32 }\nx: 1"
        );
        assert_eq!(shown("password: päss"), "password: *****");
    }

    #[test]
    fn messages_are_scrubbed() {
        let mut line = "found `hunter2` and nats://a:b@c".to_owned();
        scrub(&mut line, &["hunter2".to_owned()]);
        assert_eq!(line, "found `***` and nats://***@c");
    }
}
