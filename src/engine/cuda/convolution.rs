//! Convolutions of pictures as cuDNN is asked for them: what, and on which places. Nothing here calls it.

use std::fmt;

use super::{
    plan::{Launch, Place},
    product::Math,
};

/// In which order the numbers of pictures and of filters lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// A plane for each channel, as ONNX has them: `[n, channels, height, width]`.
    Planes,
    /// The channels of a pixel side by side: `[n, height, width, channels]`. What tensor cores read best.
    Channels,
}

impl Order {
    /// As it is written in keys and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Planes => "planes",
            Self::Channels => "channels",
        }
    }
}

/// What is asked for, but for the places: what a method is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Of all numbers; sums are in single precision.
    pub math: Math,
    /// Of pictures and filters.
    pub order: Order,
    /// How many pictures.
    pub n: usize,
    /// Channels of a picture.
    pub channels: usize,
    /// Its height and width.
    pub image: [usize; 2],
    /// Channels of a result.
    pub filters: usize,
    /// Its height and width.
    pub out: [usize; 2],
    /// Height and width of a filter.
    pub kernel: [usize; 2],
    /// Pixels from one window to the next.
    pub stride: [usize; 2],
    /// Pixels from one of a window's cells to the next.
    pub dilation: [usize; 2],
    /// Zeros above and below, left and right.
    pub pad: [usize; 2],
    /// Channels and filters are so many parts, each with the other's alone.
    pub groups: usize,
    /// Whether a number is added to each channel.
    pub bias: bool,
    /// Whether a picture of the result's shape is added.
    pub add: bool,
    /// Whether what is below zero then becomes zero.
    pub relu: bool,
}

impl Shape {
    /// Whether there can be such a convolution, and the library can count its numbers.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), &'static str> {
        let Self {
            n,
            channels,
            filters,
            groups,
            ..
        } = *self;
        let sizes = [n, channels, filters, groups];
        let pairs = [
            self.image,
            self.out,
            self.kernel,
            self.stride,
            self.dilation,
        ];
        if sizes
            .iter()
            .chain(pairs.as_flattened())
            .any(|size| *size == 0)
        {
            return Err("something has a size of 0");
        }
        if !channels.is_multiple_of(groups) || !filters.is_multiple_of(groups) {
            return Err("channels or filters are not so many groups");
        }
        for at in 0..2 {
            if self.windows(at) != Some(self.out[at]) {
                return Err("the result has another size than the windows have places");
            }
        }
        // The library counts in 32 bits.
        let all = [self.x(), self.w(), self.y()];
        let countable =
            |count: &Option<usize>| count.is_some_and(|count| i32::try_from(count).is_ok());
        if !all.iter().all(countable) {
            return Err("the pictures have more numbers than the library can count");
        }
        Ok(())
    }

    /// Places of a window along a dimension.
    fn windows(&self, at: usize) -> Option<usize> {
        let span = self.dilation[at]
            .checked_mul(self.kernel[at] - 1)?
            .checked_add(1)?;
        let padded = self.image[at].checked_add(self.pad[at].checked_mul(2)?)?;
        Some(padded.checked_sub(span)? / self.stride[at] + 1)
    }

    fn count(sizes: &[usize]) -> Option<usize> {
        (sizes.iter()).try_fold(1_usize, |count, size| count.checked_mul(*size))
    }

    /// Numbers of the pictures; none where there are too many to count.
    pub fn x(&self) -> Option<usize> {
        Self::count(&[self.n, self.channels, self.image[0], self.image[1]])
    }

    /// Numbers of the filters.
    pub fn w(&self) -> Option<usize> {
        let each = self.channels / self.groups.max(1);
        Self::count(&[self.filters, each, self.kernel[0], self.kernel[1]])
    }

    /// Numbers of the result.
    pub fn y(&self) -> Option<usize> {
        Self::count(&[self.n, self.filters, self.out[0], self.out[1]])
    }

    /// Bytes of so many numbers.
    pub fn bytes(&self, count: usize) -> usize {
        count.saturating_mul(self.math.element().bits() / 8)
    }

    /// Everything that the choice of a method depends on but the device and the library, as a line of text.
    pub fn key(&self) -> String {
        let pair = |[height, width]: [usize; 2]| format!("{height},{width}");
        format!(
            "{self} stride={} dilation={} pad={} groups={}",
            pair(self.stride),
            pair(self.dilation),
            pair(self.pad),
            self.groups
        )
    }
}

/// `fp32 planes [2x16x8x8] = [2x3x10x10] * [16x3x3x3] +bias relu`: result, pictures, filters, always with the channels first.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n,
            channels,
            image: [height, width],
            filters,
            out: [rows, columns],
            kernel: [tall, wide],
            ..
        } = self;
        let each = channels / self.groups.max(1);
        write!(
            f,
            "{} {} [{n}x{filters}x{rows}x{columns}] = [{n}x{channels}x{height}x{width}] * [{filters}x{each}x{tall}x{wide}]",
            self.math.name(),
            self.order.name()
        )?;
        for (has, said) in [
            (self.bias, " +bias"),
            (self.add, " +picture"),
            (self.relu, " relu"),
        ] {
            f.write_str(if has { said } else { "" })?;
        }
        Ok(())
    }
}

/// Where the numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operands<P> {
    /// The pictures.
    pub x: P,
    /// The filters.
    pub w: P,
    /// A number for each channel of the result, where there are any.
    pub bias: Option<P>,
    /// What is added, where anything is.
    pub add: Option<P>,
    /// The result.
    pub y: P,
}

impl<P> Operands<P> {
    /// All of them, by name.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &P)> {
        let all = [
            ("x", Some(&self.x)),
            ("w", Some(&self.w)),
            ("bias", self.bias.as_ref()),
            ("add", self.add.as_ref()),
            ("y", Some(&self.y)),
        ];
        all.into_iter()
            .filter_map(|(name, place)| Some((name, place?)))
    }

    /// The same, somewhere else.
    ///
    /// # Errors
    /// The first of `moved`.
    pub fn moved<Q, E>(&self, mut moved: impl FnMut(&P) -> Result<Q, E>) -> Result<Operands<Q>, E> {
        Ok(Operands {
            x: moved(&self.x)?,
            w: moved(&self.w)?,
            bias: self.bias.as_ref().map(&mut moved).transpose()?,
            add: self.add.as_ref().map(&mut moved).transpose()?,
            y: moved(&self.y)?,
        })
    }
}

/// `Y = relu(X * W + bias + add)`, by the library.
#[derive(Debug, Clone, PartialEq)]
pub struct Convolution<P = Place> {
    /// What is asked for.
    pub shape: Shape,
    /// On which numbers.
    pub operands: Operands<P>,
    /// What is done to the result where it lies, after the library: an activation that it has not.
    pub rest: Option<Launch<P>>,
    /// The kernel that does all of it, for where the library has no method; none where there is no such kernel.
    pub instead: Option<Launch<P>>,
    /// `name (Op)` of the node that it is for, for messages.
    pub node: String,
}

impl<P: Copy> Convolution<P> {
    /// The same for this node.
    pub(super) fn named(&mut self, node: &str) {
        node.clone_into(&mut self.node);
        for launch in [&mut self.rest, &mut self.instead].into_iter().flatten() {
            node.clone_into(&mut launch.node);
        }
    }

    /// The same on other places.
    ///
    /// # Errors
    /// The first of `moved`.
    pub(super) fn moved<Q, E>(
        &self,
        mut moved: impl FnMut(&P) -> Result<Q, E>,
    ) -> Result<Convolution<Q>, E> {
        let mut launch = |launch: &Option<Launch<P>>| {
            let launch = launch.as_ref();
            launch.map(|launch| launch.moved(&mut moved)).transpose()
        };
        Ok(Convolution {
            shape: self.shape,
            rest: launch(&self.rest)?,
            instead: launch(&self.instead)?,
            operands: self.operands.moved(moved)?,
            node: self.node.clone(),
        })
    }
}

impl fmt::Display for Convolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cudnn {}", self.shape)?;
        for (name, place) in self.operands.each() {
            write!(f, " {name}={place}")?;
        }
        if let Some(rest) = &self.rest {
            write!(f, ", then {}", rest.kernel)?;
        }
        write!(f, "  {}", self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        math: Math::Half,
        order: Order::Channels,
        n: 2,
        channels: 4,
        image: [9, 8],
        filters: 6,
        out: [5, 6],
        kernel: [3, 3],
        stride: [2, 1],
        dilation: [1, 2],
        pad: [1, 1],
        groups: 2,
        bias: true,
        add: true,
        relu: true,
    };

    #[test]
    fn a_shape_is_said_in_a_line() {
        assert_eq!(
            SHAPE.key(),
            "fp16 channels [2x6x5x6] = [2x4x9x8] * [6x2x3x3] +bias +picture relu stride=2,1 dilation=1,2 pad=1,1 groups=2"
        );
        assert_eq!(SHAPE.check(), Ok(()));
        assert_eq!(
            (SHAPE.x(), SHAPE.w(), SHAPE.y()),
            (Some(576), Some(108), Some(360))
        );
        assert_eq!(SHAPE.bytes(360), 720);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let said = |change: fn(&mut Shape)| {
            let mut shape = SHAPE;
            change(&mut shape);
            shape.check().unwrap_err()
        };
        let all = [
            said(|shape| shape.stride = [0, 1]),
            said(|shape| shape.groups = 4),
            said(|shape| shape.out = [5, 7]),
            said(|shape| shape.kernel = [12, 3]),
            said(|shape| shape.dilation = [usize::MAX, 1]),
            said(|shape| shape.n = 1 << 30),
            said(|shape| shape.n = usize::MAX),
        ];
        insta::assert_snapshot!(all.join("\n"), @r"
        something has a size of 0
        channels or filters are not so many groups
        the result has another size than the windows have places
        the result has another size than the windows have places
        the result has another size than the windows have places
        the pictures have more numbers than the library can count
        the pictures have more numbers than the library can count
        ");
    }
}
