//! What holds of every formula, and of every text.

use proptest::prelude::*;

use super::{Formula, check};
use crate::graph::formula::ast::{Arithmetic, Comparison, Kind, Logic, Tree};

/// A formula before it lies in a list.
#[derive(Debug, Clone)]
enum Shape {
    Leaf(Kind),
    Negate(Box<Self>),
    Not(Box<Self>),
    Arithmetic(Arithmetic, Box<[Self; 2]>),
    Logic(Logic, Box<[Self; 2]>),
    Compare(Vec<Self>, Vec<Comparison>),
    Call(String, Vec<Self>),
}

impl Shape {
    fn push(&self, tree: &mut Tree) -> usize {
        let kind = match self {
            Self::Leaf(kind) => kind.clone(),
            Self::Negate(of) => Kind::Negate(of.push(tree)),
            Self::Not(of) => Kind::Not(of.push(tree)),
            Self::Arithmetic(op, both) => {
                let [left, right] = both.each_ref().map(|of| of.push(tree));
                Kind::Arithmetic {
                    op: *op,
                    left,
                    right,
                }
            }
            Self::Logic(op, both) => {
                let [left, right] = both.each_ref().map(|of| of.push(tree));
                Kind::Logic {
                    op: *op,
                    left,
                    right,
                }
            }
            Self::Compare(operands, ops) => Kind::Compare {
                operands: operands.iter().map(|of| of.push(tree)).collect(),
                ops: ops.clone(),
            },
            Self::Call(function, arguments) => Kind::Call {
                function: function.clone(),
                arguments: arguments.iter().map(|of| of.push(tree)).collect(),
            },
        };
        tree.push(kind, 0..0)
    }
}

fn leaf() -> impl Strategy<Value = Shape> {
    let name = "[a-zäß_][a-z0-9_]{0,3}(\\.[a-z0-9_]{1,3})?".prop_filter("words", |name| {
        !matches!(name.as_str(), "or" | "and" | "not")
    });
    let plain = name.prop_map(|name| (name, false)).boxed();
    let quoted = "\\PC{1,6}".prop_map(|name| (name, true)).boxed();
    let named = || prop_oneof![plain.clone(), quoted.clone()];
    prop_oneof![
        (0..=i64::MAX).prop_map(Kind::Integer),
        any::<f64>()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(|value| Kind::Float(value.abs())),
        "\\PC{0,6}".prop_map(Kind::Text),
        named().prop_map(|(name, quoted)| Kind::Name { name, quoted }),
        (named(), "\\PC{1,6}").prop_map(|((name, quoted), element)| Kind::Element {
            name,
            quoted,
            element
        }),
    ]
    .prop_map(Shape::Leaf)
}

fn shape() -> impl Strategy<Value = Shape> {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    leaf().prop_recursive(5, 40, 3, |inner| {
        let two = || (inner.clone(), inner.clone()).prop_map(|(a, b)| Box::new([a, b]));
        let arithmetic = prop::sample::select(vec![
            Arithmetic::Add,
            Arithmetic::Subtract,
            Arithmetic::Multiply,
            Arithmetic::Divide,
            Arithmetic::Modulo,
            Arithmetic::Power,
        ]);
        let compare = vec![Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual];
        let compare = prop::sample::select(compare);
        prop_oneof![
            inner.clone().prop_map(|of| Shape::Negate(Box::new(of))),
            inner.clone().prop_map(|of| Shape::Not(Box::new(of))),
            (arithmetic, two()).prop_map(|(op, both)| Shape::Arithmetic(op, both)),
            (prop::sample::select(vec![Logic::And, Logic::Or]), two())
                .prop_map(|(op, both)| Shape::Logic(op, both)),
            (
                prop::collection::vec(inner.clone(), 4),
                prop::collection::vec(compare, 1..4)
            )
                .prop_map(|(mut operands, ops)| {
                    operands.truncate(ops.len() + 1);
                    Shape::Compare(operands, ops)
                }),
            ("[a-z][a-z0-9_]{0,3}", prop::collection::vec(inner, 0..3))
                .prop_filter("words", |(name, _)| {
                    !matches!(name.as_str(), "or" | "and" | "not")
                })
                .prop_map(|(name, arguments)| Shape::Call(name, arguments)),
        ]
    })
}

/// Text made of what formulas are made of.
fn words() -> impl Strategy<Value = String> {
    let words = [
        "score",
        "count",
        "flag",
        "crop",
        "probs",
        "temp",
        "kelvin",
        "side",
        "wide",
        "yield_t",
        "pi",
        "1",
        "0",
        "2.5",
        "1e-3",
        "'a'",
        "\"b",
        "`other crop`",
        "(",
        "(",
        ")",
        ")",
        ",",
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "**",
        "<",
        "<=",
        "==",
        "!=",
        "=",
        "and",
        "or",
        "not",
        "!",
        "&&",
        "if(",
        "min(",
        "sqrt(",
        "is_nan(",
        "coalesce(",
        "unit(",
        "'kg'",
        "number(",
        "[0]",
        "[",
        "]",
        "ö",
        "²",
        "\n",
        ".",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..24)
        .prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(shape in shape()) {
        let mut tree = Tree::default();
        shape.push(&mut tree);
        let formula = Formula { tree };
        let text = formula.to_string();
        match Formula::parse(&text) {
            Ok(read) => prop_assert_eq!(read, formula, "{}", text),
            Err(error) => prop_assert!(false, "{}", error.render(&text)),
        }
    }

    #[test]
    fn no_text_is_a_panic(text in "\\PC{0,60}") {
        if let Err(error) = check(&text) {
            prop_assert!(text.get(error.span.clone()).is_some());
            error.render(&text);
        }
    }

    #[test]
    fn no_words_are_a_panic(text in words()) {
        if let Err(error) = check(&text) {
            prop_assert!(text.get(error.span.clone()).is_some());
            error.render(&text);
        }
    }

    #[test]
    fn no_formula_is_a_panic(shape in shape()) {
        let mut tree = Tree::default();
        shape.push(&mut tree);
        let outcome = Formula { tree }.check(&super::table());
        prop_assert!(outcome.is_ok() || outcome.is_err());
    }
}
