//! Values while a plan is made: known on the host, or somewhere on the device by strides.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;

use super::{Missing, texts::Texts};
use crate::{
    engine::cuda::launch::{Base, Spot},
    graph::tensor::{Data, Element, Raw, Values},
};

/// Where a value is.
#[derive(Debug, Clone)]
pub(super) enum Home {
    /// Known already: its elements, dense.
    Known(Bytes),
    /// Known strings, for the host alone.
    Texts(Rc<Vec<Bytes>>),
    /// On the device, an element every so many elements.
    At(Spot, Vec<i64>),
    /// A list of selected boxes, of which only what it leaves of the scores is on the device: those of other boxes are -inf.
    Boxes {
        kept: Box<Value>,
        scores: Box<Value>,
    },
}

/// What there is not where a list of boxes is asked for more than [`Home::Boxes`] has.
pub(super) const LISTS: &str = "lists of boxes, other than to put their scores back among -inf";

/// A tensor whose shape is known.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) element: Element,
    pub(super) dims: Vec<usize>,
    pub(super) home: Home,
    /// The elements are indices into these strings.
    pub(super) labels: Option<Texts>,
}

/// Strides of elements side by side.
pub(super) fn dense_strides(dims: &[usize]) -> Vec<i64> {
    let mut step = 1i64;
    let mut strides: Vec<i64> = (dims.iter().rev())
        .map(|dim| {
            let stride = step;
            step = step.saturating_mul(i64::try_from((*dim).max(1)).unwrap_or(i64::MAX));
            stride
        })
        .collect();
    strides.reverse();
    strides
}

/// The shape that values of these shapes have together.
pub(super) fn broadcast<'d>(
    shapes: impl IntoIterator<Item = &'d [usize]>,
) -> Result<Vec<usize>, Missing> {
    let mut dims: Vec<usize> = Vec::new();
    for shape in shapes {
        if shape.len() > dims.len() {
            let missing = shape.len() - dims.len();
            dims.splice(0..0, std::iter::repeat_n(1, missing));
        }
        let skipped = dims.len() - shape.len();
        for (dim, other) in dims.iter_mut().skip(skipped).zip(shape) {
            match (*dim, *other) {
                (one, other) if one == other || other == 1 => {}
                (1, other) => *dim = other,
                (one, other) => {
                    return Err(Missing::new(format!("shapes with {one} beside {other}")));
                }
            }
        }
    }
    Ok(dims)
}

impl Value {
    /// A constant of the graph.
    pub(super) fn known(raw: &Raw) -> Self {
        let home = match &raw.data {
            Data::Packed(bytes) => Home::Known(bytes.clone()),
            Data::Texts(texts) => Home::Texts(Rc::new(texts.clone())),
        };
        Self {
            element: raw.element,
            dims: raw.shape.clone(),
            home,
            labels: None,
        }
    }

    /// Indices into strings, which are what the value means.
    pub(super) fn labelled(&self, texts: &[Bytes]) -> Self {
        let texts = texts
            .iter()
            .map(|text| String::from_utf8_lossy(text).into_owned());
        Self {
            labels: Some(Arc::new(texts.collect())),
            ..self.clone()
        }
    }

    /// Known integers.
    pub(super) fn of_ints(values: &[i64], dims: Vec<usize>) -> Self {
        Self {
            element: Element::Int64,
            dims,
            home: Home::Known(
                values
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect(),
            ),
            labels: None,
        }
    }

    /// Known numbers, as `element` (float or double).
    pub(super) fn of_floats(values: &[f64], dims: Vec<usize>, element: Element) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "asked for single precision"
        )]
        let bytes = if element == Element::Float64 {
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect()
        } else {
            (values.iter())
                .flat_map(|value| (*value as f32).to_le_bytes())
                .collect()
        };
        Self {
            element: if element == Element::Float64 {
                Element::Float64
            } else {
                Element::Float32
            },
            dims,
            home: Home::Known(bytes),
            labels: None,
        }
    }

    /// Elements side by side, from the beginning of this memory.
    pub(super) fn dense_at(element: Element, dims: &[usize], base: Base) -> Self {
        Self {
            element,
            dims: dims.to_vec(),
            home: Home::At(Spot { base, offset: 0 }, dense_strides(dims)),
            labels: None,
        }
    }

    /// Whether it is of texts.
    pub(super) fn is_text(&self) -> bool {
        self.labels.is_some() || self.element == Element::Text
    }

    /// How many elements it has.
    pub(super) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Bytes of one element.
    pub(super) fn width(&self) -> usize {
        self.element.bits().div_ceil(8)
    }

    pub(super) fn rank(&self) -> usize {
        self.dims.len()
    }

    /// The size of a dimension; 1 beyond the last.
    pub(super) fn dim(&self, at: usize) -> usize {
        self.dims.get(at).copied().unwrap_or(1)
    }

    /// The elements, where they are known already.
    pub(super) fn values(&self) -> Option<Values> {
        match &self.home {
            Home::Known(bytes) => {
                let raw = Raw {
                    element: self.element,
                    shape: self.dims.clone(),
                    data: Data::Packed(bytes.clone()),
                };
                Some(raw.decode().values)
            }
            Home::Texts(texts) => Some(Values::Text(texts.to_vec())),
            Home::At(..) | Home::Boxes { .. } => None,
        }
    }

    /// The elements, where they are known and integers.
    pub(super) fn ints(&self) -> Option<Vec<i64>> {
        match self.values()? {
            Values::Int(values) => Some(values),
            Values::Uint(values) => values
                .into_iter()
                .map(|value| value.try_into().ok())
                .collect(),
            Values::Bool(values) => Some(values.into_iter().map(i64::from).collect()),
            _ => None,
        }
    }

    /// The elements, where they are known and floating-point numbers.
    pub(super) fn floats(&self) -> Option<Vec<f64>> {
        match self.values()? {
            Values::Float(values) => Some(values),
            _ => None,
        }
    }

    /// The same elements in another shape, where nothing must move.
    pub(super) fn reshaped(&self, dims: &[usize]) -> Option<Self> {
        if dims.iter().product::<usize>() != self.len() {
            return None;
        }
        let home = match &self.home {
            Home::At(spot, strides) => Home::At(*spot, restrided(&self.dims, strides, dims)?),
            Home::Boxes { .. } => return None,
            known => known.clone(),
        };
        Some(Self {
            dims: dims.to_vec(),
            home,
            ..self.clone()
        })
    }

    /// Whether both are the same elements on the device, seen in the same way.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.home, &other.home) {
            (Home::At(one, one_strides), Home::At(other_one, strides)) => {
                one == other_one
                    && one_strides == strides
                    && self.dims == other.dims
                    && self.element == other.element
            }
            _ => false,
        }
    }

    /// Whether the elements lie side by side.
    pub(super) fn is_dense(&self) -> bool {
        match &self.home {
            Home::At(_, strides) => {
                let dense = dense_strides(&self.dims);
                (self.dims.iter().zip(strides.iter().zip(dense)))
                    .all(|(dim, (stride, dense))| *dim <= 1 || *stride == dense)
            }
            _ => true,
        }
    }
}

/// Strides of the same elements in another shape; `None` where they must move for that.
fn restrided(from: &[usize], strides: &[i64], to: &[usize]) -> Option<Vec<i64>> {
    let (size, joined) = crate::engine::cuda::launch::pointwise::joined(from, &[strides]);
    let strides = joined.into_iter().next()?;
    let mut made = vec![0i64; to.len()];
    let mut to_at = to.len();
    for (size, stride) in size.iter().zip(&strides).rev() {
        // Dimensions of the new shape that together are this one.
        let mut left = *size;
        let mut step = *stride;
        while left > 1 {
            to_at = to_at.checked_sub(1)?;
            let dim = *to.get(to_at)?;
            if dim == 0 || left % dim != 0 {
                return None;
            }
            *made.get_mut(to_at)? = step;
            step = step.checked_mul(i64::try_from(dim).ok()?)?;
            left /= dim;
        }
    }
    Some(made)
}
