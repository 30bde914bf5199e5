//! Subjects with wildcards.

/// Whether there is a subject that both patterns take.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        match (one.next(), other.next()) {
            (None, None) | (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
            (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
            _ => return false,
        }
    }
}

/// Whether `wide` takes every subject that `narrow` takes.
pub(crate) fn covers(wide: &str, narrow: &str) -> bool {
    let mut narrow = narrow.split('.');
    for token in wide.split('.') {
        match (token, narrow.next()) {
            (">", Some(_)) => return true,
            ("*", Some(taken)) if taken != ">" => {}
            (token, Some(taken)) if token == taken => {}
            _ => return false,
        }
    }
    narrow.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::{covers, overlap};

    #[test]
    fn a_pattern_covers_what_is_narrower() {
        for (wide, narrow, expected) in [
            ("a.b", "a.b", true),
            ("a.*", "a.b", true),
            ("a.*", "a.*", true),
            ("a.b", "a.*", false),
            ("a.*", "a.>", false),
            ("a.>", "a.>", true),
            ("a.>", "a.*.c", true),
            ("a.>", "a", false),
            (">", "a.>", true),
            ("a.*", "a.b.c", false),
            ("a.b.c", "a.b", false),
        ] {
            assert_eq!(covers(wide, narrow), expected, "{wide} {narrow}");
        }
    }

    #[test]
    fn patterns_overlap_where_a_subject_fits_both() {
        for (one, other, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
            ("a.b", "a.b.c", false),
            ("a.*", "a.b", true),
            ("a.*", "*.b", true),
            ("a.*", "b.*", false),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            ("a.>", "a.*.c", true),
            ("a.b.>", "a.*", false),
            (">", "x", true),
            (">", "*.x", true),
            ("*.x.>", "a.>", true),
        ] {
            assert_eq!(overlap(one, other), expected, "{one} {other}");
            assert_eq!(overlap(other, one), expected, "{other} {one}");
        }
    }
}
