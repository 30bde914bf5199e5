//! Convolutions of `conv_*` as cuDNN does them, where it can.

use super::{
    Spot,
    conv::Conv,
    gemm::Activation,
    pointwise::{Arg, Class, Op, Operand, Program},
};
use crate::{
    engine::cuda::{
        convolution::{Order, Shape},
        product::Math,
    },
    graph::tensor::Element,
};

/// What the library does, and what is left to do with every number of the result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ByCudnn {
    pub(crate) shape: Shape,
    pub(crate) rest: Option<(Op, [f64; 2])>,
}

/// Pictures, channels, pixels: what the numbers of some pictures depend on, whatever their order.
pub(crate) type Sizes = [usize; 3];

impl Conv {
    /// The convolution by cuDNN in this precision; `None` where it cannot be asked for that. What is padded by more on one
    /// side than on the other is only where the windows end before.
    pub(crate) fn by_cudnn(&self, math: Math, order: Order) -> Option<ByCudnn> {
        if self.transposed {
            return None;
        }
        let [above, left] = self.window.before;
        let (relu, rest) = match self.activation {
            Activation::Relu => (true, None),
            other => (false, other.op()),
        };
        let shape = Shape {
            math,
            order,
            n: self.n,
            channels: self.channels,
            image: self.image,
            filters: self.filters,
            out: self.out,
            kernel: self.window.kernel,
            stride: self.window.stride,
            dilation: self.window.dilation,
            pad: [usize::try_from(above).ok()?, usize::try_from(left).ok()?],
            groups: self.groups,
            // It adds and cuts off only together with a bias: of zeros, where there is none.
            bias: self.bias.is_some() || self.add.is_some() || relu,
            add: self.add.is_some(),
            relu,
        };
        shape.check().ok()?;
        Some(ByCudnn { shape, rest })
    }

    /// What it reads as pictures, and what it gives: the pictures, what is added, the result.
    pub(crate) fn pictures(&self) -> [(Option<Spot>, Sizes); 3] {
        let pixels = |[height, width]: [usize; 2]| height * width;
        let result = [self.n, self.filters, pixels(self.out)];
        [
            (Some(self.x), [self.n, self.channels, pixels(self.image)]),
            (self.add, result),
            (Some(self.y), result),
        ]
    }
}

/// An activation of every number where it lies.
pub(crate) fn in_place(op: (Op, [f64; 2]), at: Spot, element: Element, count: usize) -> Program {
    let operand = Operand {
        at,
        element,
        stride: vec![1],
    };
    Program::in_place(op, vec![count], operand)
}

/// Pictures from one order to the other, and from one type to another. What is written is written in order: reading across the
/// memory costs less.
pub(crate) fn turned(
    [n, channels, pixels]: Sizes,
    (from, from_element): (Spot, Element),
    (to, to_element): (Spot, Element),
    order: Order,
) -> Program {
    let step = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    // One whole picture, then what lies side by side within it now, and then.
    let (inner, outer) = match order {
        Order::Channels => (channels, pixels),
        Order::Planes => (pixels, channels),
    };
    let whole = step(inner.saturating_mul(outer));
    Program {
        class: Class::F32,
        dims: vec![n, outer, inner],
        inputs: vec![Operand {
            at: from,
            element: from_element,
            stride: vec![whole, 1, step(outer)],
        }],
        instructions: Vec::new(),
        outputs: vec![(
            Arg::In(0),
            Operand {
                at: to,
                element: to_element,
                stride: vec![whole, step(inner), 1],
            },
        )],
    }
}
