//! What rows have shown that ran on a GPU and on the CPU.

use metrics::{counter, gauge};

use super::{
    PipelineGauges,
    recorder::{PARITY_BEYOND, PARITY_DIFFERENCE, PARITY_ROWS},
};
use crate::engine::Compared;

impl PipelineGauges {
    /// Rows of a step were compared; `largest` is the largest difference so far.
    pub fn compared(&self, model: &str, compared: &Compared, largest: f64) {
        let labels = [
            ("pipeline", self.pipeline.clone()),
            ("step", compared.step.to_string()),
            ("model", model.to_owned()),
        ];
        counter!(PARITY_ROWS, &labels).increment(compared.rows);
        counter!(PARITY_BEYOND, &labels).increment(compared.beyond);
        gauge!(PARITY_DIFFERENCE, &labels).set(largest);
    }
}
