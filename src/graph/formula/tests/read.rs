//! What formulas read as, and the types of their results.

use super::{Dtype, Formula, check, checked};

fn parse(text: &str) -> Formula {
    Formula::parse(text).unwrap_or_else(|error| panic!("{}", error.render(text)))
}

#[test]
fn what_is_printed_reads_back() {
    for (text, printed) in [
        ("a+b*c", "a + b * c"),
        ("(a+b)*c", "(a + b) * c"),
        ("a-(b-c)-d", "a - (b - c) - d"),
        ("a-b-c % d", "a - b - c % d"),
        ("-x^2", "-x ^ 2"),
        ("(-x)**2", "(-x) ^ 2"),
        ("2^-1", "2 ^ -1"),
        ("2^-x^y", "2 ^ -x ^ y"),
        ("2^3^4", "2 ^ 3 ^ 4"),
        ("(2^3)^4", "(2 ^ 3) ^ 4"),
        (
            "0 < x <= 1 and not a == b || c",
            "0 < x <= 1 and not a == b or c",
        ),
        ("(a < b) == c", "(a < b) == c"),
        ("!a == b", "(not a) == b"),
        ("! !a", "not not a"),
        ("not (a or b) && c", "not (a or b) and c"),
        ("a or b and c", "a or b and c"),
        ("if(score > 0.5, gain, 0)", "if(score > 0.5, gain, 0)"),
        (
            "p[2] + p['a b'] + m.out[setosa] + p['x]']",
            "p[2] + p[a b] + m.out[setosa] + p['x]']",
        ),
        (
            "`a b` == \"it's\" or `and` == 'x'",
            "`a b` == 'it''s' or `and` == 'x'",
        ),
        (
            "1e-3 + 1.5 + .5 + 1. + 2E3",
            "0.001 + 1.5 + 0.5 + 1.0 + 2000.0",
        ),
        ("größe_t*2", "größe_t * 2"),
        ("a\n  + b", "a + b"),
    ] {
        let formula = parse(text);
        assert_eq!(formula.to_string(), printed);
        assert_eq!(parse(printed), formula, "{text}");
    }
}

#[test]
fn other_formulas_are_not_equal() {
    for (a, b) in [
        ("a - b - c", "a - (b - c)"),
        ("-x ^ 2", "(-x) ^ 2"),
        ("a ^ b ^ c", "(a ^ b) ^ c"),
        ("not a and b", "not (a and b)"),
        ("a < b < c", "a < b and b < c"),
        ("e", "`e`"),
        ("1", "1.0"),
    ] {
        assert_ne!(parse(a), parse(b));
    }
}

#[test]
fn types_of_results() {
    use Dtype::{Bool, F32, F64, I64};
    for (text, dtype) in [
        ("count + 1", I64),
        ("count * level - 2 % count", I64),
        ("min(count, level)", I64),
        ("level", I64),
        ("round(count) + floor(count) + ceil(level)", I64),
        ("abs(count) + sign(count)", I64),
        ("if(flag, 1, 0)", I64),
        ("clip(count, 0, 9)", I64),
        ("count / 2", F32),
        ("count * 2.0", F32),
        ("count ^ 2", F32),
        ("sqrt(count)", F32),
        ("count + score", F32),
        ("if(flag, count, 0.5)", F32),
        ("if(flag, 0.1, 0.2)", F32),
        ("0.1 * score", F32),
        ("pi * score", F32),
        ("f32(wide) * 2", F32),
        ("0.1 * wide", F64),
        ("if(flag, 0.1, 0.2) * wide", F64),
        ("count + wide", F64),
        ("score + wide", F64),
        ("f64(count) / 3", F64),
        ("count > 0.5", Bool),
        ("flag == true", Bool),
        ("is_nan(score)", Bool),
        ("if(flag, flag, score > 0)", Bool),
        ("crop == `other crop`", Bool),
    ] {
        assert_eq!(checked(text).dtype(), dtype, "{text}");
    }
}

#[test]
fn shapes_of_results() {
    for (text, shape) in [
        ("score", &[][..]),
        ("score + one", &[1]),
        ("probs * score + one", &[3]),
        ("grid + one", &[2, 2]),
        ("probs[2] + grid[3]", &[]),
        ("`flower.class`[setosa] + flower.class['a (b)']", &[]),
        ("if(probs > 0, score, 0)", &[3]),
        ("0 < score < probs", &[3]),
        ("min(score, 1, probs)", &[3]),
    ] {
        assert_eq!(checked(text).shape(), shape, "{text}");
    }
}

#[test]
fn names_are_those_of_columns() {
    let text = "pi * score + e * gain + flower.class[setosa] + score";
    let names: Vec<_> = checked(text).names().map(str::to_owned).collect();
    assert_eq!(names, ["score", "gain", "flower.class"]);
    assert_eq!(
        Formula::parse(text).unwrap().names(),
        ["pi", "score", "e", "gain", "flower.class"]
    );
}

#[test]
fn a_column_hides_a_constant() {
    let columns = super::table().with("e", Dtype::I64, &[], "");
    let of = |text: &str| Formula::parse(text).unwrap().check(&columns).unwrap();
    assert_eq!(of("e + 1").dtype(), Dtype::I64);
    assert_eq!(of("pi + e").dtype(), Dtype::F32);
    assert!(check("`pi` + score").is_err());
}

#[test]
fn a_long_sum_is_read() {
    let text = vec!["score"; 2000].join(" + ");
    assert_eq!(checked(&text).dtype(), Dtype::F32);
    assert_eq!(parse(&text).to_string(), text);
    let chain = vec!["score"; 2000].join(" < ");
    assert_eq!(checked(&chain).dtype(), Dtype::Bool);
}
