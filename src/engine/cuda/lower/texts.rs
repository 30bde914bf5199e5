//! Texts on a device are numbers: the places of a list, which a value has as its `labels`. Values that meet (in `Where`,
//! say) and what comes in have one list in common, the vocabulary: all texts that the graph names. A text that comes in
//! and is not there gets a number behind it, batch by batch (`cuda/texts.rs`). So what only moves, compares or looks up
//! texts does it with numbers, and no kernel knows a text.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use bytes::Bytes;

use super::{
    Missing,
    call::signed,
    emit::Emitter,
    ops::gather,
    value::{Home, Value},
};
use crate::graph::{
    proto::{self, Attribute, Graph},
    tensor::Element,
};

/// A list of texts that numbers stand for.
pub(super) type Texts = Arc<Vec<String>>;

/// What a `LabelEncoder` gives where nothing else is said.
pub(super) const UNUSED: &str = "_Unused";

/// All texts that the graph names, ascending: those of two graphs with the same texts are equal.
pub(super) fn vocabulary(graph: &Graph) -> Texts {
    let mut texts: BTreeSet<String> = BTreeSet::new();
    if graph.node.iter().any(|node| node.op_type == "LabelEncoder") {
        texts.insert(UNUSED.to_owned());
    }
    graph
        .initializer
        .iter()
        .for_each(|tensor| add(&mut texts, tensor));
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        texts.extend(named(attribute).filter_map(text));
        if let Some(tensor) = &attribute.t {
            add(&mut texts, tensor);
        }
    }
    Arc::new(texts.into_iter().collect())
}

fn add(texts: &mut BTreeSet<String>, tensor: &proto::Tensor) {
    if tensor.data_type == Element::Text.number() {
        texts.extend(tensor.string_data.iter().filter_map(text));
    }
}

fn named(attribute: &Attribute) -> impl Iterator<Item = &Bytes> {
    let default = attribute
        .s
        .iter()
        .filter(|_| attribute.name == "default_string");
    attribute.strings.iter().chain(default)
}

fn text(bytes: &Bytes) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

/// The inputs of an operator that may be texts, since it looks into none.
fn taken(domain: &str, op: &str) -> Option<Range<usize>> {
    Some(match (domain, op) {
        (
            "",
            "Identity" | "Dropout" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose"
            | "Expand" | "Slice" | "Split" | "Tile" | "Gather" | "GatherElements" | "GatherND"
            | "DepthToSpace" | "SpaceToDepth",
        )
        | ("ai.onnx.ml", "ArrayFeatureExtractor") => 0..1,
        ("", "Concat") => 0..usize::MAX,
        ("", "Equal") => 0..2,
        ("", "Where") => 1..3,
        _ => return None,
    })
}

/// Makes numbers of those inputs of an operator that are texts, where it need not know that they are. Gives the texts that its
/// outputs then stand for.
pub(super) fn prepared(
    emitter: &mut Emitter,
    (domain, op): (&str, &str),
    inputs: &mut [Option<Value>],
) -> Result<Option<Texts>, Missing> {
    let Some(range) = taken(domain, op) else {
        return Ok(None);
    };
    let single = range.len() == 1;
    let places = range.start..range.end.min(inputs.len());
    let mut texts: Vec<&mut Value> = (inputs.get_mut(places).unwrap_or_default().iter_mut())
        .flatten()
        .filter(|value| value.is_text())
        .collect();
    match texts.as_mut_slice() {
        [] => Ok(None),
        // Known texts are looked at in another way, or chosen from, without a kernel.
        [one] if single && matches!(one.home, Home::Texts(_)) && known_is_fine(op) => Ok(None),
        [one] if single && one.labels.is_some() => Ok(one.labels.take()),
        all => {
            for value in all {
                **value = emitter.codes(value)?;
            }
            Ok((op != "Equal").then(|| Arc::clone(&emitter.vocabulary)))
        }
    }
}

fn known_is_fine(op: &str) -> bool {
    matches!(
        op,
        "Identity"
            | "Dropout"
            | "Reshape"
            | "Flatten"
            | "Squeeze"
            | "Unsqueeze"
            | "Gather"
            | "ArrayFeatureExtractor"
    )
}

impl Emitter {
    /// The place of a text in the vocabulary.
    pub(super) fn code(&self, text: &[u8]) -> Result<i64, Missing> {
        let found = std::str::from_utf8(text).ok().and_then(|text| {
            (self.vocabulary)
                .binary_search_by(|known| known.as_str().cmp(text))
                .ok()
        });
        found
            .map(signed)
            .ok_or_else(|| Missing::new("texts that are not UTF-8"))
    }

    /// The places of texts in the vocabulary.
    pub(super) fn codes_of(&self, texts: &[Bytes]) -> Result<Vec<i64>, Missing> {
        texts.iter().map(|text| self.code(text)).collect()
    }

    /// Texts as places in the vocabulary; numbers stay what they are.
    pub(super) fn codes(&mut self, value: &Value) -> Result<Value, Missing> {
        if let Home::Texts(texts) = &value.home {
            return Ok(Value::of_ints(&self.codes_of(texts)?, value.dims.clone()));
        }
        let plain = Value {
            labels: None,
            ..value.clone()
        };
        match &value.labels {
            Some(own) if *own != self.vocabulary => {
                let codes: Vec<i64> = (own.iter())
                    .map(|text| self.code(text.as_bytes()))
                    .collect::<Result<_, _>>()?;
                let table = Value::of_ints(&codes, vec![codes.len()]);
                gather::rows(self, &table, &plain)
            }
            _ => Ok(plain),
        }
    }

    /// What goes out: known texts as numbers too.
    pub(super) fn going_out(&mut self, value: Value) -> Result<Value, Missing> {
        if !matches!(value.home, Home::Texts(_)) {
            return Ok(value);
        }
        Ok(Value {
            labels: Some(Arc::clone(&self.vocabulary)),
            ..self.codes(&value)?
        })
    }
}
