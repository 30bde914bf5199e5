//! Takes ZipMap out of a model. Exporters put it behind the probabilities to make a map of each
//! row; building those maps and reading them costs many times what the model itself does (1.6 µs a
//! row against 0.1), and the keys are the same for every row. So the node becomes an `Identity`,
//! the output a tensor, and the keys are read once, from the node's attributes.

use std::collections::HashMap;

use super::proto::{Attribute, Kind, Model, Node, TensorType, Type};

/// The keys that belong to each output that was a map, in the order of its values.
pub type Labels = HashMap<String, Vec<String>>;

/// Whether a file may have a ZipMap: where it has none, it need not be read for it.
pub fn may_be_in(file: &[u8]) -> bool {
    file.windows(6).any(|window| window == b"ZipMap")
}

/// Takes every ZipMap whose keys are distinct out of the model, and gives the keys that belong to each changed
/// output, in the order of the values. Nothing is changed where that is empty.
pub fn unzip(model: &mut Model) -> Labels {
    let mut labels = Labels::new();
    let Some(graph) = &mut model.graph else {
        return labels;
    };
    for node in &mut graph.node {
        let (Some(keys), [from, ..], [to, ..]) = (keys(node), &*node.input, &*node.output) else {
            continue;
        };
        labels.insert(to.clone(), keys);
        *node = Node {
            input: vec![from.clone()],
            output: vec![to.clone()],
            op_type: "Identity".to_owned(),
            name: std::mem::take(&mut node.name),
            ..Node::default()
        };
    }
    for value in graph.output.iter_mut().chain(&mut graph.value_info) {
        if labels.contains_key(&value.name) {
            value.r#type = Some(float_tensor());
        }
    }
    labels
}

/// The keys of a ZipMap, where each is there once.
fn keys(node: &Node) -> Option<Vec<String>> {
    if node.op_type != "ZipMap" {
        return None;
    }
    let find = |name: &str| node.attribute.iter().find(|it| it.name == name);
    let text = find("classlabels_strings").map(Attribute::texts);
    let numbers = find("classlabels_int64s").map(|labels| &labels.ints);
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

/// Floats of any shape: ZipMap takes nothing else.
fn float_tensor() -> Type {
    const FLOAT: i32 = 1;
    Type {
        value: Some(Kind::Tensor(TensorType {
            elem_type: FLOAT,
            shape: None,
        })),
        ..Type::default()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::graph::{
        parse,
        proto::{Graph, ValueInfo},
    };

    fn zipmap(keys: &[&str]) -> Model {
        let attribute = Attribute {
            name: "classlabels_strings".to_owned(),
            strings: keys.iter().map(|&key| key.to_owned().into()).collect(),
            ..Attribute::default()
        };
        let node = Node {
            op_type: "ZipMap".to_owned(),
            domain: "ai.onnx.ml".to_owned(),
            input: vec!["scores".to_owned()],
            output: vec!["maps".to_owned()],
            attribute: vec![attribute],
            ..Node::default()
        };
        let output = ValueInfo {
            name: "maps".to_owned(),
            ..ValueInfo::default()
        };
        Model {
            graph: Some(Graph {
                node: vec![node],
                output: vec![output],
                ..Graph::default()
            }),
            ..Model::default()
        }
    }

    #[test]
    fn maps_become_a_tensor_and_its_labels() {
        let mut model = zipmap(&["no", "yes"]);
        let labels = unzip(&mut model);
        assert_eq!(labels["maps"], ["no", "yes"]);
        let graph = model.graph.as_ref().expect("a graph");
        assert_eq!(graph.node[0].op_type, "Identity");
        assert_eq!(graph.node[0].domain, "");
        assert_eq!(graph.output[0].r#type, Some(float_tensor()));
        assert!(!may_be_in(&model.encode_to_vec()));
    }

    #[test]
    fn keys_that_are_there_twice_stay_a_map() {
        let mut model = zipmap(&["no", "no"]);
        assert!(unzip(&mut model).is_empty());
        assert_eq!(model, zipmap(&["no", "no"]));
        assert!(may_be_in(&model.encode_to_vec()));
    }

    proptest! {
        /// Whatever the bytes are, this ends and does not panic.
        #[test]
        fn damaged_files_do_no_harm(hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
            let mut file = zipmap(&["no", "yes"]).encode_to_vec();
            for (place, byte) in hits {
                let place = place.index(file.len());
                file[place] = byte;
            }
            if let Ok(mut model) = parse(Bytes::from(file)) {
                unzip(&mut model);
            }
        }
    }
}
