use super::parser::parse;

#[test]
fn what_is_printed_reads_back() {
    for (text, printed) in [
        ("a+b*c", "a + b * c"),
        ("(a+b)*c", "(a + b) * c"),
        ("a-(b-c)-d", "a - (b - c) - d"),
        ("-x^2", "-x ^ 2"),
        ("(-x)**2", "(-x) ^ 2"),
        ("2^-1", "2 ^ -1"),
        ("2^3^4", "2 ^ 3 ^ 4"),
        ("(2^3)^4", "(2 ^ 3) ^ 4"),
        ("0 < x <= 1 and not a == b || c", "0 < x <= 1 and not a == b or c"),
        ("!a == b", "(not a) == b"),
        ("not (a or b)", "not (a or b)"),
        ("if(score > 0.5, gain, 0)", "if(score > 0.5, gain, 0)"),
        ("p[2] + p['a b'] + m.out[setosa] + p['x]']", "p[2] + p[a b] + m.out[setosa] + p['x]']"),
        ("`a b` == \"it's\"", "`a b` == 'it''s'"),
        ("1e-3 + 1.5 + .5 + 1.", "0.001 + 1.5 + 0.5 + 1.0"),
        ("größe_t*2", "größe_t * 2"),
    ] {
        let tree = parse(text).unwrap_or_else(|error| panic!("{}", error.render(text)));
        assert_eq!(tree.to_string(), printed);
        assert_eq!(parse(printed).unwrap(), tree, "{text}");
    }
}
