//! Tensors as files hold them, of every element type, and their elements as numbers.

mod element;
mod short;
mod small;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use self::element::Element;
use self::element::Form;
pub use self::short::shortened;
use super::proto;

/// A tensor's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// Elements one after another, little-endian; of types with less than a byte the first is in the lowest
    /// bits.
    Packed(Bytes),
    /// Strings, not always UTF-8.
    Texts(Vec<Bytes>),
}

/// A tensor whose memory fits its type and shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// The type of the elements.
    pub element: Element,
    /// Empty for a single value.
    pub shape: Vec<usize>,
    /// As many elements as the product of the shape.
    pub data: Data,
}

/// Elements as the widest type of their kind, which holds each of them exactly.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Every floating-point type.
    Float(Vec<f64>),
    /// Signed integers.
    Int(Vec<i64>),
    /// Unsigned integers.
    Uint(Vec<u64>),
    /// Truth values.
    Bool(Vec<bool>),
    /// Strings.
    Text(Vec<Bytes>),
    /// Real and imaginary parts.
    Complex(Vec<[f64; 2]>),
}

/// A tensor whose elements can be looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The type that the elements had.
    pub element: Element,
    /// Empty for a single value.
    pub shape: Vec<usize>,
    /// As many elements as the product of the shape.
    pub values: Values,
}

impl Raw {
    /// The tensor of a file.
    ///
    /// # Errors
    /// Says in words what is wrong with it: no known type, a shape that cannot be, too few or too many
    /// elements, or elements that are in another file.
    pub fn of(tensor: &proto::Tensor) -> Result<Self, String> {
        let element =
            Element::of_number(tensor.data_type).ok_or_else(|| match tensor.data_type {
                0 => "it says no element type, so it is no tensor".to_owned(),
                other => format!("its element type {other} is none that ONNX has"),
            })?;
        let mut shape = Vec::with_capacity(tensor.dims.len());
        let mut count = 1usize;
        for dim in &tensor.dims {
            let impossible = || format!("its shape {:?} cannot be", tensor.dims);
            let dim = usize::try_from(*dim).map_err(|_| impossible())?;
            count = count.checked_mul(dim).ok_or_else(impossible)?;
            shape.push(dim);
        }
        if tensor.data_location == Some(1) || !tensor.external_data.is_empty() {
            return Err("its elements are in another file, which only a model's may be".to_owned());
        }
        let data = match element {
            Element::Text => Data::Texts(tensor.string_data.clone()),
            _ => Data::Packed(packed(tensor, element)),
        };
        let (has, needs, what) = match &data {
            Data::Texts(texts) => (texts.len(), Some(count), "strings"),
            Data::Packed(bytes) => {
                let bits = count.checked_mul(element.bits());
                (bytes.len(), bits.map(|bits| bits.div_ceil(8)), "bytes")
            }
        };
        if needs != Some(has) {
            let needs =
                needs.map_or_else(|| "more than there can be".to_owned(), |n| n.to_string());
            return Err(format!(
                "it has {has} {what}, and {} of shape {shape:?} needs {needs}",
                element.name()
            ));
        }
        Ok(Self {
            element,
            shape,
            data,
        })
    }

    /// The same tensor as a file holds it.
    pub fn to_proto(&self, name: &str) -> proto::Tensor {
        let mut tensor = proto::Tensor {
            name: name.to_owned(),
            data_type: self.element.number(),
            // A `usize` beyond `i64` has no memory to stand for.
            dims: (self.shape.iter())
                .map(|dim| i64::try_from(*dim).unwrap_or(i64::MAX))
                .collect(),
            ..proto::Tensor::default()
        };
        match &self.data {
            Data::Packed(bytes) => tensor.raw_data = Some(bytes.clone()),
            Data::Texts(texts) => tensor.string_data.clone_from(texts),
        }
        tensor
    }

    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements, to be looked at.
    pub fn decode(&self) -> Tensor {
        let values = match &self.data {
            Data::Texts(texts) => Values::Text(texts.clone()),
            Data::Packed(bytes) => self.unpack(bytes),
        };
        Tensor {
            element: self.element,
            shape: self.shape.clone(),
            values,
        }
    }

    fn unpack(&self, bytes: &[u8]) -> Values {
        let bits = self.element.bits();
        let codes = || codes(bytes, bits).take(self.len());
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a code has as many bits as its type"
        )]
        match self.element.form() {
            Form::Float32 => Values::Float(
                codes()
                    .map(|code| f32::from_bits(code as u32).into())
                    .collect(),
            ),
            Form::Float64 => Values::Float(codes().map(f64::from_bits).collect()),
            Form::Small(format) => Values::Float(
                codes()
                    .map(|code| small::number(code as u32, format))
                    .collect(),
            ),
            Form::Int => {
                let unused = 64 - bits;
                // Moves the sign to the top and back.
                Values::Int(
                    codes()
                        .map(|code| (code << unused).cast_signed() >> unused)
                        .collect(),
                )
            }
            Form::Uint => Values::Uint(codes().collect()),
            Form::Bool => Values::Bool(codes().map(|code| code != 0).collect()),
            Form::Complex64 => {
                let part = |code: u64| f64::from(f32::from_bits(code as u32));
                let pairs = codes_of_pairs(bytes, 4);
                Values::Complex(pairs.map(|pair| pair.map(part)).collect())
            }
            Form::Complex128 => {
                let pairs = codes_of_pairs(bytes, 8);
                Values::Complex(pairs.map(|pair| pair.map(f64::from_bits)).collect())
            }
            Form::Text => Values::Text(Vec::new()),
        }
    }
}

impl Values {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Float(values) => values.len(),
            Self::Int(values) => values.len(),
            Self::Uint(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::Text(values) => values.len(),
            Self::Complex(values) => values.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The elements as bytes, from whichever field of the file has them.
fn packed(tensor: &proto::Tensor, element: Element) -> Bytes {
    if let Some(raw) = &tensor.raw_data {
        return raw.clone();
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "these fields hold narrower types, or whole bytes of packed ones, in wider numbers"
    )]
    match element {
        Element::Float32 | Element::Complex64 => (tensor
            .float_data
            .iter()
            .flat_map(|value| value.to_le_bytes()))
        .collect(),
        Element::Float64 | Element::Complex128 => (tensor
            .double_data
            .iter()
            .flat_map(|value| value.to_le_bytes()))
        .collect(),
        Element::Int64 => (tensor
            .int64_data
            .iter()
            .flat_map(|value| value.to_le_bytes()))
        .collect(),
        Element::Uint64 => (tensor
            .uint64_data
            .iter()
            .flat_map(|value| value.to_le_bytes()))
        .collect(),
        Element::Uint32 => (tensor.uint64_data.iter())
            .flat_map(|value| (*value as u32).to_le_bytes())
            .collect(),
        Element::Int32 => (tensor
            .int32_data
            .iter()
            .flat_map(|value| value.to_le_bytes()))
        .collect(),
        other if other.bits() == 16 => (tensor.int32_data.iter())
            .flat_map(|value| (*value as u16).to_le_bytes())
            .collect(),
        _ => tensor.int32_data.iter().map(|value| *value as u8).collect(),
    }
}

/// Elements of up to 64 bits as they are, in the lowest bits.
fn codes(bytes: &[u8], bits: usize) -> Box<dyn Iterator<Item = u64> + '_> {
    match bits {
        2 | 4 => {
            let mask = (1u8 << bits) - 1;
            Box::new(bytes.iter().flat_map(move |byte| {
                (0..8 / bits).map(move |at| u64::from(byte >> (at * bits) & mask))
            }))
        }
        _ => Box::new(bytes.chunks_exact((bits / 8).max(1)).map(little_endian)),
    }
}

fn codes_of_pairs(bytes: &[u8], width: usize) -> impl Iterator<Item = [u64; 2]> + '_ {
    (bytes.chunks_exact(2 * width)).map(move |pair| {
        let (real, imaginary) = pair.split_at(width);
        [little_endian(real), little_endian(imaginary)]
    })
}

fn little_endian(bytes: &[u8]) -> u64 {
    (bytes.iter().rev()).fold(0, |code, byte| code << 8 | u64::from(*byte))
}
