//! What is wrong with a unit, or with a conversion, and what to write instead.

use std::fmt;

use octofhir_ucum::{ErrorKind, UcumError};

use super::{Dimension, alias, currency};

/// What is wrong with an expression, before it is known where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Problem {
    Unknown(String),
    Ambiguous(String, &'static str),
    OffsetInProduct(String),
    CurvedInProduct(String),
    RootOfAtom,
    RootOfDimension(Dimension),
    ZerothRoot,
    TooLarge,
    TooLong(usize),
    Syntax(String),
    NoDensity,
    DensityValue,
    DensityUnit(Dimension),
}

impl Problem {
    /// What is wrong with `text`, which the parser of UCUM refused.
    pub(super) fn syntax(text: &str, error: &UcumError) -> Self {
        let outside_notes = without_notes(text);
        let reason = if text.trim().is_empty() {
            "it is empty; a plain number has the unit `1`".to_owned()
        } else if outside_notes.contains(char::is_whitespace) {
            "there must be no space in it; write `.` between factors and `/` for per".to_owned()
        } else if text.contains(char::is_whitespace) {
            "there must be no space in the braces; write `_` there".to_owned()
        } else if let Some(c) = outside_notes.chars().find(|c| !c.is_ascii()) {
            format!("`{c}` is no character of a unit; write a UCUM code of plain ASCII")
        } else {
            match &error.kind {
                ErrorKind::InvalidExpression {
                    reason,
                    position: Some(at),
                    ..
                } => {
                    let rest = text.get(*at..).unwrap_or_default();
                    let place = if rest.is_empty() {
                        "at its end".to_owned()
                    } else {
                        format!("at `{rest}`")
                    };
                    format!("{} {place}", lower_first(reason).replace('\'', "`"))
                }
                _ => lower_first(&error.message),
            }
        };
        Self::Syntax(reason)
    }
}

fn without_notes(text: &str) -> String {
    let mut inside = false;
    let outside = |c: &char| {
        let was = inside;
        inside = (inside || *c == '{') && *c != '}';
        !was && !inside
    };
    text.chars().filter(outside).collect()
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_lowercase().collect::<String>());
    format!("{}{}", first.unwrap_or_default(), chars.as_str())
}

/// A unit that cannot be read, or that a formula cannot make.
///
/// Displays as one sentence or two: what was written, what is wrong with it, what to write.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitError {
    /// The unit, or the product of units, as written.
    pub(super) text: String,
    pub(super) problem: Problem,
}

impl UnitError {
    /// The unit, or the product of units, that is wrong, as written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl std::error::Error for UnitError {}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        match &self.problem {
            Problem::Unknown(part) => unknown(f, text, part),
            Problem::Ambiguous(part, meanings) => {
                write!(
                    f,
                    "`{text}`: `{part}` has several meanings; write {meanings}"
                )
            }
            Problem::OffsetInProduct(code) => write!(
                f,
                "`{text}`: `{code}` has its zero at a temperature of its own, so it takes part in \
                 no product, quotient or power; write `K` (or `[degR]` for degrees Fahrenheit) for \
                 rates and differences, as in `K/h`"
            ),
            Problem::CurvedInProduct(code) => write!(
                f,
                "`{text}`: `{code}` is no plain factor (a logarithm, a tangent or a root), so it \
                 takes part in no product, quotient or power; bring the values to a plain unit first"
            ),
            Problem::RootOfAtom => write!(
                f,
                "`{text}`: the root of this unit has no name; convert to a unit of plain powers \
                 first, such as `m2` instead of `har`"
            ),
            Problem::RootOfDimension(dimension) => write!(
                f,
                "`{text}`: {dimension} has no such root, its exponents do not divide"
            ),
            Problem::ZerothRoot => write!(f, "`{text}`: there is no zeroth root"),
            Problem::TooLarge => write!(f, "`{text}`: the numbers in this unit are too large"),
            Problem::TooLong(longest) => write!(
                f,
                "a unit of {} bytes is too long; the longest has {longest}",
                text.len()
            ),
            Problem::Syntax(reason) => write!(f, "`{text}` is no unit: {reason}"),
            Problem::NoDensity => write!(
                f,
                "`{text}` is no density; write a number, a space and a unit, such as \
                 `56 [lb_av]/[bu_us]`"
            ),
            Problem::DensityValue => {
                write!(
                    f,
                    "`{text}` is no density; its number must be above 0 and finite"
                )
            }
            Problem::DensityUnit(dimension) => write!(
                f,
                "`{text}` is no density: its unit measures {dimension}, not {}",
                Dimension::density()
            ),
        }
    }
}

fn unknown(f: &mut fmt::Formatter<'_>, text: &str, part: &str) -> fmt::Result {
    if part == text {
        write!(f, "`{text}` is no unit; ")?;
    } else {
        write!(f, "`{text}`: `{part}` is no unit; ")?;
    }
    match nearest(part) {
        Some(word) => write!(f, "did you mean `{word}`?"),
        None if part.contains('*') => f.write_str("write `.` between factors, as in `N.m`"),
        None if part.contains('^') => {
            f.write_str("write a power without a sign, as in `m2` or `s-1`")
        }
        None => f.write_str("write a UCUM code such as `kg/har`, `Cel` or `[bu_us]/[acr_us]`"),
    }
}

/// The name that was meant, if one is near enough.
fn nearest(word: &str) -> Option<&'static str> {
    // A third of the letters may be wrong, and a swap counts as one mistake.
    let limit = word.chars().count() / 3;
    let names = alias::ALIASES.iter().map(|(name, _)| *name);
    let atoms = octofhir_ucum::get_all_units().iter().map(|unit| unit.code);
    // Money is written in capitals: `kgs` is more likely many a kg than a som.
    let capitals = !word.chars().any(char::is_lowercase);
    let currencies = currency::CODES.iter().filter(|_| capitals);
    names
        .chain(currencies.copied())
        .chain(atoms)
        .map(|name| {
            let bare = name.trim_matches(['[', ']']);
            let distance = strsim::osa_distance(word, name);
            let same = bare.eq_ignore_ascii_case(word) || name.eq_ignore_ascii_case(word);
            (if same { 0 } else { distance }, name)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Two units that do not convert into each other.
///
/// Displays as sentences: both units, both dimensions, and what to do.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversionError {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) obstacle: Obstacle,
}

/// Why two units do not convert into each other.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Obstacle {
    Dimensions(Dimension, Dimension),
    /// The two differ by mass per volume; whether the volume is on the left.
    Density(Dimension, Dimension, bool),
    Currencies(String, String),
    Annotations(Vec<String>, Vec<String>),
    Kinds(&'static str, &'static str),
    Curved(String),
    Range,
    /// A density that does not lead from the one to the other, and what these measure.
    WrongDensity(String, Dimension, Dimension),
}

impl ConversionError {
    /// Whether the two measure the same but for a density, mass per volume, that is not given.
    pub fn needs_density(&self) -> bool {
        matches!(self.obstacle, Obstacle::Density(..))
    }
}

impl std::error::Error for ConversionError {}

impl fmt::Display for ConversionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (&self.from, &self.to);
        write!(f, "`{from}` does not convert to `{to}`: ")?;
        match &self.obstacle {
            Obstacle::Dimensions(a, b) => {
                write!(f, "`{from}` measures {a}, `{to}` measures {b}")?;
                let letters = [
                    ("C", "; `C` is the coulomb, degrees Celsius are `Cel`"),
                    ("F", "; `F` is the farad, degrees Fahrenheit are `[degF]`"),
                ];
                for (letter, hint) in letters {
                    if from == letter || to == letter {
                        f.write_str(hint)?;
                    }
                }
                Ok(())
            }
            Obstacle::Density(a, b, volume_first) => {
                let (volume, mass) = if *volume_first {
                    (from, to)
                } else {
                    (to, from)
                };
                write!(
                    f,
                    "`{from}` measures {a}, `{to}` measures {b}; `{volume}` counts a volume where \
                     `{mass}` counts a mass, so the density of the commodity is needed, such as \
                     `56 [lb_av]/[bu_us]` for maize"
                )
            }
            Obstacle::Currencies(a, b) => write!(
                f,
                "there is no fixed rate between {a} and {b}; bring the rate along as a field in \
                 `{b}/{a}` and multiply by it"
            ),
            Obstacle::Annotations(a, b) => write!(
                f,
                "the notes in braces must be the same; on the left there is {}, on the right {}",
                notes(a),
                notes(b)
            ),
            Obstacle::Kinds(a, b) => write!(
                f,
                "the one counts {a} and the other {b}, which have the same dimension and are not \
                 the same quantity"
            ),
            Obstacle::Curved(code) => write!(
                f,
                "`{code}` is no plain factor (a logarithm, a tangent or a root); convert before \
                 the values are sent, or declare both sides in the same unit"
            ),
            Obstacle::Range => f.write_str("the factor is beyond the range of a 64-bit float"),
            Obstacle::WrongDensity(density, a, b) => write!(
                f,
                "`{from}` measures {a}, `{to}` measures {b}, and the density `{density}` does not \
                 lead from the one to the other"
            ),
        }
    }
}

fn notes(notes: &[String]) -> String {
    match notes {
        [] => "none".to_owned(),
        _ => notes.join(" and "),
    }
}
