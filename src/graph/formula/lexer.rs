//! Text into tokens, each with its place.

use std::ops::Range;

use super::{
    ast::{Arithmetic, Comparison},
    error::FormulaError,
};

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Integer(i64),
    Float(f64),
    Text(String),
    /// A name; `quoted` where it stood in backticks.
    Name {
        name: String,
        quoted: bool,
    },
    /// `[2]` or `[label]` behind a name, without the brackets.
    Element(String),
    Arithmetic(Arithmetic),
    Comparison(Comparison),
    And,
    Or,
    /// The word `not`, which binds weakly.
    Not,
    /// The sign `!`, which binds like a minus.
    Bang,
    Open,
    Close,
    Comma,
    End,
}

/// A token and the bytes it stands on.
#[derive(Debug, Clone)]
pub(super) struct Spanned {
    pub(super) token: Token,
    pub(super) span: Range<usize>,
}

/// All tokens of `text`, with [`Token::End`] as the last.
pub(super) fn tokens(text: &str) -> Result<Vec<Spanned>, FormulaError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let spanned = lexer.next()?;
        let last = spanned.token == Token::End;
        tokens.push(spanned);
        if last {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

pub(super) fn starts_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

pub(super) fn continues_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !keep(c)).unwrap_or(rest.len());
    }

    fn next(&mut self) -> Result<Spanned, FormulaError> {
        self.take_while(char::is_whitespace);
        let start = self.at;
        let token = match self.peek() {
            None => Token::End,
            Some(c) if c.is_ascii_digit() => self.number()?,
            Some('.') if self.digit_follows() => self.number()?,
            Some(c) if starts_name(c) => self.name(),
            Some('`') => Token::Name {
                name: self.quoted('`', "name")?,
                quoted: true,
            },
            Some(quote @ ('\'' | '"')) => Token::Text(self.quoted(quote, "text")?),
            Some('[') => self.element()?,
            Some(c) => self.sign(c)?,
        };
        Ok(Spanned {
            token,
            span: start..self.at,
        })
    }

    fn digit_follows(&self) -> bool {
        self.rest()[1..].starts_with(|c: char| c.is_ascii_digit())
    }

    /// Digits, a fraction and an exponent.
    fn number(&mut self) -> Result<Token, FormulaError> {
        let start = self.at;
        self.take_while(|c| c.is_ascii_digit());
        let mut whole = true;
        if self.rest().starts_with('.') {
            whole = false;
            self.at += 1;
            self.take_while(|c| c.is_ascii_digit());
        }
        let exponent = self.rest().strip_prefix(['e', 'E']).map(|rest| {
            let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
            let signed = rest.len() - digits.len();
            (1 + signed, digits.starts_with(|c: char| c.is_ascii_digit()))
        });
        if let Some((skip, true)) = exponent {
            whole = false;
            self.at += skip;
            self.take_while(|c| c.is_ascii_digit());
        }
        let span = start..self.at;
        let digits = &self.text[span.clone()];
        if let Some(c) = self.peek().filter(|c| starts_name(*c) || *c == '.') {
            return Err(self.stuck_to_number(c, span));
        }
        let too_large =
            || FormulaError::new(span.clone(), format!("the number {digits} is too large"));
        if whole {
            return digits.parse().map(Token::Integer).map_err(|_| {
                too_large().help("whole numbers have 64 bits; with `.0` it is a float")
            });
        }
        match digits.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Token::Float(value)),
            _ => Err(too_large()),
        }
    }

    fn stuck_to_number(&mut self, c: char, number: Range<usize>) -> FormulaError {
        let start = self.at;
        self.take_while(|c| continues_name(c) || c == '.');
        let stuck = &self.text[start..self.at];
        let digits = &self.text[number.clone()];
        let error = FormulaError::new(
            number.start..self.at,
            format!("`{digits}{stuck}` is no number"),
        );
        match c {
            '.' => error,
            _ => error.help(format!(
                "write `{digits} * {stuck}` for a product; a name that starts with a digit stands \
                 in backticks"
            )),
        }
    }

    /// A word, or words with dots between them: `model.output`.
    fn name(&mut self) -> Token {
        let start = self.at;
        self.take_while(continues_name);
        while self.rest().starts_with('.') && self.rest()[1..].starts_with(continues_name) {
            self.at += 1;
            self.take_while(continues_name);
        }
        match &self.text[start..self.at] {
            "and" => Token::And,
            "or" => Token::Or,
            "not" => Token::Not,
            name => Token::Name {
                name: name.to_owned(),
                quoted: false,
            },
        }
    }

    /// What stands between two of `quote`; two in a row stand for one.
    fn quoted(&mut self, quote: char, what: &str) -> Result<String, FormulaError> {
        let start = self.at;
        let mut content = String::new();
        self.at += quote.len_utf8();
        loop {
            let rest = self.rest();
            let Some(end) = rest.find(quote) else {
                return Err(FormulaError::new(
                    start..start + quote.len_utf8(),
                    format!("the {what} that starts here does not end"),
                )
                .help(format!("close it with {quote}")));
            };
            content.push_str(&rest[..end]);
            self.at += end + quote.len_utf8();
            if !self.rest().starts_with(quote) {
                break;
            }
            content.push(quote);
            self.at += quote.len_utf8();
        }
        if content.is_empty() && quote == '`' {
            return Err(FormulaError::new(start..self.at, "a name has no letters"));
        }
        Ok(content)
    }

    /// `[2]`, `[label]` or `['any label']`.
    fn element(&mut self) -> Result<Token, FormulaError> {
        let start = self.at;
        self.at += 1;
        self.take_while(char::is_whitespace);
        let unclosed = || {
            FormulaError::new(
                start..start + 1,
                "the bracket that opens here does not close",
            )
            .help("an element is written `name[2]` or `name[label]`")
        };
        let content = if let Some(quote @ ('\'' | '"')) = self.peek() {
            let content = self.quoted(quote, "label")?;
            self.take_while(char::is_whitespace);
            content
        } else {
            let inside = self.at;
            self.take_while(|c| !matches!(c, ']' | '[' | '(' | '\n'));
            self.text[inside..self.at].trim().to_owned()
        };
        match self.peek() {
            Some(']') => self.at += 1,
            Some('[' | '(') => {
                return Err(FormulaError::new(
                    start..self.at + 1,
                    "an element is a number or a label, not an expression",
                )
                .help("a label with brackets in it stands in quotes: `name['a (b)']`"));
            }
            _ => return Err(unclosed()),
        }
        if content.is_empty() {
            return Err(
                FormulaError::new(start..self.at, "there is no element in the brackets")
                    .help("write `name[2]` or `name[label]`"),
            );
        }
        Ok(Token::Element(content))
    }

    fn sign(&mut self, first: char) -> Result<Token, FormulaError> {
        const SIGNS: &[(&str, Token)] = &[
            ("**", Token::Arithmetic(Arithmetic::Power)),
            ("<=", Token::Comparison(Comparison::LessOrEqual)),
            (">=", Token::Comparison(Comparison::GreaterOrEqual)),
            ("==", Token::Comparison(Comparison::Equal)),
            ("!=", Token::Comparison(Comparison::NotEqual)),
            ("&&", Token::And),
            ("||", Token::Or),
            ("+", Token::Arithmetic(Arithmetic::Add)),
            ("-", Token::Arithmetic(Arithmetic::Subtract)),
            ("*", Token::Arithmetic(Arithmetic::Multiply)),
            ("/", Token::Arithmetic(Arithmetic::Divide)),
            ("%", Token::Arithmetic(Arithmetic::Modulo)),
            ("^", Token::Arithmetic(Arithmetic::Power)),
            ("<", Token::Comparison(Comparison::Less)),
            (">", Token::Comparison(Comparison::Greater)),
            ("!", Token::Bang),
            ("(", Token::Open),
            (")", Token::Close),
            (",", Token::Comma),
        ];
        if let Some((wrong, right)) = self.foreign() {
            let span = self.at..self.at + wrong.len();
            return Err(
                FormulaError::new(span, format!("`{wrong}` is no operator of formulas"))
                    .help(right.to_owned()),
            );
        }
        for (sign, token) in SIGNS {
            if self.rest().starts_with(sign) {
                self.at += sign.len();
                return Ok(token.clone());
            }
        }
        let span = self.at..self.at + first.len_utf8();
        Err(FormulaError::new(
            span,
            format!("the character {first:?} has no meaning in a formula"),
        )
        .help("a name with such characters in it stands in backticks"))
    }

    /// An operator of another language at this place, and what to write instead.
    fn foreign(&self) -> Option<(&'static str, &'static str)> {
        const FOREIGN: &[(&str, &str)] = &[
            ("===", "write `==`"),
            ("!==", "write `!=`"),
            ("<>", "write `!=`"),
            ("=>", "write `>=`"),
            ("=<", "write `<=`"),
            (":=", "a formula assigns nothing; `==` compares"),
            ("//", "write `floor(a / b)`"),
            ("&", "write `and`"),
            ("|", "write `or`"),
            ("~", "write `not`"),
            ("?", "write `if(condition, a, b)`"),
            (":", "write `if(condition, a, b)`"),
            (";", "arguments have a comma between them"),
            ("{", "write `(`"),
            ("}", "write `)`"),
            ("]", "an element is written `name[2]` or `name[label]`"),
            ("×", "write `*`"),
            ("·", "write `*`"),
            ("÷", "write `/`"),
            ("−", "write `-`, the minus of the keyboard"),
            ("–", "write `-`, the minus of the keyboard"),
            ("≤", "write `<=`"),
            ("≥", "write `>=`"),
            ("≠", "write `!=`"),
            ("√", "write `sqrt(x)`"),
            ("²", "write `^ 2`"),
            ("³", "write `^ 3`"),
            ("“", "text stands in '...' or \"...\""),
            ("”", "text stands in '...' or \"...\""),
            ("‘", "text stands in '...' or \"...\""),
            ("’", "text stands in '...' or \"...\""),
            ("´", "a name stands in ` and `"),
        ];
        let rest = self.rest();
        let single = rest.starts_with('=') && !rest.starts_with("==");
        let plain = |sign: &str| {
            rest.starts_with("&&") && sign == "&" || rest.starts_with("||") && sign == "|"
        };
        let found = FOREIGN
            .iter()
            .find(|(sign, _)| rest.starts_with(sign) && !plain(sign));
        found
            .copied()
            .or_else(|| single.then_some(("=", "write `==` to compare")))
    }
}
