//! `nms_f32`.

use super::{Params, Spot, THREADS, TooLarge};
use crate::engine::cuda::plan::Launch;

/// Which boxes of each class stay; see `kernels/args_boxes.cuh`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nms {
    pub(crate) boxes: Spot,
    pub(crate) scores: Spot,
    pub(crate) to: Spot,
    /// Memory of the size of `to`.
    pub(crate) left: Spot,
    pub(crate) rows: usize,
    pub(crate) classes: usize,
    pub(crate) count: usize,
    /// Boxes that stay at most.
    pub(crate) most: usize,
    /// Boxes are written as their middle and sizes.
    pub(crate) center: bool,
    pub(crate) iou: f32,
    /// Only scores above it count.
    pub(crate) score: Option<f32>,
}

impl Nms {
    pub(crate) fn launch(&self) -> Result<Launch<Spot>, TooLarge> {
        let groups = self.rows * self.classes;
        Params::default()
            .at(self.boxes)
            .at(self.scores)
            .at(self.to)
            .at(self.left)
            .count(groups)
            .small(self.classes)
            .small(self.count)
            .small(self.most)
            .int(self.score.is_some().into())
            .int(self.center.into())
            .float(self.iou)
            .float(self.score.unwrap_or(0.0))
            .int(0)
            .launch(
                "nms_f32",
                [(groups as u64).clamp(1, 1 << 20), 1, 1],
                THREADS,
                0,
            )
    }
}
