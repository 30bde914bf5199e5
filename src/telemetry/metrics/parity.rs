//! What rows have shown that ran on a GPU and on the CPU.

use metrics::{counter, gauge};

use super::{
    PipelineGauges,
    recorder::{PARITY_BEYOND, PARITY_DIFFERENCE, PARITY_ROWS},
};

impl PipelineGauges {
    /// So many more rows of a step were compared, and so many of these were beyond the tolerance; `largest` is the largest
    /// difference so far.
    pub fn compared(&self, step: &str, model: &str, [rows, beyond]: [u64; 2], largest: f64) {
        let labels = [
            ("pipeline", self.pipeline.clone()),
            ("step", step.to_owned()),
            ("model", model.to_owned()),
        ];
        counter!(PARITY_ROWS, &labels).increment(rows);
        counter!(PARITY_BEYOND, &labels).increment(beyond);
        gauge!(PARITY_DIFFERENCE, &labels).set(largest);
    }
}
