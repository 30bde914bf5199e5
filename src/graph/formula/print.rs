//! A tree back into text, with as few parentheses as it takes.

use std::fmt;

use super::{
    ast::{Arithmetic, Kind, Logic, Tree},
    lexer::{continues_name, starts_name},
    parser::Bond,
};

/// Text and how tightly its outermost operator binds.
struct Printed {
    text: String,
    bond: Bond,
}

impl Printed {
    /// The text where something at least as tight as `bond` is wanted.
    fn at(self, bond: Bond) -> String {
        if self.bond >= bond {
            self.text
        } else {
            format!("({})", self.text)
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every node is used once, by a later one, so each text is moved and not copied.
        let mut done: Vec<Option<Printed>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let printed = print(&node.kind, &mut done);
            done.push(Some(printed));
        }
        match done.pop().flatten() {
            Some(root) => f.write_str(&root.text),
            None => Ok(()),
        }
    }
}

fn print(kind: &Kind, done: &mut [Option<Printed>]) -> Printed {
    let mut take = |id: usize, bond: Bond| {
        done.get_mut(id)
            .and_then(Option::take)
            .map(|printed| printed.at(bond))
            .unwrap_or_default()
    };
    let whole = |text: String| Printed {
        text,
        bond: Bond::Whole,
    };
    match kind {
        Kind::Integer(value) => whole(value.to_string()),
        Kind::Float(value) => whole(format!("{value:?}")),
        Kind::Text(text) => whole(quote(text, '\'')),
        Kind::Name { name, quoted } => whole(name_text(name, *quoted)),
        Kind::Element {
            name,
            quoted,
            element,
        } => whole(format!(
            "{}[{}]",
            name_text(name, *quoted),
            element_text(element)
        )),
        Kind::Negate(of) => Printed {
            text: format!("-{}", take(*of, Bond::Sign)),
            bond: Bond::Sign,
        },
        Kind::Not(of) => Printed {
            text: format!("not {}", take(*of, Bond::Not)),
            bond: Bond::Not,
        },
        Kind::Arithmetic { op, left, right } => {
            let bond = Bond::of(*op);
            let (to_left, to_right) = match op {
                Arithmetic::Power => (Bond::Whole, Bond::Sign),
                _ => (bond, bond.tighter()),
            };
            let (left, right) = (take(*left, to_left), take(*right, to_right));
            infix(left, op.sign(), &right, bond)
        }
        Kind::Logic { op, left, right } => {
            let bond = match op {
                Logic::And => Bond::And,
                Logic::Or => Bond::Or,
            };
            let (left, right) = (take(*left, bond), take(*right, bond.tighter()));
            infix(left, op.word(), &right, bond)
        }
        Kind::Compare { operands, ops } => {
            let mut parts = operands.iter().map(|id| take(*id, Bond::Sum));
            let mut printed = Printed {
                text: parts.next().unwrap_or_default(),
                bond: Bond::Compare,
            };
            for (op, part) in std::iter::zip(ops, parts) {
                printed = infix(printed.text, op.sign(), &part, Bond::Compare);
            }
            printed
        }
        Kind::Call {
            function,
            arguments,
        } => {
            let parts: Vec<_> = arguments.iter().map(|id| take(*id, Bond::Or)).collect();
            whole(format!("{function}({})", parts.join(", ")))
        }
    }
}

fn infix(mut left: String, sign: &str, right: &str, bond: Bond) -> Printed {
    left.reserve(sign.len() + right.len() + 2);
    left.push(' ');
    left.push_str(sign);
    left.push(' ');
    left.push_str(right);
    Printed { text: left, bond }
}

fn name_text(name: &str, quoted: bool) -> String {
    if quoted {
        quote(name, '`')
    } else {
        name.to_owned()
    }
}

/// A label that reads back as it is without quotes, and with them where it would not.
fn element_text(element: &str) -> String {
    let plain = element.starts_with(continues_name)
        && element.ends_with(continues_name)
        && element
            .chars()
            .all(|c| continues_name(c) || matches!(c, '-' | '.' | ' '));
    if plain {
        element.to_owned()
    } else {
        quote(element, '\'')
    }
}

fn quote(text: &str, with: char) -> String {
    let doubled = text.replace(with, &format!("{with}{with}"));
    format!("{with}{doubled}{with}")
}

/// How a column of this name is written in a formula: in backticks where it must be.
pub(super) fn column_name(name: &str) -> String {
    let plain = name.split('.').enumerate().all(|(place, part)| {
        let first = if place == 0 {
            starts_name
        } else {
            continues_name
        };
        part.starts_with(first) && part.chars().all(continues_name)
    }) && !matches!(name, "and" | "or" | "not");
    name_text(name, !plain)
}
