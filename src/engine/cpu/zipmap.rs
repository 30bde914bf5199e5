//! Takes ZipMap out of a model. Exporters put it behind the probabilities to make a map of each
//! row; building those maps and reading them costs many times what the model itself does (1.6 µs a
//! row against 0.1), and the keys are the same for every row. So the node becomes an `Identity`,
//! the output a tensor, and the keys are read once, from the node's attributes.

use std::collections::HashMap;

use super::wire::{self, Fields, Node};

/// A model without ZipMap.
#[derive(Debug)]
pub(super) struct Unzipped {
    /// The changed file.
    pub(super) file: Vec<u8>,
    /// The keys that belong to each changed output, in the order of the values.
    pub(super) labels: HashMap<String, Vec<String>>,
}

/// The model without ZipMap; `None` where it has none.
pub(super) fn unzip(file: &[u8]) -> Option<Unzipped> {
    if !file.windows(6).any(|window| window == b"ZipMap") {
        return None;
    }
    let mut labels = HashMap::new();
    let mut changed = Vec::with_capacity(file.len());
    for field in Fields(file) {
        match field.message() {
            Some((7, graph)) => wire::put(&mut changed, 7, &graph_without(graph, &mut labels)),
            _ => changed.extend_from_slice(field.raw),
        }
    }
    (!labels.is_empty()).then_some(Unzipped {
        file: changed,
        labels,
    })
}

fn graph_without(graph: &[u8], labels: &mut HashMap<String, Vec<String>>) -> Vec<u8> {
    let mut changed = Vec::with_capacity(graph.len());
    // The outputs' types are declared behind the nodes, but the format does not promise it.
    for (_, bytes) in Fields(graph)
        .filter_map(|field| field.message())
        .filter(|(number, _)| *number == 1)
    {
        let node = Node::read(bytes);
        if let (Some(output), Some(keys)) = (node.outputs.first(), keys(&node)) {
            labels.insert((*output).to_owned(), keys);
        }
    }
    for field in Fields(graph) {
        match field.message() {
            Some((1, bytes)) => {
                let node = Node::read(bytes);
                let ours = node.operator == "ZipMap"
                    && node.outputs.iter().any(|name| labels.contains_key(*name));
                match (node.inputs.first(), node.outputs.first()) {
                    (Some(from), Some(to)) if ours => {
                        wire::put(&mut changed, 1, &identity(from, to));
                    }
                    _ => changed.extend_from_slice(field.raw),
                }
            }
            Some((12, bytes)) => match name_of(bytes).filter(|name| labels.contains_key(*name)) {
                Some(name) => wire::put(&mut changed, 12, &float_tensor(name)),
                None => changed.extend_from_slice(field.raw),
            },
            _ => changed.extend_from_slice(field.raw),
        }
    }
    changed
}

/// The keys of a ZipMap, where each is there once.
fn keys(node: &Node<'_>) -> Option<Vec<String>> {
    if node.operator != "ZipMap" {
        return None;
    }
    let text = node
        .attribute("classlabels_strings")
        .map(|labels| &labels.strings);
    let numbers = node
        .attribute("classlabels_int64s")
        .map(|labels| &labels.ints);
    let keys: Vec<String> = match (text, numbers) {
        (Some(text), _) if !text.is_empty() => text.iter().map(|&text| text.to_owned()).collect(),
        (_, Some(numbers)) => numbers.iter().map(i64::to_string).collect(),
        _ => return None,
    };
    let mut sorted = keys.clone();
    sorted.sort();
    sorted.dedup();
    (sorted.len() == keys.len()).then_some(keys)
}

fn identity(from: &str, to: &str) -> Vec<u8> {
    let mut node = Vec::new();
    wire::put(&mut node, 1, from.as_bytes());
    wire::put(&mut node, 2, to.as_bytes());
    wire::put(&mut node, 4, b"Identity");
    node
}

/// An output of floats of any shape: ZipMap takes nothing else.
fn float_tensor(name: &str) -> Vec<u8> {
    const FLOAT: [u8; 2] = [8, 1];
    let mut of = Vec::new();
    wire::put(&mut of, 1, &FLOAT);
    let mut output = Vec::new();
    wire::put(&mut output, 1, name.as_bytes());
    wire::put(&mut output, 2, &of);
    output
}

fn name_of(value: &[u8]) -> Option<&str> {
    let mut fields = Fields(value).filter_map(|field| field.message());
    let (_, name) = fields.find(|(number, _)| *number == 1)?;
    std::str::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the bytes are, this ends and does not panic.
        #[test]
        fn any_bytes_can_be_read(mut bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            bytes.extend_from_slice(b"ZipMap");
            unzip(&bytes);
        }
    }
}
