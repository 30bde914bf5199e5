//! What kernels take, written as bytes: a file for each family of kernels.
//!
//! The structs are those of `kernels/args.cuh`, field by field. Each writer here names the fields in the order that
//! they have there; [`Params`] keeps C's alignment.

pub(super) mod boxes;
pub(super) mod conv;
pub(super) mod convolved;
pub(super) mod gather;
pub(super) mod gemm;
pub(super) mod library;
pub(super) mod moves;
pub(super) mod norm;
pub(super) mod pointwise;
pub(super) mod reduce;
pub(super) mod rnn;
#[cfg(test)]
mod tests;
pub(super) mod trees;

use super::plan::Launch;
use crate::graph::tensor::Element;

/// Dimensions that a kernel can take.
pub(super) const MAX_RANK: usize = 6;
/// Threads of a block, where the kernel does not ask for another number.
pub(super) const THREADS: u32 = 256;

/// What an address stands for while a plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Base {
    /// Memory for a value that is made on the way; the arena is laid out later.
    Buffer(usize),
    /// A constant of the plan.
    Constant(usize),
    /// An input of the plan.
    Input(usize),
    /// The flag for indices out of range.
    Fault,
}

/// An address while a plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Spot {
    pub(super) base: Base,
    /// Bytes from the beginning of what `base` names; never negative once all views are made.
    pub(super) offset: i64,
}

/// The flag for indices out of range.
pub(super) const FAULT: Spot = Spot {
    base: Base::Fault,
    offset: 0,
};

/// Why a launch cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

/// The bytes of a struct, with C's alignment, and where the addresses in it go.
#[derive(Debug, Clone, Default)]
pub(super) struct Params {
    bytes: Vec<u8>,
    addresses: Vec<(usize, Spot)>,
    /// A number did not fit into its field.
    too_large: bool,
}

impl Params {
    fn aligned(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// An address; none is a null pointer.
    pub(super) fn address(&mut self, spot: Option<Spot>) -> &mut Self {
        self.aligned(8);
        if let Some(spot) = spot {
            self.addresses.push((self.bytes.len(), spot));
        }
        self.raw(&[0; 8])
    }

    pub(super) fn at(&mut self, spot: Spot) -> &mut Self {
        self.address(Some(spot))
    }

    pub(super) fn int(&mut self, value: i32) -> &mut Self {
        self.aligned(4);
        self.raw(&value.to_le_bytes())
    }

    pub(super) fn long(&mut self, value: i64) -> &mut Self {
        self.aligned(8);
        self.raw(&value.to_le_bytes())
    }

    pub(super) fn float(&mut self, value: f32) -> &mut Self {
        self.aligned(4);
        self.raw(&value.to_le_bytes())
    }

    pub(super) fn double(&mut self, value: f64) -> &mut Self {
        self.aligned(8);
        self.raw(&value.to_le_bytes())
    }

    /// A number that must fit into an `int32_t`.
    pub(super) fn small<N: TryInto<i32>>(&mut self, value: N) -> &mut Self {
        let value = value.try_into().unwrap_or_else(|_| {
            self.too_large = true;
            0
        });
        self.int(value)
    }

    /// A count, as an `int64_t`.
    pub(super) fn count<N: TryInto<i64>>(&mut self, value: N) -> &mut Self {
        let value = value.try_into().unwrap_or_else(|_| {
            self.too_large = true;
            0
        });
        self.long(value)
    }

    /// An array of `int32_t[MAX_RANK]`, filled up with `rest`.
    pub(super) fn smalls<N: TryInto<i32> + Copy>(&mut self, values: &[N], rest: i32) -> &mut Self {
        self.too_large |= values.len() > MAX_RANK;
        for at in 0..MAX_RANK {
            match values.get(at) {
                Some(value) => self.small(*value),
                None => self.int(rest),
            };
        }
        self
    }

    /// An array of `int64_t[MAX_RANK]`, filled up with 0.
    pub(super) fn longs<N: TryInto<i64> + Copy>(&mut self, values: &[N]) -> &mut Self {
        self.too_large |= values.len() > MAX_RANK;
        for at in 0..MAX_RANK {
            match values.get(at) {
                Some(value) => self.count(*value),
                None => self.long(0),
            };
        }
        self
    }

    /// The launch; `aligned` is the struct's alignment.
    pub(super) fn launch(
        &mut self,
        kernel: &'static str,
        grid: [u64; 3],
        block: u32,
        shared: u32,
    ) -> Result<Launch<Spot>, TooLarge> {
        self.aligned(8);
        let fits = |size: u64, most: u64| (size <= most).then_some(size).ok_or(TooLarge);
        let [x, y, z] = grid;
        let grid = [fits(x, (1 << 31) - 1)?, fits(y, 65_535)?, fits(z, 65_535)?];
        if self.too_large {
            return Err(TooLarge);
        }
        Ok(Launch {
            kernel,
            code: None,
            grid: grid.map(|size| u32::try_from(size.max(1)).unwrap_or(1)),
            block: [block, 1, 1],
            shared,
            params: std::mem::take(&mut self.bytes),
            addresses: std::mem::take(&mut self.addresses),
            node: String::new(),
        })
    }

    /// A launch of a kernel that goes over `count` elements in strides of the grid.
    pub(super) fn over(
        &mut self,
        kernel: &'static str,
        count: usize,
    ) -> Result<Launch<Spot>, TooLarge> {
        self.launch(kernel, [blocks(count), 1, 1], THREADS, 0)
    }
}

/// Blocks for `count` elements, a thread for each; threads of large launches take several.
pub(super) fn blocks(count: usize) -> u64 {
    (count as u64)
        .div_ceil(u64::from(THREADS))
        .clamp(1, 1 << 20)
}

/// The number of an element type in `kernels/args.cuh`, where kernels have it.
pub(super) fn type_number(element: Element) -> Option<i32> {
    Some(match element {
        Element::Float32 => 0,
        Element::Float16 => 1,
        Element::Bfloat16 => 2,
        Element::Float64 => 3,
        Element::Int32 => 4,
        Element::Int64 => 5,
        Element::Uint8 => 6,
        Element::Bool => 7,
        Element::Int8 => 8,
        Element::Uint32 => 9,
        Element::Uint64 => 10,
        Element::Int16 => 11,
        Element::Uint16 => 12,
        _ => return None,
    })
}
