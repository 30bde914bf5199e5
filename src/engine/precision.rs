//! What products of matrices are multiplied as on a GPU, and how far results may be off for that.

use std::{fmt, num::NonZeroU32};

use super::{EngineSpec, Placed, cuda::product::Math};

/// What products are multiplied as, as asked for. Sums, and all else, stay as the model has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// The fastest whose results are within the tolerance.
    #[default]
    Auto,
    /// This one.
    As(Math),
}

/// Every one that can be asked for, from the most exact to the least.
pub(super) const MATHS: [Math; 4] = [Math::Single, Math::Tf32, Math::Half, Math::Bfloat];

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
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accuracy {
    /// What products are multiplied as.
    pub precision: Precision,
    /// The least exact that [`Precision::Auto`] may choose: with a less exact one the golden rows did not pass.
    pub coarsest: Math,
    /// How far a fraction may be off from what the CPU gives, as a part of the largest of its output; what is usual where
    /// nothing is said.
    pub tolerance: Option<f64>,
    /// Of so many rows that run on a GPU, one is run on the CPU too, and compared.
    pub parity: Option<NonZeroU32>,
}

impl Default for Accuracy {
    fn default() -> Self {
        Self {
            precision: Precision::Auto,
            coarsest: Math::Bfloat,
            tolerance: None,
            parity: None,
        }
    }
}

impl Accuracy {
    /// Of a graph without a model: what steps compute is not made less exact where no model has a say.
    pub const OF_STEPS: Self = Self {
        precision: Precision::As(Math::Single),
        coarsest: Math::Single,
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

impl EngineSpec {
    /// The same with something more exact where `precision: auto` chose the least exact of all that it chose; nothing where
    /// that cannot be. `placed` is where the steps run.
    #[must_use]
    pub fn more_exact(&self, placed: &[Placed]) -> Option<Self> {
        let coarsest = placed.iter().filter_map(|placed| placed.chosen).max()?;
        let next = MATHS.into_iter().rfind(|math| *math < coarsest)?;
        let mut spec = self.clone();
        for (step, placed) in spec.steps.iter_mut().zip(placed) {
            if placed.chosen == Some(coarsest) {
                step.accuracy.coarsest = next;
            }
        }
        Some(spec)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::engine::{Device, ModelSource, StepSpec};

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

    #[test]
    fn the_least_exact_that_was_chosen_becomes_more_exact_until_all_are() {
        let step = StepSpec {
            source: ModelSource::built("model.onnx", Bytes::new()),
            inputs: Vec::new(),
            when: None,
            device: Device::Auto,
            accuracy: Accuracy::default(),
        };
        let mut spec = EngineSpec {
            steps: vec![step; 3],
            outputs: Vec::new(),
            state: None,
            max_rows: 1,
        };
        // The first takes the least exact that it may, the second never less than tf32, and the third what was asked for.
        let placed = |spec: &EngineSpec| -> Vec<Placed> {
            let may = |step: usize| spec.steps[step].accuracy.coarsest;
            let chosen = [Some(may(0)), Some(may(1).min(Math::Tf32)), None];
            let placed = chosen.map(|chosen| Placed {
                chosen,
                ..Placed::new(Device::Cuda(0), "")
            });
            placed.to_vec()
        };
        let mut seen: Vec<Vec<Math>> = Vec::new();
        while let Some(next) = spec.more_exact(&placed(&spec)) {
            spec = next;
            seen.push(
                placed(&spec)
                    .into_iter()
                    .filter_map(|step| step.chosen)
                    .collect(),
            );
        }
        let expected = [
            vec![Math::Half, Math::Tf32],
            vec![Math::Tf32, Math::Tf32],
            vec![Math::Single, Math::Single],
        ];
        assert_eq!(seen, expected);
        assert_eq!(spec.steps[2].accuracy, Accuracy::default());
        let on_cpu = vec![Placed::new(Device::Cpu, ""); 3];
        assert_eq!(spec.more_exact(&on_cpu), None);
    }
}
