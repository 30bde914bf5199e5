//! Units of measure.

mod alias;
mod convert;
mod currency;
mod density;
mod dimension;
mod error;
mod meaning;

use std::fmt;

use octofhir_ucum::Number;

use error::Problem;
use meaning::{Meaning, Scale, Term};

pub use convert::Affine;
pub use density::{Density, test_weight};
pub use dimension::Dimension;
pub use error::{ConversionError, UnitError};

/// The longest expression that is read, in bytes.
const LONGEST: usize = 200;

/// A unit of measure. Displays as it was written; a product displays in UCUM.
///
/// Two units are equal if they are written the same; use [`Unit::conversion`] to ask whether they
/// mean the same.
#[derive(Clone, Debug)]
pub struct Unit {
    text: String,
    meaning: Meaning,
}

impl PartialEq for Unit {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Unit {}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Unit {
    /// Reads a UCUM expression or one of the names in the module's documentation.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let wrong = |problem| UnitError {
            text: text.to_owned(),
            problem,
        };
        if text.len() > LONGEST {
            return Err(wrong(Problem::TooLong(LONGEST)));
        }
        let spelled = alias::spelled(text);
        let expression = octofhir_ucum::parse_expression(&spelled)
            .map_err(|error| wrong(Problem::syntax(&spelled, &error)))?;
        let meaning = Meaning::of(&expression).map_err(wrong)?;
        Ok(Self {
            text: text.to_owned(),
            meaning,
        })
    }

    /// The unit of a plain number, `1`.
    pub fn one() -> Self {
        Self {
            text: "1".to_owned(),
            meaning: Meaning::one(),
        }
    }

    /// What it measures.
    pub fn dimension(&self) -> Dimension {
        self.meaning.dimension.clone()
    }

    /// Whether it measures a plain number, such as `1`, `%` or `[ppm]`; not `rad`, `mol` or `bit`.
    pub fn is_dimensionless(&self) -> bool {
        self.meaning.dimension.is_one()
    }

    /// Whether it is a plain factor: no offset (`Cel`, `[degF]`), no logarithm (`[pH]`, `dB`).
    pub fn is_linear(&self) -> bool {
        self.meaning.scale == Scale::Ratio
    }

    /// The unit of a product. Equal atoms are joined: `EUR/t` times `t/har` is `EUR/har`.
    ///
    /// # Errors
    ///
    /// For a unit that is not linear, and for exponents and numbers beyond any use.
    pub fn multiply(&self, other: &Self) -> Result<Self, UnitError> {
        let text = || format!("({self}).({other})");
        Self::made(self.meaning.times(&other.meaning, 1), text)
    }

    /// The unit of a quotient.
    ///
    /// # Errors
    ///
    /// As for [`Unit::multiply`].
    pub fn divide(&self, other: &Self) -> Result<Self, UnitError> {
        let text = || format!("({self})/({other})");
        Self::made(self.meaning.times(&other.meaning, -1), text)
    }

    /// The unit of a power; the zeroth is `1`.
    ///
    /// # Errors
    ///
    /// As for [`Unit::multiply`].
    pub fn power(&self, exponent: i32) -> Result<Self, UnitError> {
        let text = || format!("({self})^{exponent}");
        Self::made(Meaning::one().times(&self.meaning, exponent), text)
    }

    /// The unit of the `degree`-th root: `m` for the second of `m2`.
    ///
    /// # Errors
    ///
    /// As for [`Unit::multiply`], and where the exponents of the atoms do not divide by `degree`,
    /// even if those of the dimension do (`har`).
    pub fn root(&self, degree: u32) -> Result<Self, UnitError> {
        let text = || format!("root {degree} of {self}");
        let root = match i32::try_from(degree) {
            Ok(0) => Err(Problem::ZerothRoot),
            Ok(degree) => self.meaning.root(degree),
            Err(_) => Err(Problem::TooLarge),
        };
        Self::made(root, text)
    }

    fn made(
        meaning: Result<Meaning, Problem>,
        text: impl FnOnce() -> String,
    ) -> Result<Self, UnitError> {
        let written = meaning.and_then(|meaning| Ok((written(&meaning)?, meaning)));
        match written {
            Ok((text, meaning)) => Ok(Self { text, meaning }),
            Err(problem) => Err(UnitError {
                text: text(),
                problem,
            }),
        }
    }
}

/// A product in UCUM, such as `kg.m/s2`.
fn written(meaning: &Meaning) -> Result<String, Problem> {
    let (above, below) = meaning.numbers;
    let mut text = String::new();
    if above != Number::ONE {
        text.push_str(&whole(above)?);
    }
    for term in meaning.terms.iter().filter(|term| term.exponent > 0) {
        push_term(&mut text, ".", term);
    }
    if text.is_empty() {
        text.push('1');
    }
    if below != Number::ONE {
        text.push('/');
        text.push_str(&whole(below)?);
    }
    for term in meaning.terms.iter().filter(|term| term.exponent < 0) {
        push_term(&mut text, "/", term);
    }
    if text.len() > LONGEST {
        return Err(Problem::TooLarge);
    }
    Ok(text)
}

/// A whole number, in full.
fn whole(number: Number) -> Result<String, Problem> {
    let (digits, zeros) = number.to_integer_and_exponent();
    let zeros = usize::try_from(zeros).map_err(|_| Problem::TooLarge)?;
    if zeros > LONGEST {
        return Err(Problem::TooLarge);
    }
    Ok(format!("{digits}{}", "0".repeat(zeros)))
}

fn push_term(text: &mut String, join: &str, term: &Term) {
    let note = term
        .annotation
        .as_ref()
        .map_or_else(String::new, |note| format!("{{{note}}}"));
    let count = term.exponent.unsigned_abs();
    // A note that stands alone takes no exponent, so it is repeated; more than `LONGEST` would
    // be refused anyway.
    let repeats = if term.symbol.is_empty() {
        count.min(200)
    } else {
        1
    };
    for _ in 0..repeats {
        if !text.is_empty() {
            text.push_str(join);
        }
        text.push_str(&term.symbol);
        if count != 1 && !term.symbol.is_empty() {
            text.push_str(&count.to_string());
        }
        text.push_str(&note);
    }
}
