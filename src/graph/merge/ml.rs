//! The operators of classic machine learning, brought to a newer set.

use std::collections::HashMap;

use bytes::Bytes;

use crate::graph::{
    GraphError,
    build::ML_DOMAIN,
    proto::{Attribute, Graph, Kind, Node, ValueInfo},
    walk,
};

/// Numbers of the format for what an attribute holds.
const STRINGS: i32 = 8;
const INTS: i32 = 7;
/// The numbers of element types.
const INT64: i32 = 7;
const STRING: i32 = 8;

/// Brings a graph from one set of [`ML_DOMAIN`] to a newer one.
///
/// # Errors
/// An operator is no longer in it, or a `LabelEncoder` of set 1 does not show which way it goes.
pub(super) fn raise(graph: &mut Graph, from: i64, to: i64) -> Result<(), GraphError> {
    let is = |node: &Node, operator: &str| {
        node.domain == ML_DOMAIN && node.op_type.starts_with(operator)
    };
    let tree =
        |node: &Node| is(node, "TreeEnsembleClassifier") || is(node, "TreeEnsembleRegressor");
    if from < 5 && to >= 5 && walk::any_node(&graph.node, &tree) {
        return Err(GraphError::new(format!(
            "the operators TreeEnsembleClassifier and TreeEnsembleRegressor are not in set {to} of {ML_DOMAIN}, \
             which another model of the graph needs"
        ))
        .help("export both models with the same version of ai.onnx.ml"));
    }
    if from >= 2 || to < 2 || !walk::any_node(&graph.node, &|node| is(node, "LabelEncoder")) {
        return Ok(());
    }
    let types = element_types(graph);
    let mut failed = None;
    walk::nodes(&mut graph.node, &mut |node| {
        if node.domain == ML_DOMAIN
            && node.op_type == "LabelEncoder"
            && let Err(error) = raise_label_encoder(node, &types)
        {
            failed.get_or_insert(error);
        }
    });
    failed.map_or(Ok(()), Err)
}

/// Declared element types by name.
fn element_types(graph: &Graph) -> HashMap<String, i32> {
    let values = (graph.input.iter()).chain(&graph.output);
    let declared = |value: &ValueInfo| match value.r#type.as_ref()?.value.as_ref()? {
        Kind::Tensor(tensor) => Some((value.name.clone(), tensor.elem_type)),
        _ => None,
    };
    values
        .chain(&graph.value_info)
        .filter_map(declared)
        .collect()
}

/// Set 1 had one list of classes, to be read in either direction; set 2 has keys and values.
fn raise_label_encoder(node: &mut Node, types: &HashMap<String, i32>) -> Result<(), GraphError> {
    let type_of = |names: &[String]| names.first().and_then(|name| types.get(name)).copied();
    let from = type_of(&node.input).or_else(|| match type_of(&node.output)? {
        INT64 => Some(STRING),
        STRING => Some(INT64),
        _ => None,
    });
    let (keys, values) = match from {
        Some(STRING) => ("keys_strings", "values_int64s"),
        Some(INT64) => ("values_strings", "keys_int64s"),
        _ => {
            return Err(GraphError::new(format!(
                "node `{}` (LabelEncoder of set 1 of {ML_DOMAIN}) does not show whether it reads text or numbers",
                node.name
            ))
            .help("export the model anew with ai.onnx.ml 2 or newer"));
        }
    };
    let classes = node
        .attribute
        .iter_mut()
        .find(|it| it.name == "classes_strings");
    let Some(classes) = classes else {
        return Err(GraphError::new(format!(
            "node `{}` (LabelEncoder) has no classes",
            node.name
        )));
    };
    keys.clone_into(&mut classes.name);
    classes.r#type = Some(STRINGS);
    let numbers = (0..)
        .zip(&classes.strings)
        .map(|(place, _): (i64, &Bytes)| place);
    let numbers = Attribute {
        name: values.to_owned(),
        r#type: Some(INTS),
        ints: numbers.collect(),
        ..Attribute::default()
    };
    node.attribute.push(numbers);
    Ok(())
}
