//! Text of any kind as a pipeline file: a report, never a panic, never a secret.

use proptest::prelude::*;

use crate::config_files::{SERVERS, load, two_columns};

fn yaml_like() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("name: "),
        Just("source:"),
        Just("nats: "),
        Just("fields:"),
        Just("models: "),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just("\n"),
        Just("\n  "),
        Just("\n    "),
        Just("- "),
        Just(": "),
        Just("${"),
        Just("}"),
        Just("$${"),
        Just("\""),
        Just("'"),
        Just("&a "),
        Just("*a"),
        Just("password: "),
        Just("nats://u:p@h"),
        Just("|\n"),
        Just("é€😀"),
        Just("\t"),
        Just("1e9"),
        Just(".nan"),
        Just("0x10"),
        Just("~"),
        Just("#"),
        Just("<<: "),
        Just("\r\n"),
        Just("!!str "),
        Just("---\n"),
        Just("a"),
    ];
    prop::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn any_text_gives_a_report_and_no_panic(text in any::<String>()) {
        if let Err(errors) = load(&text) {
            prop_assert!(errors.count() > 0);
            prop_assert!(errors.render(true).len() >= errors.render(false).len());
        }
    }

    #[test]
    fn text_that_looks_like_yaml_gives_no_panic(text in yaml_like()) {
        if let Err(errors) = load(&text) {
            prop_assert!(errors.count() > 0 && !errors.render(false).is_empty());
        }
    }

    #[test]
    fn a_cut_or_doubled_file_gives_no_panic(at in 0usize..700, len in 0usize..40) {
        let text = format!("{SERVERS}\n{}", two_columns("{ a: {}, b: {} }", ""));
        let at = text.floor_char_boundary(at.min(text.len()));
        let end = text.floor_char_boundary((at + len).min(text.len()));
        for text in [text[..at].to_owned(), format!("{}{}", &text[..at], &text[end..])] {
            if let Err(errors) = load(&text) {
                prop_assert!(!errors.render(false).contains("sesame"));
            }
        }
    }
}
