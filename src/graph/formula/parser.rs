//! Tokens into a tree, by precedence climbing (V. Pratt, "Top down operator precedence", 1973).

use std::ops::Range;

use super::{
    ast::{Arithmetic, Comparison, Id, Kind, Logic, Tree},
    error::FormulaError,
    lexer::{Spanned, Token, tokens},
};

/// Bytes of the longest formula.
pub const MAX_LENGTH: usize = 20_000;

/// How deep the parts of a formula may stand in each other. A sum is not deeper for being long.
pub const MAX_DEPTH: usize = 128;

/// How tightly an operator binds; more is tighter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bond {
    Or,
    And,
    Not,
    Compare,
    Sum,
    Product,
    Sign,
    Power,
    Whole,
}

impl Bond {
    /// The next tighter one.
    pub(super) fn tighter(self) -> Self {
        match self {
            Self::Or => Self::And,
            Self::And => Self::Not,
            Self::Not => Self::Compare,
            Self::Compare => Self::Sum,
            Self::Sum => Self::Product,
            Self::Product => Self::Sign,
            Self::Sign => Self::Power,
            Self::Power | Self::Whole => Self::Whole,
        }
    }

    pub(super) fn of(op: Arithmetic) -> Self {
        match op {
            Arithmetic::Add | Arithmetic::Subtract => Self::Sum,
            Arithmetic::Multiply | Arithmetic::Divide | Arithmetic::Modulo => Self::Product,
            Arithmetic::Power => Self::Power,
        }
    }
}

/// The tree of `text`.
pub(super) fn parse(text: &str) -> Result<Tree, FormulaError> {
    if text.len() > MAX_LENGTH {
        return Err(FormulaError::new(
            0..0,
            format!(
                "the formula has {} bytes; {MAX_LENGTH} is the most",
                text.len()
            ),
        )
        .help("make several steps of it"));
    }
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        next: 0,
        depth: 0,
        tree: Tree::default(),
    };
    if parser.peek() == &Token::End {
        return Err(FormulaError::new(0..text.len(), "the formula is empty"));
    }
    parser.expression(Bond::Or)?;
    match parser.peek() {
        Token::End => Ok(parser.tree),
        _ => Err(parser.unexpected_after()),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Spanned>,
    next: usize,
    depth: usize,
    tree: Tree,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.tokens
            .get(self.next)
            .map_or(&Token::End, |spanned| &spanned.token)
    }

    fn span(&self) -> Range<usize> {
        self.tokens
            .get(self.next)
            .map_or(self.text.len()..self.text.len(), |spanned| {
                spanned.span.clone()
            })
    }

    /// The place behind the last token that was taken.
    fn end(&self) -> usize {
        self.next
            .checked_sub(1)
            .and_then(|last| self.tokens.get(last))
            .map_or(0, |spanned| spanned.span.end)
    }

    fn advance(&mut self) {
        self.next += 1;
    }

    fn take(&mut self, token: &Token) -> bool {
        let there = self.peek() == token;
        self.next += usize::from(there);
        there
    }

    /// Everything from here that binds at least as tightly as `bond`. All recursion goes through
    /// here, so here it is limited.
    fn expression(&mut self, bond: Bond) -> Result<Id, FormulaError> {
        if self.depth == MAX_DEPTH {
            return Err(FormulaError::new(
                self.span(),
                format!("the formula is nested more than {MAX_DEPTH} deep"),
            )
            .help("make several steps of it"));
        }
        self.depth += 1;
        let result = self.operators(bond);
        self.depth -= 1;
        result
    }

    fn operators(&mut self, bond: Bond) -> Result<Id, FormulaError> {
        let start = self.span().start;
        let mut left = self.operand(bond)?;
        loop {
            left = match self.peek().clone() {
                Token::Or if bond <= Bond::Or => self.logic(Logic::Or, left, start)?,
                Token::And if bond <= Bond::And => self.logic(Logic::And, left, start)?,
                Token::Comparison(_) if bond <= Bond::Compare => self.compare(left, start)?,
                Token::Arithmetic(op) if bond <= Bond::of(op) => {
                    self.arithmetic(op, left, start)?
                }
                _ => return Ok(left),
            };
        }
    }

    fn logic(&mut self, op: Logic, left: Id, start: usize) -> Result<Id, FormulaError> {
        self.advance();
        let right = self.expression(match op {
            Logic::Or => Bond::And,
            Logic::And => Bond::Not,
        })?;
        let span = start..self.end();
        Ok(self.tree.push(Kind::Logic { op, left, right }, span))
    }

    fn arithmetic(&mut self, op: Arithmetic, left: Id, start: usize) -> Result<Id, FormulaError> {
        self.advance();
        let right = self.expression(match op {
            // To the right first, and a sign may follow: `2 ^ -x ^ 2`.
            Arithmetic::Power => Bond::Sign,
            other => Bond::of(other).tighter(),
        })?;
        let span = start..self.end();
        Ok(self.tree.push(Kind::Arithmetic { op, left, right }, span))
    }

    fn compare(&mut self, left: Id, start: usize) -> Result<Id, FormulaError> {
        let mut operands = vec![left];
        let mut ops: Vec<Comparison> = Vec::new();
        while let Token::Comparison(op) = *self.peek() {
            self.advance();
            ops.push(op);
            operands.push(self.expression(Bond::Sum)?);
        }
        let span = start..self.end();
        Ok(self.tree.push(Kind::Compare { operands, ops }, span))
    }

    /// What may stand where a value is wanted.
    fn operand(&mut self, bond: Bond) -> Result<Id, FormulaError> {
        let span = self.span();
        let token = self.peek().clone();
        if token == Token::Not && bond > Bond::Not {
            return Err(
                FormulaError::new(span, "`not` cannot stand behind an operator")
                    .help("put it in parentheses: `(not x)`"),
            );
        }
        self.advance();
        match token {
            Token::Integer(value) => Ok(self.tree.push(Kind::Integer(value), span)),
            Token::Float(value) => Ok(self.tree.push(Kind::Float(value), span)),
            Token::Text(text) => Ok(self.tree.push(Kind::Text(text), span)),
            Token::Name { name, quoted } => self.name(name, quoted, span),
            Token::Open => {
                let inner = self.expression(Bond::Or)?;
                self.close(&span, "the parenthesis that opens here does not close")?;
                Ok(inner)
            }
            Token::Not => self.sign(Kind::Not, Bond::Not, span.start),
            Token::Bang => self.sign(Kind::Not, Bond::Sign, span.start),
            Token::Arithmetic(Arithmetic::Subtract) => {
                self.sign(Kind::Negate, Bond::Sign, span.start)
            }
            Token::Arithmetic(Arithmetic::Add) => Err(FormulaError::new(
                span,
                "a plus needs something on its left",
            )
            .help("leave it out")),
            other => Err(Self::no_operand(&other, span)),
        }
    }

    fn sign(
        &mut self,
        kind: impl Fn(Id) -> Kind,
        bond: Bond,
        start: usize,
    ) -> Result<Id, FormulaError> {
        let of = self.expression(bond)?;
        let span = start..self.end();
        Ok(self.tree.push(kind(of), span))
    }

    /// A column, one element of it, or a call.
    fn name(&mut self, name: String, quoted: bool, span: Range<usize>) -> Result<Id, FormulaError> {
        if let Token::Element(element) = self.peek() {
            let element = element.clone();
            self.advance();
            let span = span.start..self.end();
            let kind = Kind::Element {
                name,
                quoted,
                element,
            };
            return Ok(self.tree.push(kind, span));
        }
        let open = self.span();
        if quoted || !self.take(&Token::Open) {
            return Ok(self.tree.push(Kind::Name { name, quoted }, span));
        }
        let mut arguments = Vec::new();
        if !self.take(&Token::Close) {
            loop {
                arguments.push(self.expression(Bond::Or)?);
                if !self.take(&Token::Comma) {
                    break;
                }
            }
            self.close(
                &open,
                &format!("the parenthesis of `{name}` does not close"),
            )?;
        }
        let span = span.start..self.end();
        let kind = Kind::Call {
            function: name,
            arguments,
        };
        Ok(self.tree.push(kind, span))
    }

    /// Takes a closing parenthesis, or says that the one at `open` has none.
    fn close(&mut self, open: &Range<usize>, unclosed: &str) -> Result<(), FormulaError> {
        if self.take(&Token::Close) {
            return Ok(());
        }
        Err(match self.peek() {
            Token::End => FormulaError::new(open.clone(), unclosed).help("a `)` is missing"),
            Token::Comma => FormulaError::new(self.span(), "only a function has arguments")
                .help("the comma stands between parentheses without a function before them"),
            _ => self.unexpected_after(),
        })
    }

    /// The error for a token that stands where a value is wanted.
    fn no_operand(token: &Token, span: Range<usize>) -> FormulaError {
        let error = |what: &str| FormulaError::new(span.clone(), what);
        match token {
            Token::End => error("the formula ends where a value is wanted"),
            Token::Close => error("a value is wanted before this parenthesis"),
            Token::Comma => error("a value is wanted before this comma"),
            Token::Element(_) => error("only a column has elements")
                .help("an element is written `name[2]` or `name[label]`"),
            _ => error("this operator needs a value on its left"),
        }
    }

    /// The error for a token that stands where an operator, or the end, is wanted.
    fn unexpected_after(&self) -> FormulaError {
        let span = self.span();
        let error = |what: &str| FormulaError::new(span.clone(), what);
        let written = self.text.get(span.clone()).unwrap_or_default();
        match self.peek() {
            Token::Close => {
                error("no parenthesis is open here").help("leave it out, or open one before it")
            }
            Token::Comma => error("only a function has arguments")
                .help("a decimal point is a `.`; a formula has one result"),
            Token::Element(_) => error("only a column has elements")
                .help("an element is written `name[2]` or `name[label]`"),
            Token::Name {
                name,
                quoted: false,
            } if name == "if" || name == "else" => {
                error("an operator is wanted here").help("write `if(condition, a, b)`")
            }
            Token::Name {
                name,
                quoted: false,
            } if name == "in" => {
                error("there is no operator `in`").help("write `x == 'a' or x == 'b'`")
            }
            Token::Open => {
                error("an operator is wanted here").help("a product is written with `*`")
            }
            Token::Comparison(_) | Token::Bang | Token::Not => {
                error(&format!("`{written}` cannot stand here"))
                    .help("put what belongs together in parentheses")
            }
            _ => error("an operator is wanted here").help(format!(
                "a product is written `a * {written}`; a name with spaces stands in backticks"
            )),
        }
    }
}
