//! ONNX files made by hand, field by field of the format, for what no exporter writes.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test that panics has done its work"
)]

/// A message of the format under construction.
#[derive(Clone, Default)]
pub(crate) struct Proto(pub(crate) Vec<u8>);

impl Proto {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(crate) fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    pub(crate) fn bytes(mut self, field: u64, value: impl AsRef<[u8]>) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.as_ref().len() as u64);
        self.0.extend_from_slice(value.as_ref());
        self
    }

    pub(crate) fn inner(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    pub(crate) fn all(self, field: u64, values: &[Self]) -> Self {
        values
            .iter()
            .fold(self, |proto, value| proto.inner(field, value))
    }
}

/// Element types, by their numbers in the format.
pub(crate) const FLOAT: i64 = 1;
pub(crate) const INT64: i64 = 7;
pub(crate) const STRING: i64 = 8;
pub(crate) const FLOAT16: i64 = 10;
pub(crate) const UINT64: i64 = 13;
pub(crate) const COMPLEX64: i64 = 14;

/// The type of a tensor; numbers are fixed dimensions, words free ones.
pub(crate) fn tensor(element: i64, dims: &[&str]) -> Proto {
    let shape = dims.iter().fold(Proto::new(), |shape, dim| {
        let dim = dim.parse().map_or_else(
            |_| Proto::new().bytes(2, dim),
            |size| Proto::new().int(1, size),
        );
        shape.inner(1, &dim)
    });
    Proto::new().inner(1, &Proto::new().int(1, element).inner(2, &shape))
}

pub(crate) fn value(name: &str, of: &Proto) -> Proto {
    Proto::new().bytes(1, name).inner(2, of)
}

pub(crate) fn strings(name: &str, values: &[&str]) -> Proto {
    let attribute = values
        .iter()
        .fold(Proto::new().bytes(1, name), |attribute, value| {
            attribute.bytes(9, value)
        });
    attribute.int(20, 8)
}

pub(crate) fn number(name: &str, value: i64) -> Proto {
    Proto::new().bytes(1, name).int(3, value).int(20, 2)
}

pub(crate) fn node(
    operator: &str,
    domain: &str,
    inputs: &[&str],
    outputs: &[&str],
    attributes: &[Proto],
) -> Proto {
    let node = inputs
        .iter()
        .fold(Proto::new(), |node, name| node.bytes(1, name));
    let node = outputs.iter().fold(node, |node, name| node.bytes(2, name));
    node.bytes(4, operator).all(5, attributes).bytes(7, domain)
}

/// A tensor with one whole number.
pub(crate) fn constant(name: &str, value: i64) -> Proto {
    Proto::new()
        .int(1, 1)
        .int(2, INT64)
        .int(7, value)
        .bytes(8, name)
}

/// A whole file.
pub(crate) fn model(nodes: &[Proto], inputs: &[Proto], outputs: &[Proto]) -> Vec<u8> {
    file(8, nodes, &[], inputs, outputs)
}

/// A whole file with constants.
pub(crate) fn model_with(
    nodes: &[Proto],
    constants: &[Proto],
    inputs: &[Proto],
    outputs: &[Proto],
) -> Vec<u8> {
    file(8, nodes, constants, inputs, outputs)
}

/// A whole file that says it is of this version of the format.
pub(crate) fn model_of_version(
    version: i64,
    nodes: &[Proto],
    inputs: &[Proto],
    outputs: &[Proto],
) -> Vec<u8> {
    file(version, nodes, &[], inputs, outputs)
}

fn file(
    version: i64,
    nodes: &[Proto],
    constants: &[Proto],
    inputs: &[Proto],
    outputs: &[Proto],
) -> Vec<u8> {
    let graph = Proto::new()
        .all(1, nodes)
        .bytes(2, "made")
        .all(5, constants)
        .all(11, inputs)
        .all(12, outputs);
    let opset = |domain: &str, version| Proto::new().bytes(1, domain).int(2, version);
    let opsets = [opset("", 15), opset("ai.onnx.ml", 3), opset("made.up", 1)];
    Proto::new()
        .int(1, version)
        .inner(7, &graph)
        .all(8, &opsets)
        .0
}
