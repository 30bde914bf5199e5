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
    // Indentation of the secret key, and of the `auth` and `url` keys, that deeper lines belong to.
    let mut secret: Option<usize> = None;
    let mut auth: Option<usize> = None;
    let mut url: Option<usize> = None;
    // Parts of an address that goes on: it is not known yet whether a password is in it.
    let mut begun: Vec<Range<usize>> = Vec::new();
    for line in text.split_inclusive('\n') {
        let body = line.trim_end();
        let indent = body.len() - body.trim_start().len();
        let item = is_item(&body[indent..]);
        let belongs = |outer: Option<usize>| {
            outer.filter(|outer| indent > *outer || (indent == *outer && item) || body.is_empty())
        };
        (secret, auth, url) = (belongs(secret), belongs(auth), belongs(url));
        if secret.is_some() {
            ranges.push(start + indent..start + body.len());
        }
        if url.is_some() {
            if item {
                begun.clear();
            }
            let rest = start + indent..start + body.len();
            address(text, rest, &mut begun, &mut ranges);
        }
        let mut inside = auth.is_some();
        if inside && keys(body).next().is_none() && !body[indent..].starts_with(['}', '#']) {
            // A value without a key, under a key that has a secret or nothing.
            ranges.push(start + indent..start + body.len());
        }
        for (key, at) in keys(body) {
            let value = &body[at..];
            inside |= key == "auth";
            if is_secret(key, value, inside) {
                ranges.push(start + at..start + body.len());
                if key != "auth" {
                    secret = secret.or(Some(indent));
                }
            }
            if key == "url" && url.is_none() {
                url = Some(indent);
                begun.clear();
                address(
                    text,
                    start + at..start + body.len(),
                    &mut begun,
                    &mut ranges,
                );
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

/// Whether `value` is a secret, whatever its YAML type. A field or an output may be called `token`:
/// then its value is a mapping or a name that is written elsewhere too.
fn is_secret(key: &str, value: &str, inside_auth: bool) -> bool {
    let mapping = value.starts_with('{');
    if key == "auth" {
        return !mapping;
    }
    if inside_auth {
        return key != "user" && !key.ends_with("_file");
    }
    SECRET_KEYS.contains(&key) && !mapping
}

/// `- ` at the beginning: the item of a list.
fn is_item(line: &str) -> bool {
    line.strip_prefix('-')
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// Covers what may be a user and a password in a piece of the value of `url`, whatever else is
/// wrong with it; `begun` has the pieces on the lines before.
fn address(
    text: &str,
    piece: Range<usize>,
    begun: &mut Vec<Range<usize>>,
    ranges: &mut Vec<Range<usize>>,
) {
    let part = &text[piece.clone()];
    // An address without a scheme may stand in front of one that has it.
    let scheme = part.find("://").filter(|at| !part[..*at].contains('@'));
    let lead = match scheme {
        Some(scheme) => scheme + 3,
        None => {
            part.len()
                - part
                    .trim_start_matches(|c: char| "\"'[{- |>".contains(c))
                    .len()
        }
    };
    match user_info(&part[lead..]) {
        Some(info) => {
            ranges.append(begun);
            ranges.push(piece.start + lead + info.start..piece.start + lead + info.end);
        }
        None => begun.push(piece.start + lead..piece.end),
    }
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
        let edge = |c: char| c.is_whitespace() || "\"'{}[],|>".contains(c);
        secrets.push(part.trim_matches(edge).to_owned());
        // A message may name one value of a collection.
        let pieces = part.split(edge).filter(|piece| !piece.ends_with(':'));
        secrets.extend(pieces.map(str::to_owned));
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
        let info = user_info(&line[start..])?;
        Some(start + info.start..start + info.end)
    })
}

/// Where `user:password` or a token stands in what follows a scheme. A password with a slash, a
/// quote or a space in it is no valid URL, but must be covered too; so the last `@` ends it.
fn user_info(rest: &str) -> Option<Range<usize>> {
    // References are no secrets, so where all before a space is one, a later `@` is not looked for.
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    if let Some(end) = rest[..end].rfind('@') {
        let info = &rest[..end];
        let user = info.find(":${").map_or(0, |colon| colon + 1);
        if is_reference(&info[user..]) {
            return Some(user..end);
        }
    }
    let end = rest.rfind('@')?;
    (end > 0).then_some(0..end)
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
    fn what_stands_in_a_secrets_place_is_covered_whatever_it_is() {
        for text in [
            "url: \"nats://bob:hunter2 @h:1\"",
            "url: nats://bob:hunter2 @h:1",
            "url: {a: \"bob:hunter2@h\"}",
            "url: bob:hunter2@h",
            "url: [localhost, \"bob:hunter2@h\"]",
            "url:\n  - nats://a\n  - bob:hunter2@h",
            "url:\n- nats://a\n- bob:hunter2@h",
            "url: \"nats://bob:hunter2\n  x@h\"",
            "url: >-\n  nats://bob:hun\n  hunter2@h",
            "source: { nats: { url: [\"bob:hunter2@h\", 5] } }",
            "source: { nats: { url: [5, \"bob:hunter2@h\", \"nats://h:1\"] } }",
            "auth: { token: [hunter2] }",
            "auth: { user: a, password: { a: hunter2 } }",
            "auth: [hunter2]",
            "auth:\n  hunter2",
            "auth:\n- hunter2",
            "auth: { token:\n  hunter2 }",
            "auth:\n  token:\n  - hunter2",
            "auth:\n  - token: hunter2",
            "token: [a, hunter2]",
            "password:\n- hunter2",
        ] {
            let (shown, secrets) = cover(text);
            assert!(!shown.contains("hunter2"), "{text}: {shown}");
            assert_eq!(shown.len(), text.len());
            let mut line = "found `hunter2`".to_owned();
            if !text.contains("bob:") {
                scrub(&mut line, &secrets);
                assert_eq!(line, "found `***`", "{text}: {secrets:?}");
            }
        }
    }

    #[test]
    fn addresses_without_secrets_are_shown() {
        for text in [
            "url: nats://localhost:4222",
            "url: [nats://a, nats://b]\nname: x",
            "url:\n  - nats://a:1\n  - ${SERVER}",
            "source: { nats: { url: \"nats://h\", subject: rows } }",
        ] {
            assert_eq!(cover(text).0, text);
        }
    }

    #[test]
    fn messages_are_scrubbed() {
        let mut line = "found `hunter2` and nats://a:b@c".to_owned();
        scrub(&mut line, &["hunter2".to_owned()]);
        assert_eq!(line, "found `***` and nats://***@c");
    }
}
