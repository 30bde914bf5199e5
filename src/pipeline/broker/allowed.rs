//! What the server says that we may do, beside what the pipeline needs.

use super::Finding;
use crate::{
    nats::{
        api::{Rules, UserPermissions},
        subject::{covers, overlap},
    },
    pipeline::permissions::{Allow, Need, Permissions},
};

/// How much of a subject is allowed.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    All,
    Some,
    Nothing,
}

/// What is needed and not allowed.
pub(super) fn compare(needed: &Permissions, granted: &UserPermissions) -> Vec<Finding> {
    let lists = [
        ("publish to", &needed.publish, &granted.publish),
        ("subscribe to", &needed.subscribe, &granted.subscribe),
    ];
    lists
        .into_iter()
        .flat_map(|(verb, subjects, rules)| {
            (subjects.iter()).filter_map(move |allow| judge(verb, allow, rules))
        })
        .collect()
}

fn judge(verb: &str, allow: &Allow, rules: &Rules) -> Option<Finding> {
    let Allow {
        subject,
        purpose,
        need,
    } = allow;
    let verdict = verdict(subject, rules);
    match (verdict, need) {
        (Verdict::All, _) | (_, Need::OfUse) => None,
        (Verdict::Nothing, Need::Always) => Some(Finding::error(format!(
            "the NATS user is not allowed to {verb} `{subject}` ({purpose}); see `forebay check --permissions`"
        ))),
        (Verdict::Some, Need::Always) => Some(Finding::warning(format!(
            "the NATS user is allowed to {verb} some of `{subject}` only ({purpose}); see `forebay check --permissions`"
        ))),
        (_, Need::Sometimes) => Some(Finding::note(format!(
            "the NATS user is not allowed to {verb} `{subject}` ({purpose})"
        ))),
    }
}

fn verdict(subject: &str, rules: &Rules) -> Verdict {
    // `subject group` stands for the messages of a queue group.
    let (subject, group) = split(subject);
    let applies = |rule: &&String| split(rule).1.is_none_or(|queue| Some(queue) == group);
    let patterns = |rules: &[String]| -> Vec<String> {
        let patterns = rules.iter().filter(applies).map(|rule| split(rule).0);
        patterns.map(ToOwned::to_owned).collect()
    };
    let (allowed, denied) = (patterns(&rules.allow), patterns(&rules.deny));
    if denied.iter().any(|rule| covers(rule, subject)) {
        return Verdict::Nothing;
    }
    let free = rules.allow.is_empty() || allowed.iter().any(|rule| covers(rule, subject));
    match (free, denied.iter().any(|rule| overlap(rule, subject))) {
        (true, false) => Verdict::All,
        (true, true) => Verdict::Some,
        (false, _) if allowed.iter().any(|rule| overlap(rule, subject)) => Verdict::Some,
        (false, _) => Verdict::Nothing,
    }
}

fn split(rule: &str) -> (&str, Option<&str>) {
    match rule.split_once(' ') {
        Some((subject, group)) => (subject, Some(group)),
        None => (rule, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_the_server_reads_them() {
        let rules = |allow: &[&str], deny: &[&str]| Rules {
            allow: allow.iter().map(ToString::to_string).collect(),
            deny: deny.iter().map(ToString::to_string).collect(),
        };
        for (subject, allow, deny, expected) in [
            ("a.b", &[][..], &[][..], Verdict::All),
            ("a.b", &["a.>"], &[], Verdict::All),
            ("a.b", &["b"], &[], Verdict::Nothing),
            ("a.b", &[], &[">"], Verdict::Nothing),
            ("a.*", &["a.x", "a.y"], &[], Verdict::Some),
            ("a.*", &["a.>"], &["a.x"], Verdict::Some),
            ("a.b q", &["a.b q"], &[], Verdict::All),
            ("a.b q", &["a.b"], &[], Verdict::All),
            ("a.b q", &["a.b other"], &[], Verdict::Nothing),
            ("a.b", &["a.b q"], &[], Verdict::Nothing),
            ("a.b", &[], &["a.b q"], Verdict::All),
        ] {
            let found = verdict(subject, &rules(allow, deny));
            assert_eq!(found, expected, "{subject} {allow:?} {deny:?}");
        }
    }
}
