//! Text of any kind as a pipeline file: a report, never a panic, never a secret.

use forebay::config;
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

#[test]
fn what_the_yaml_reader_refuses_is_said_in_our_words() {
    let deep = format!("name: {}{}", "[".repeat(40), "]".repeat(40));
    let wide = format!("name: [{}]", "1,".repeat(200_000));
    let bomb = format!(
        "a: &a [{0}]\nb: &b [{1}]\nc: &c [{2}]\nd: [{3}]",
        "x,".repeat(50),
        "*a,".repeat(50),
        "*b,".repeat(50),
        "*c,".repeat(50)
    );
    for (text, says) in [
        (
            "name: a\n---\nname: b",
            "a second document begins behind `---`",
        ),
        ("name: &a [*a]", "stands inside the very value"),
        ("name: *a", "an anchor (`&name`) that is not there"),
        (
            "a: &a {b: 1}\nc:\n  <<: *a",
            "merge keys (`<<`) are not read here",
        ),
        (deep.as_str(), "nested more than 32 levels deep"),
        (wide.as_str(), "larger than any pipeline file"),
        (bomb.as_str(), "larger than any pipeline file"),
    ] {
        let errors = load(text).expect_err("no pipeline").render(false);
        let title = errors.lines().next().unwrap_or_default();
        assert!(title.contains(says), "{title}");
        for word in ["from_str", "breach", "recursi", "polic", "Options"] {
            assert!(!errors.contains(word), "{errors}");
        }
    }
}

#[test]
fn order_by_is_a_token_or_a_field() {
    for (source, order_by, shown) in [
        (
            "{ nats: { subject: \"rows.*\" } }",
            "\"{2}\"",
            "order_by: \"{2}\"\n",
        ),
        ("{ file: { path: \"-\" } }", "device", "order_by: device\n"),
    ] {
        let text = two_columns(
            "{ a: {}, b: {}, device: { dtype: i64 } }",
            &format!("encode: {{ json: {{ pass: [device] }} }}\norder_by: {order_by}"),
        );
        let plan = load(&text.replacen("{ file: { path: \"-\" } }", source, 1)).expect("a plan");
        let resolved = config::resolved(&plan);
        assert!(resolved.contains(shown), "{resolved}");
        let again = load(&resolved.replace("pipelines/", "")).map(|plan| plan.order_by);
        assert_eq!(again, Ok(plan.order_by));
    }
}
