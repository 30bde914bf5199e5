//! Forms batches. The batcher decides (pure); this room obeys.

use std::time::Duration;

/// When a batch is worth sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPolicy {
    /// Most rows in a batch. A single message with more rows is a batch of its own.
    pub max_rows: usize,
    /// How long the oldest row may wait for company while an engine is free. Zero sends whatever
    /// there is as soon as an engine is free.
    pub max_delay: Duration,
}
