//! Trees as operators of ONNX Runtime's, so that all else of a graph stays as it is.

use std::{ops::RangeInclusive, sync::Arc};

use ort::{
    operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput},
    value::TensorElementType,
};

use super::{
    meaning::Meaning,
    walker::{Results, Walker},
};

/// One node's trees.
pub(super) struct Trees {
    /// Its operator's name, which no other node has.
    pub(super) name: String,
    pub(super) meaning: Arc<Meaning>,
}

/// Of one session.
pub(super) struct Walk(Walker);

impl Operator for Trees {
    type Kernel<'attr> = Walk;

    fn name(&self) -> &str {
        &self.name
    }

    fn versions(&self) -> RangeInclusive<u32> {
        1..=1
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::required(TensorElementType::Float32)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        let label = OperatorOutput::required(TensorElementType::Int64);
        let label = (self.meaning.finish.classes.as_ref()).map(|_| label);
        let scores = OperatorOutput::required(TensorElementType::Float32);
        label.into_iter().chain([scores])
    }

    fn create_kernel<'attr>(&self, _: &KernelContext<'attr>) -> ort::Result<Self::Kernel<'attr>> {
        Ok(Walk(Walker::new(Arc::clone(&self.meaning))))
    }
}

impl Kernel for Walk {
    fn compute(&mut self, ctx: &ComputeContext) -> ort::Result<()> {
        let none = || ort::Error::new("a tensor of its trees is not there");
        let x = ctx.input(0)?.ok_or_else(none)?;
        let (shape, x) = x.try_extract_tensor::<f32>()?;
        let size = |dim: i64| usize::try_from(dim).unwrap_or(0);
        let (rows, width) = match **shape {
            // ONNX Runtime takes that for one row, of which only the first number can be compared.
            [width] if self.0.meaning.forest.largest == 0 => (1, size(width)),
            [rows, width] => (size(rows), size(width)),
            _ => {
                let why = format!("its trees take rows of numbers, and were fed {shape:?}");
                return Err(ort::Error::new(why));
            }
        };
        let targets = self.0.meaning.targets;
        let classes = self.0.meaning.finish.classes.is_some();
        let mut scores = ctx
            .output(usize::from(classes), [rows, targets])?
            .ok_or_else(none)?;
        let (_, scores) = scores.try_extract_tensor_mut::<f32>()?;
        let mut run = |labels: &mut [i64]| {
            let results = Results { scores, labels };
            (self.0.run((x, width), rows, results)).map_err(ort::Error::new)
        };
        if !classes {
            return run(&mut []);
        }
        let mut labels = ctx.output(0, [rows])?.ok_or_else(none)?;
        let (_, labels) = labels.try_extract_tensor_mut::<i64>()?;
        run(labels)
    }
}
