//! Convolutions: cuDNN's methods, and forebay's own kernel.

use super::{Known, Own, WORKSPACE, fastest};
use crate::engine::cuda::{
    convolution::{Convolution, Operands, Shape},
    device::{CudaError, Cudnn, Device, Filtering, Memory, Method, Piece, Stream},
};

/// The most that it may use beside the pictures, in bytes.
const MOST: usize = 256 << 20;

/// Bytes that the library may use beside the pictures: it may want to turn them all.
pub(in crate::engine::cuda) fn room(shape: &Shape) -> usize {
    let all = shape
        .x()
        .unwrap_or(0)
        .saturating_add(shape.y().unwrap_or(0));
    shape.bytes(all).saturating_add(WORKSPACE).min(MOST)
}

/// cuDNN on a GPU, with what is known of its methods.
#[derive(Debug)]
pub(in crate::engine::cuda) struct Convolver {
    device: Device,
    /// Those that were opened: one takes long to open, and what a model no longer uses serves the next.
    handles: Vec<Cudnn>,
    /// By the shape's key and what follows.
    known: Known<Method>,
}

/// A convolution and the way that the library does it.
#[derive(Debug)]
pub(in crate::engine::cuda) struct Filtered {
    pub(in crate::engine::cuda) filtering: Filtering,
    pub(in crate::engine::cuda) method: Method,
}

/// What is measured, and on what.
#[derive(Clone, Copy)]
pub(in crate::engine::cuda) struct Measured<'a> {
    pub(in crate::engine::cuda) stream: &'a Stream,
    pub(in crate::engine::cuda) workspace: &'a Memory,
    /// What follows the library's part.
    pub(in crate::engine::cuda) rest: Own<'a>,
    /// Forebay's own kernel for all of it.
    pub(in crate::engine::cuda) own: Own<'a>,
}

impl Convolver {
    /// # Errors
    /// Why the library cannot be used, in words.
    pub(in crate::engine::cuda) fn open(device: &Device) -> Result<Self, String> {
        let cudnn = device.cudnn().map_err(|error| error.to_string())?;
        Ok(Self {
            device: device.clone(),
            known: Known::of(device, cudnn.version()),
            handles: vec![cudnn],
        })
    }

    /// The library for one stream: with a handle that no other uses as long as what is given lives, or a graph recorded with it.
    ///
    /// # Errors
    /// The library does not start once more.
    pub(in crate::engine::cuda) fn handle(&mut self) -> Result<Cudnn, CudaError> {
        if let Some(free) = self.handles.iter().find(|held| held.is_last()) {
            return Ok(free.clone());
        }
        let opened = self.device.cudnn()?;
        self.handles.push(opened.clone());
        Ok(opened)
    }

    /// The convolution by the fastest method, which has run once; none where the library has no way to do it, or forebay's kernel
    /// is faster.
    ///
    /// # Errors
    /// The driver's, or the library's where it cannot even be asked.
    pub(in crate::engine::cuda) fn tuned(
        &mut self,
        cudnn: &Cudnn,
        convolution: &Convolution,
        operands: Operands<Piece>,
        on: Measured<'_>,
    ) -> Result<Option<Filtered>, CudaError> {
        let filtering = cudnn.filtering(&convolution.shape, operands)?;
        let mut key = convolution.shape.key();
        if let Some(rest) = &convolution.rest {
            key = format!("{key} then {}", rest.kernel);
        }
        let room = room(&convolution.shape);
        let check = |kept: &Method| filtering.method(kept.number, room);
        let device = &self.device;
        let measured = || {
            let run = |method: &Method| {
                on.stream.convolve(&filtering, method, on.workspace)?;
                on.rest.map_or(Ok(()), |rest| rest(on.stream))
            };
            fastest(device, on.stream, filtering.methods(room), run, on.own)
        };
        let known = self.known.way(key, on.own.is_some(), check, measured)?;
        let Some(method) = known else {
            return Ok(None);
        };
        // The library loads a kernel when that is first used, and cannot while a graph is recorded.
        on.stream.convolve(&filtering, &method, on.workspace)?;
        Ok(Some(Filtered { filtering, method }))
    }

    /// Writes what was measured, for the next start.
    pub(in crate::engine::cuda) fn save(&mut self) {
        self.known.cache.save();
    }
}
