//! From one unit to another: at most a factor and an offset, exact to the last bit of a float
//! wherever the constants are.

use octofhir_ucum::Number;

use super::{
    Unit,
    dimension::{Base, Dimension},
    error::{ConversionError, Obstacle},
    meaning::{Kind, Meaning, Scale},
};

/// `y = factor * x + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// In units of the target per unit of the source.
    pub factor: f64,
    /// In units of the target.
    pub offset: f64,
}

impl Affine {
    /// Leaves every value as it is.
    pub const IDENTITY: Self = Self {
        factor: 1.0,
        offset: 0.0,
    };

    /// Whether every value stays as it is, to the bit.
    #[allow(clippy::float_cmp, reason = "only the exact factor 1 changes no value")]
    pub fn is_identity(self) -> bool {
        self.factor == 1.0 && self.offset == 0.0
    }

    /// The converted value.
    pub fn apply(self, value: f64) -> f64 {
        self.factor * value + self.offset
    }
}

impl Unit {
    /// How a value in this unit becomes one in `to`: `to = factor * x + offset`.
    ///
    /// # Errors
    ///
    /// Where the dimensions, currencies, notes in braces or kinds (`Hz` and `Bq`) differ, and for
    /// units that are no plain factor, unless both are the same but for a prefix (`dB` to `B`).
    pub fn conversion(&self, to: &Self) -> Result<Affine, ConversionError> {
        self.converted(to, true)
    }

    /// How a difference of two values in this unit becomes one in `to`: without the offset, so
    /// that 10 `K` of difference are 10 `Cel` and 18 `[degF]`.
    ///
    /// # Errors
    ///
    /// As for [`Unit::conversion`].
    pub fn difference_conversion(&self, to: &Self) -> Result<Affine, ConversionError> {
        self.converted(to, false)
    }

    fn converted(&self, to: &Self, with_offset: bool) -> Result<Affine, ConversionError> {
        let refused = |obstacle| ConversionError {
            from: self.to_string(),
            to: to.to_string(),
            obstacle,
        };
        comparable(&self.meaning, &to.meaning).map_err(refused)?;
        let out = affine(&self.meaning, &to.meaning, with_offset).map_err(refused)?;
        if out.factor.is_normal() && out.offset.is_finite() {
            Ok(out)
        } else {
            Err(refused(Obstacle::Range))
        }
    }
}

/// Whether the two measure the same.
fn comparable(from: &Meaning, to: &Meaning) -> Result<(), Obstacle> {
    let (a, b) = (&from.dimension, &to.dimension);
    if a != b {
        return Err(different(a, b));
    }
    if from.annotations != to.annotations {
        return Err(Obstacle::Annotations(from.notes(), to.notes()));
    }
    for group in Kind::GROUPS {
        let of = |meaning: &Meaning| -> Vec<(Kind, i32)> {
            let inside = |kind: &Kind| group.contains(kind);
            meaning
                .kinds
                .iter()
                .filter(|(kind, _)| inside(kind))
                .map(|(kind, count)| (*kind, *count))
                .collect()
        };
        let (ours, theirs) = (of(from), of(to));
        // A unit of no kind, such as `/s`, goes with all: formulas make such units.
        if let (Some(a), Some(b)) = (ours.first(), theirs.first())
            && ours != theirs
        {
            return Err(Obstacle::Kinds(a.0.words(), b.0.words()));
        }
    }
    Ok(())
}

/// Why two dimensions are not one.
fn different(a: &Dimension, b: &Dimension) -> Obstacle {
    let (ours, theirs) = (a.currencies(), b.currencies());
    if a.without_currencies() == b.without_currencies()
        && let ([one], [other]) = (ours.as_slice(), theirs.as_slice())
        && a.exponent(Base::Currency(one)) == b.exponent(Base::Currency(other))
    {
        return Obstacle::Currencies((*one).to_owned(), (*other).to_owned());
    }
    let density = Dimension::density();
    let leads = |from: &Dimension, to: &Dimension| from.times(&density, 1).as_ref() == Some(to);
    let volume_first = leads(a, b);
    if volume_first || leads(b, a) {
        return Obstacle::Density(a.clone(), b.clone(), volume_first);
    }
    Obstacle::Dimensions(a.clone(), b.clone())
}

/// `(scale * x + offset) * factor` of the one, solved for the other.
fn affine(from: &Meaning, to: &Meaning, with_offset: bool) -> Result<Affine, Obstacle> {
    let parts = |meaning: &Meaning| match meaning.scale {
        Scale::Ratio => Ok((Number::ONE, Number::ZERO)),
        Scale::Interval { scale, offset } => Ok((scale, offset)),
        Scale::Curved { .. } => Err(Obstacle::Curved(meaning.code().to_owned())),
    };
    if let (Scale::Curved { atom: a, scale: x }, Scale::Curved { atom: b, scale: y }) =
        (from.scale, to.scale)
        && a == b
    {
        // The same curve, so only the prefixes differ: 10 dB are 1 B.
        let factor = x.checked_div(y).ok_or(Obstacle::Range)?.to_f64();
        return Ok(Affine {
            factor,
            offset: 0.0,
        });
    }
    let ((scale, offset), (to_scale, to_offset)) = (parts(from)?, parts(to)?);
    let exact = || {
        let ratio = from.factor.checked_div(to.factor)?;
        let factor = scale.checked_mul(ratio)?.checked_div(to_scale)?;
        let offset = offset
            .checked_mul(ratio)?
            .checked_sub(to_offset)?
            .checked_div(to_scale)?;
        Some(Affine {
            factor: factor.to_f64(),
            offset: if with_offset { offset.to_f64() } else { 0.0 },
        })
    };
    exact().ok_or(Obstacle::Range)
}
