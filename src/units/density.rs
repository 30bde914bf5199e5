//! Between volume and mass: the density of a commodity.

use std::fmt;

use super::{
    Affine, Unit,
    error::{ConversionError, Obstacle, Problem, UnitError},
};

/// Pounds to the bushel by which United States trade and statistics count a bushel of a commodity.
///
/// Source: the standard weights of the U.S. Department of Agriculture (Agricultural Handbook 697,
/// "Weights, Measures, and Conversion Factors for Agricultural Commodities and Their Products",
/// 1992, table 6). They are conventions: what a bushel of one lot weighs is another matter, so use
/// test weights where they are measured. For sunflower, University of Missouri Extension G4020
/// gives 24 to 32, and grade no. 1 (7 CFR 810.1804) starts at 25; there is no one number to give.
#[rustfmt::skip]
const TEST_WEIGHTS: &[(&[&str], f64)] = &[
    (&["maize", "corn"], 56.0),
    (&["wheat"], 60.0),
    (&["soybeans", "soybean", "soya"], 60.0),
    (&["barley"], 48.0),
    (&["oats", "oat"], 32.0),
    (&["rye"], 56.0),
    (&["sorghum"], 56.0),
    (&["rice"], 45.0),
    (&["flaxseed", "linseed"], 56.0),
];

/// The standard weight of a US bushel of a commodity in avoirdupois pounds, [`[lb_av]/[bu_us]`].
///
/// The names are lower case: `maize` or `corn` (shelled), `wheat`, `soybeans`, `barley`, `oats`,
/// `rye`, `sorghum` (grain), `rice` (rough), `flaxseed`. There is none for sunflower, whose
/// bushel is counted with 24 to 32 pounds from state to state.
///
/// [`[lb_av]/[bu_us]`]: Unit::parse
pub fn test_weight(commodity: &str) -> Option<f64> {
    let (_, pounds) = TEST_WEIGHTS
        .iter()
        .find(|(names, _)| names.contains(&commodity))?;
    Some(*pounds)
}

/// A number and a unit of mass per volume.
#[derive(Clone, Debug, PartialEq)]
pub struct Density {
    value: f64,
    unit: Unit,
}

impl Density {
    /// Reads a number and a unit with a space between them, such as `56 [lb_av]/[bu_us]`.
    ///
    /// # Errors
    ///
    /// For a number that is not positive and finite, and for a unit that is not mass per volume.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let wrong = |problem| UnitError {
            text: text.to_owned(),
            problem,
        };
        let (number, unit) = text
            .trim()
            .split_once(' ')
            .ok_or_else(|| wrong(Problem::NoDensity))?;
        let value = number.parse().map_err(|_| wrong(Problem::NoDensity))?;
        Self::new(value, Unit::parse(unit.trim())?)
    }

    /// The density of `value` in `unit`.
    ///
    /// # Errors
    ///
    /// As for [`Density::parse`].
    pub fn new(value: f64, unit: Unit) -> Result<Self, UnitError> {
        let density = Self { value, unit };
        let wrong = |problem| UnitError {
            text: density.to_string(),
            problem,
        };
        if !(density.value.is_normal() && density.value > 0.0) {
            return Err(wrong(Problem::DensityValue));
        }
        let dimension = density.unit.dimension();
        if !dimension.is_density() {
            return Err(wrong(Problem::DensityUnit(dimension)));
        }
        Ok(density)
    }

    /// The standard weight of a US bushel of `commodity`, where there is one ([`test_weight`]).
    pub fn of_commodity(commodity: &str) -> Option<Self> {
        let value = test_weight(commodity)?;
        let unit = Unit::parse("[lb_av]/[bu_us]").ok()?;
        Some(Self { value, unit })
    }

    /// How a value in `from` becomes one in `to` where one of the two counts a volume and the other
    /// a mass of this density: `[bu_us]/[acr_us]` to `kg/har`, or back. There is no offset.
    ///
    /// # Errors
    ///
    /// Where the density does not lead from the one to the other, and as for [`Unit::conversion`].
    pub fn conversion(&self, from: &Unit, to: &Unit) -> Result<Affine, ConversionError> {
        let refused = |obstacle| ConversionError {
            from: from.to_string(),
            to: to.to_string(),
            obstacle,
        };
        let astray = || Obstacle::WrongDensity(self.to_string(), from.dimension(), to.dimension());
        let to_mass = from.multiply(&self.unit);
        let to_volume = from.divide(&self.unit);
        let leads = |unit: &Unit| unit.dimension() == to.dimension();
        let (between, factor) = match (to_mass, to_volume) {
            (Ok(unit), _) if leads(&unit) => (unit, self.value),
            (_, Ok(unit)) if leads(&unit) => (unit, self.value.recip()),
            _ => return Err(refused(astray())),
        };
        let unscaled = between.conversion(to)?;
        let factor = unscaled.factor * factor;
        if !factor.is_normal() {
            return Err(refused(Obstacle::Range));
        }
        Ok(Affine {
            factor,
            offset: 0.0,
        })
    }
}

impl fmt::Display for Density {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.value, self.unit)
    }
}
