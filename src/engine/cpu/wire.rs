//! The ONNX file format, as much of it as is needed here: nodes, attributes and small constants.
//! What is not understood is skipped; the runtime judges the file.

/// A node of the graph.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub(super) operator: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// An attribute; the lists are empty where it is of another kind.
#[derive(Debug, Default)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    pub(super) int: i64,
    /// Only their number is of use here.
    pub(super) floats: usize,
    pub(super) ints: Vec<i64>,
    pub(super) strings: Vec<&'a str>,
}

/// A constant of the graph.
#[derive(Debug, Default)]
pub(super) struct Constant<'a> {
    pub(super) name: &'a str,
    pub(super) dims: Vec<i64>,
    /// The elements of an `int64` tensor.
    pub(super) ints: Vec<i64>,
}

/// What the file's main graph consists of.
#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) constants: Vec<Constant<'a>>,
}

impl<'a> Graph<'a> {
    /// The main graph of a model file; empty where there is none.
    pub(super) fn read(file: &'a [u8]) -> Self {
        let mut graph = Self::default();
        for (_, inner) in Fields(file)
            .filter_map(|field| field.message())
            .filter(|(number, _)| *number == 7)
        {
            for (number, inner) in Fields(inner).filter_map(|field| field.message()) {
                match number {
                    1 => graph.nodes.push(Node::read(inner)),
                    5 => graph.constants.push(Constant::read(inner)),
                    _ => {}
                }
            }
        }
        graph
    }

    pub(super) fn constant(&self, name: &str) -> Option<&Constant<'a>> {
        self.constants.iter().find(|constant| constant.name == name)
    }
}

impl<'a> Node<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        let mut node = Self::default();
        for (number, inner) in Fields(bytes).filter_map(|field| field.message()) {
            match number {
                1 => node.inputs.push(text(inner)),
                2 => node.outputs.push(text(inner)),
                4 => node.operator = text(inner),
                5 => node.attributes.push(Attribute::read(inner)),
                _ => {}
            }
        }
        node
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
    }
}

impl<'a> Attribute<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let mut attribute = Self::default();
        for field in Fields(bytes) {
            match (field.number, field.value) {
                (1, Value::Bytes(name)) => attribute.name = text(name),
                (3, Value::Number(int)) => attribute.int = int,
                (7, Value::Fixed) => attribute.floats += 1,
                (7, Value::Bytes(packed)) => attribute.floats += packed.len() / 4,
                (8, value) => attribute.ints.extend(value.numbers()),
                (9, Value::Bytes(string)) => attribute.strings.push(text(string)),
                _ => {}
            }
        }
        attribute
    }
}

impl<'a> Constant<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        const INT64: i64 = 7;
        let (mut constant, mut dtype, mut raw) = (Self::default(), 0, &[][..]);
        for field in Fields(bytes) {
            match (field.number, field.value) {
                (1, value) => constant.dims.extend(value.numbers()),
                (2, Value::Number(number)) => dtype = number,
                (7, value) => constant.ints.extend(value.numbers()),
                (8, Value::Bytes(name)) => constant.name = text(name),
                (9, Value::Bytes(bytes)) => raw = bytes,
                _ => {}
            }
        }
        if dtype == INT64 {
            let ints = raw
                .as_chunks()
                .0
                .iter()
                .map(|bytes| i64::from_le_bytes(*bytes));
            constant.ints.extend(ints);
        }
        constant
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The fields of one message of the format, in order; ends where the bytes make no sense.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

/// One field.
pub(super) struct Field<'a> {
    /// The field as it stands in the file.
    pub(super) raw: &'a [u8],
    number: u64,
    value: Value<'a>,
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Number(i64),
    Fixed,
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    /// Its number and what is in it, where that is bytes, text or another message.
    pub(super) fn message(&self) -> Option<(u64, &'a [u8])> {
        match self.value {
            Value::Bytes(bytes) => Some((self.number, bytes)),
            Value::Number(_) | Value::Fixed => None,
        }
    }
}

impl Value<'_> {
    /// One number, or many packed ones.
    fn numbers(self) -> Vec<i64> {
        match self {
            Self::Number(number) => vec![number],
            Self::Fixed => Vec::new(),
            Self::Bytes(mut packed) => std::iter::from_fn(|| varint(&mut packed))
                .map(u64::cast_signed)
                .collect(),
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let whole = self.0;
        let rest = &mut self.0;
        let key = varint(rest)?;
        let value = match key & 7 {
            0 => Value::Number(varint(rest)?.cast_signed()),
            1 => rest.split_off(..8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(varint(rest)?).ok()?;
                Value::Bytes(rest.split_off(..length)?)
            }
            5 => rest.split_off(..4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some(Field {
            raw: whole.get(..whole.len() - rest.len())?,
            number: key >> 3,
            value,
        })
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Appends a field of bytes, text or another message.
pub(super) fn put(to: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    to.push(number << 3 | 2);
    let mut length = bytes.len();
    loop {
        let [low, ..] = length.to_le_bytes();
        length >>= 7;
        if length == 0 {
            to.push(low & 0x7f);
            break;
        }
        to.push(low | 0x80);
    }
    to.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the bytes are, reading ends and does not panic.
        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            Graph::read(&bytes);
            Node::read(&bytes);
            Attribute::read(&bytes);
            Constant::read(&bytes);
        }
    }
}
