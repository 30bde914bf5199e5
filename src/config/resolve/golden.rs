//! Messages whose results are known.

use super::Resolver;
use crate::config::{plan::GoldenPlan, raw::At, report::Report};

impl Resolver<'_> {
    /// The golden rows, where there are any and nothing is wrong with them.
    pub(super) fn golden(&mut self) -> Option<GoldenPlan> {
        let golden = self.raw.golden.as_ref()?;
        let input = self.existing(&golden.input, "file");
        let expected = self.existing(&golden.expected, "file");
        let rtol = self.tolerance("rtol", &golden.rtol);
        let atol = self.tolerance("atol", &golden.atol);
        Some(GoldenPlan {
            input: input?,
            expected: expected?,
            rtol: rtol?,
            atol: atol?,
        })
    }

    fn tolerance(&mut self, key: &str, number: &At<f64>) -> Option<f64> {
        if number.value.is_finite() && number.value >= 0.0 {
            return Some(number.value);
        }
        self.report(
            Report::new(format!("`{key}` must be a number like 1e-4, not below 0"))
                .at(&number.span(), ""),
        );
        None
    }
}
