//! What products of matrices are multiplied as on a GPU, and how far results may be off for that.

use std::{fmt, num::NonZeroU32};

use super::cuda::product::Math;

/// What products are multiplied as, as asked for. Sums, and all else, stay as the model has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// The fastest whose results are within the tolerance.
    #[default]
    Auto,
    /// This one.
    As(Math),
}

/// Every one that can be asked for.
const MATHS: [Math; 4] = [Math::Single, Math::Tf32, Math::Half, Math::Bfloat];

impl Precision {
    /// Reads a name as pipeline files write it: `auto`, `fp32`, `tf32`, `fp16`, `bf16`.
    pub fn parse(name: &str) -> Option<Self> {
        let named = MATHS.into_iter().find(|math| math.name() == name);
        match named {
            None => (name == "auto").then_some(Self::Auto),
            named => named.map(Self::As),
        }
    }

    /// The names of all.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ["auto"].into_iter().chain(MATHS.map(Math::name))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::As(math) => math.name(),
        })
    }
}

/// How exact a model's results on a GPU must be.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Accuracy {
    /// What products are multiplied as.
    pub precision: Precision,
    /// How far a fraction may be off from what the CPU gives, as a part of the largest of its output; what is usual where
    /// nothing is said.
    pub tolerance: Option<f64>,
    /// Of so many rows that run on a GPU, one is run on the CPU too, and compared.
    pub parity: Option<NonZeroU32>,
}

impl Accuracy {
    /// Of a graph without a model: what steps compute is not made less exact where no model has a say.
    pub const OF_STEPS: Self = Self {
        precision: Precision::As(Math::Single),
        tolerance: None,
        parity: None,
    };
    /// Single precision that is summed in another order.
    const SINGLE: f64 = 1e-4;
    /// Ten bits of each fraction, in a few layers.
    const SHORT: f64 = 1e-3;

    /// How far a fraction may be off where products are multiplied as this.
    pub fn limit(&self, math: Math) -> f64 {
        let usual = match math {
            Math::Single => Self::SINGLE,
            Math::Tf32 | Math::Half | Math::Bfloat => Self::SHORT,
        };
        self.tolerance.unwrap_or(usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for name in Precision::names() {
            assert_eq!(
                Precision::parse(name).map(|precision| precision.to_string()),
                Some(name.to_owned())
            );
        }
        for name in ["", "FP16", "float16", "int8", "fp8"] {
            assert_eq!(Precision::parse(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_multiplied_shorter_may_be_off_by_more_unless_something_is_said() {
        let usual = Accuracy::default();
        assert!(usual.limit(Math::Single) < usual.limit(Math::Half));
        let said = Accuracy {
            tolerance: Some(1e-6),
            ..usual
        };
        assert_eq!(said.limit(Math::Single).to_bits(), 1e-6f64.to_bits());
        assert_eq!(said.limit(Math::Half).to_bits(), 1e-6f64.to_bits());
    }
}
