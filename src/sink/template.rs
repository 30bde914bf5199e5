//! Result subjects: templates over the tokens of the input's subject.

use std::fmt;

use crate::message::{Reject, Stage};

/// A subject with places for tokens of the input's subject: in `scores.{3}`, `{3}` is the third
/// dot-separated token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// From 0.
    Token(usize),
}

/// As it was written.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Token(index) => write!(f, "{{{}}}", index + 1)?,
            }
        }
        Ok(())
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A sentence that says what is wrong: an empty token, a space, a wildcard, a brace without
    /// its other half, or something else than a number from 1 in braces.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, after) = rest.split_at(open);
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (number, after) = after[1..]
                .split_once('}')
                .ok_or_else(|| format!("`{text}` has a `{{` without its `}}`"))?;
            match number.parse::<usize>() {
                Ok(number) if number > 0 => parts.push(Part::Token(number - 1)),
                _ => {
                    return Err(format!(
                        "`{{{number}}}` in `{text}` is not the number of a token; `{{1}}` is the first token of the input's subject"
                    ));
                }
            }
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let shape: String = parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Token(_) => "x",
            })
            .collect();
        if shape.contains('}') {
            return Err(format!("`{text}` has a `}}` without its `{{`"));
        }
        if shape.is_empty() || shape.split('.').any(str::is_empty) {
            return Err(format!("`{text}` has an empty token"));
        }
        if shape.contains(|c: char| c.is_whitespace() || c == '*' || c == '>') {
            return Err(format!(
                "`{text}` has a space or a wildcard; results go to plain subjects"
            ));
        }
        Ok(Self { parts })
    }

    /// The highest token number (from 1) that the template asks for; 0 for none.
    pub fn tokens(&self) -> usize {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(_) => 0,
                Part::Token(index) => index + 1,
            })
            .max()
            .unwrap_or(0)
    }

    /// The subject with a wildcard for each token that comes from the input: all subjects that
    /// results can go to, and perhaps some more.
    pub fn pattern(&self) -> String {
        let mut subject = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => subject.push_str(text),
                Part::Token(_) => subject.push('*'),
            }
        }
        let whole = |token: &str| if token.contains('*') { "*" } else { token }.to_owned();
        let tokens: Vec<_> = subject.split('.').map(whole).collect();
        tokens.join(".")
    }

    /// Appends the subject for a message that came on `subject` to `into`.
    ///
    /// # Errors
    /// The input's subject has too few tokens.
    pub fn render(&self, subject: &str, into: &mut String) -> Result<(), Reject> {
        for part in &self.parts {
            match part {
                Part::Text(text) => into.push_str(text),
                Part::Token(index) => into.push_str(subject.split('.').nth(*index).ok_or_else(
                    || {
                        Reject::new(
                            Stage::Sink,
                            "subject",
                            format!(
                                "the result's subject needs token {} of the input's subject `{subject}`, which has {}",
                                index + 1,
                                subject.split('.').count()
                            ),
                        )
                    },
                )?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, subject: &str) -> Result<String, String> {
        let mut out = String::new();
        Template::parse(template)?
            .render(subject, &mut out)
            .map_err(|reject| reject.reason)?;
        Ok(out)
    }

    #[test]
    fn tokens_are_filled_in() {
        assert_eq!(
            render("scores.{3}", "rows.income.MA"),
            Ok("scores.MA".into())
        );
        assert_eq!(render("a{1}-{2}.b", "x.y"), Ok("ax-y.b".into()));
        assert_eq!(render("plain", "x"), Ok("plain".into()));
        assert_eq!(Template::parse("a.{4}.{2}").map(|t| t.tokens()), Ok(4));
    }

    #[test]
    fn the_pattern_takes_every_result() {
        let pattern = |text| Template::parse(text).map(|template| template.pattern());
        assert_eq!(pattern("scores.income.{3}"), Ok("scores.income.*".into()));
        assert_eq!(pattern("a{1}-{2}.b"), Ok("*.b".into()));
        assert_eq!(pattern("plain"), Ok("plain".into()));
    }

    #[test]
    fn too_few_tokens_is_a_reject() {
        assert_eq!(
            render("scores.{3}", "rows.income"),
            Err("the result's subject needs token 3 of the input's subject `rows.income`, which has 2".into())
        );
    }

    #[test]
    fn bad_templates_are_refused() {
        for bad in [
            "", ".", "a..b", "a.{0}", "a.{x}", "a.{1", "a}.b", "a.*", "a.>", "a b", "a.{}",
        ] {
            assert!(Template::parse(bad).is_err(), "{bad:?}");
        }
    }
}
