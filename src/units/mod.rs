//! Units of measure: read, multiplied, and converted into each other.
//!
//! A unit is written in UCUM, case-sensitive (`kg/har`, `Cel`, `m/s2`, `[bu_us]/[acr_us]`; version
//! 2.2, <https://ucum.org/ucum>), with these additions:
//!
//! - Area: `ha`, `hectare`, `hectares`; `ac`, `acre`, `acres` (US survey, the one UCUM has)
//! - Volume, of the United States: `bu`, `bushel`, `bushels`, `gal`, `gallon`, `gallons`, `bbl`; and
//!   `liter`, `litre`
//! - Mass: `lb`, `lbs`, `pound`, `pounds`, `oz` (avoirdupois); `tonne`, `tonnes`
//! - Length, international: `in`, `inch`, `inches`, `ft`, `foot`, `feet`, `yd`, `mi`, `mile`,
//!   `miles`, `nmi`
//! - Time: `sec`, `second`, `seconds`, `minute`, `minutes`, `hr`, `hour`, `hours`, `day`, `days`,
//!   `week`, `weeks`
//! - Speed: `kmh`, `kph`, `mph`, `knot`, `knots`
//! - Temperature: `degC`, `°C`, `celsius`, `Celsius`, `degF`, `°F`, `fahrenheit`, `Fahrenheit`,
//!   `degR`; not `C` and `F`, which are the coulomb and the farad
//! - Energy, force, pressure: `Wh`, `kWh`, `MWh`, `GWh`, `lbf`, `psi`, `mmHg`, `inHg`
//! - Parts: `percent`, `ppm`, `ppb`, `‰`
//! - Characters: `µ` for `u`, `Ω`, `Å`, `°`, `€`, `·` and `×` for `.`, and powers such as `²` and `⁻¹`
//! - Money: the codes of ISO 4217 (`EUR/t`), without prefixes; thousands are `10*3.EUR`
//!
//! `ft`, `mph` and `kph` hide a code of UCUM (femtotonne, milliphot, kilophot). Names with several meanings (`ton`,
//! `cwt`, `pint`, `quart`, `month`, `year`, `hp`, `$`) are refused with what to write instead.
//!
//! Where UCUM says that two units are the same, and people who mix them are mistaken, the answer
//! here is another:
//!
//! - A note in braces must be the same on both sides: `kg{dry}` is not `kg{wet}`, nor `kg`. This is
//!   how a field tells what a dimension cannot: `N.m{torque}` and `J` do not convert, while `N.m`
//!   and `J` do, for a force times a length is an energy.
//! - `mol`, and `bit`, are no plain numbers; neither converts to `1`.
//! - `Hz` and `Bq`, `Gy` and `Sv`, `mol`, `eq` and `osm` do not convert into each other. A unit that
//!   names none of them does: `Hz` is `/s`, and so is `Bq`.
//! - A temperature has an offset; a difference of temperatures has none. The caller says which it is:
//!   [`Unit::conversion`] or [`Unit::difference_conversion`].
//! - `%` is a hundredth, so a value in `%` becomes one in `1` by the factor 0.01.
//! - Currencies do not convert: there is no fixed rate.
//!
//! Logarithms and other curves (`[pH]`, `dB`, `Np`, `%[slope]`) convert to nothing but themselves.
//! Between volume and mass a [`Density`] leads.

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
    let (above, below) = reduced(meaning.numbers);
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

/// A fraction in lowest terms, as far as its numbers are within 128 bits.
fn reduced((above, below): (Number, Number)) -> (Number, Number) {
    let integer = |number: Number| {
        let (digits, zeros) = number.to_integer_and_exponent();
        let tens = 10_i128.checked_pow(u32::try_from(zeros).ok()?)?;
        digits.checked_mul(tens)
    };
    let (Some(mut a), Some(mut b)) = (integer(above), integer(below)) else {
        return (above, below);
    };
    while b != 0 {
        (a, b) = (b, a.rem_euclid(b));
    }
    let divided = |number: Number| number.checked_div(Number::parse(&a.to_string())?);
    match (divided(above), divided(below)) {
        (Some(above), Some(below)) => (above, below),
        _ => (above, below),
    }
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

#[cfg(test)]
mod tests;
