//! What is said about formulas that are wrong.

use super::{Formula, check};
use crate::graph::formula::MAX_DEPTH;

macro_rules! assert_rendered {
    ($formulas:expr) => {
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(rendered($formulas));
        });
    };
}

/// The errors of these formulas, as they are shown.
fn rendered(formulas: &[&str]) -> String {
    let of = |text: &&str| {
        let error = check(text).expect_err(text);
        assert!(text.get(error.span.clone()).is_some(), "{text}: {error:?}");
        error.render(text)
    };
    formulas.iter().map(of).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn errors_of_form() {
    assert_rendered!(&[
        "",
        "   ",
        "score +",
        "(score + gain",
        "min(score, gain",
        "score + gain)",
        "score = 0.5",
        "score === 0.5",
        "score <> 0.5",
        "score & flag",
        "score ? 1 : 0",
        "score × 2",
        "score ≥ 2",
        "score // 2",
        "2 score",
        "2score",
        "1.5.2 * score",
        "score gain",
        "score (1)",
        "gain if score else 0",
        "crop in ('maize', 'rye')",
        "+score",
        "* score",
        "score + not flag",
        "score > 1,5",
        "(score, gain)",
        "min(score,,gain)",
        "probs[0",
        "probs[]",
        "probs[count[0]]",
        "(probs + 1)[0]",
        "crop == 'maize",
        "`other crop == 'x'",
        "``",
        "score # 2",
        "score > “a”",
        "score +\n  gain +\n  scor",
        "99999999999999999999 * score",
        "1e999 * score",
        "score ; gain",
    ]);
}

#[test]
fn errors_of_names() {
    assert_rendered!(&[
        "scor * 2",
        "other_crop == 'x'",
        "True and flag",
        "score == NaN",
        "sqrt",
        "somewhere_else",
        "`pi` * score",
        "1 + 2 * pi",
        "sqr(score)",
        "ln(score)",
        "where(flag, 1, 0)",
        "frobnicate(score)",
        "probs[3]",
        "probs[-1]",
        "probs[setosa]",
        "score[1]",
        "flower.class[setose]",
        "flower.class[0]",
        "größe * 2",
    ]);
}

#[test]
fn errors_of_types() {
    assert_rendered!(&[
        "flag + 1",
        "-flag",
        "sqrt(flag)",
        "crop + 1",
        "score and flag",
        "not score",
        "if(score, 1, 0)",
        "if(flag, 1, crop)",
        "if(flag, 1, flag)",
        "if(flag, 'a', 'b') == crop",
        "crop",
        "'maize'",
        "crop == maize",
        "crop == 1",
        "flag == 1",
        "crop < 'maize'",
        "flag < flag",
        "'a' == 'b'",
        "0 < score < flag",
        "probs + pair",
        "min(probs, grid)",
        "if(flag)",
        "abs(score, 2)",
        "min(score)",
        "round(score, 2)",
        "log(score, 10)",
        "sin()",
        "is_nan(count)",
        "is_nan(1.5)",
        "coalesce(count, 0)",
        "coalesce(score, 0.0, gain)",
        "clip(score, 1, 0)",
        "count % 0",
        "1 / 0 + score",
        "9223372036854775807 + 1 + count",
        "1e300 * 1e300 * score",
        "score * 1e300",
        "score > 1e-300",
        "number(temp, count)",
        "coalesce(score, crop)",
    ]);
}

#[test]
fn errors_of_units() {
    assert_rendered!(&[
        "yield_t + price",
        "yield_t > cost",
        "yield_t + score",
        "score * 2 > yield_t",
        "min(temp, score)",
        "if(flag, yield_t, price)",
        "coalesce(yield_t, side)",
        "yield_t % side",
        "exp(temp)",
        "log(price)",
        "sin(side)",
        "2 ^ side",
        "side ^ score",
        "side ^ 1.5",
        "sqrt(side)",
        "sqrt(area)",
        "temp + temp_f",
        "(temp + temp) / 2",
        "temp * 2",
        "temp / side",
        "-temp",
        "abs(temp)",
        "temp ^ 2",
        "sqrt(temp)",
        "temp % 2",
        "temp + kelvin",
        "kelvin - temp",
        "temp - yield_t",
        "temp - temp_f > temp",
        "unit(temp - temp_f, 'Cel')",
        "number(score, 'kg')",
        "number(temp, 'kg')",
        "unit(score, 'bushl')",
        "unit(score, 'kg', 2)",
    ]);
}

#[test]
fn errors_of_size() {
    let deep = format!("{}score{}", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH));
    let nested = format!("score{}", " ^ score".repeat(MAX_DEPTH));
    let signs = format!("{}score", "-".repeat(MAX_DEPTH));
    let long = vec!["score"; 3000].join(" + ");
    for text in [deep, nested, signs, long] {
        let error = Formula::parse(&text).expect_err("too large");
        assert!(
            error.what.contains("deep") || error.what.contains("bytes"),
            "{error}"
        );
    }
    let fits = MAX_DEPTH - 1;
    let deep = format!("{}score{}", "(".repeat(fits), ")".repeat(fits));
    assert!(Formula::parse(&deep).is_ok());
}
