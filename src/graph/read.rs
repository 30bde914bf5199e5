//! Model files, read and written.

use std::{fs, path::Path};

use bytes::Bytes;
use prost::Message as _;

use super::{GraphError, build::OPSET, proto::Model};

/// The newest version of the file format that is understood.
pub const IR_NEWEST: i64 = 14;
/// No message of the format is larger than this.
pub(super) const FILE_MAX: usize = i32::MAX as usize;
/// What the standard operators' domain is called, besides nothing.
const STANDARD: &str = "ai.onnx";

/// Reads a model file. Weights in files of their own stay there.
///
/// # Errors
/// The file cannot be read, or as [`parse`].
pub fn read(path: &Path) -> Result<Model, GraphError> {
    fs::read(path)
        .map_err(|error| GraphError::new(format!("the file cannot be read: {error}")))
        .and_then(|file| parse(Bytes::from(file)))
        .map_err(|error| error.about(path))
}

/// Reads a model. Constants stay views into `file`, as far as it has them as raw bytes.
///
/// # Errors
/// This is no ONNX file, it is damaged, has no graph, or is of a newer version of the format.
pub fn parse(file: Bytes) -> Result<Model, GraphError> {
    let whole = "check that it was copied as a whole, or export the model anew";
    if file.is_empty() {
        return Err(GraphError::new("the file is empty").help(whole));
    }
    let model = Model::decode(file).map_err(|error| {
        GraphError::new(format!(
            "this is not an ONNX file, or it is damaged ({error})"
        ))
        .help(whole)
    })?;
    if model.ir_version > IR_NEWEST {
        return Err(GraphError::new(format!(
            "it is of version {} of the ONNX format, and forebay knows up to {IR_NEWEST}",
            model.ir_version
        ))
        .help("export it with an older `onnx` package, or update forebay"));
    }
    if model.graph.is_none() {
        return Err(GraphError::new(
            "there is no graph in it, so it is no ONNX model, or it is damaged",
        )
        .help(whole));
    }
    Ok(model)
}

/// Writes a model file, over one that is there.
///
/// # Errors
/// The file cannot be written, or the model is too large for one.
pub fn write(model: &Model, path: &Path) -> Result<(), GraphError> {
    let size = model.encoded_len();
    if size > FILE_MAX {
        return Err(too_large(size).about(path));
    }
    fs::write(path, to_bytes(model)).map_err(|error| {
        GraphError::new(format!("the file cannot be written: {error}")).about(path)
    })
}

/// The model as the bytes of a file.
pub fn to_bytes(model: &Model) -> Vec<u8> {
    model.encode_to_vec()
}

/// The set of standard operators that the model is written in. Files from before there were sets are in 1; a model
/// that only has operators of other domains can be in any, and counts as [`OPSET`].
pub fn opset(model: &Model) -> i64 {
    let none = if model.opset_import.is_empty() {
        1
    } else {
        OPSET
    };
    version(model, "").unwrap_or(none)
}

/// The set of this domain's operators that the model is written in.
pub(super) fn version(model: &Model, domain: &str) -> Option<i64> {
    let same = |other: &str| standard_name(other) == domain;
    (model.opset_import.iter())
        .find(|import| same(&import.domain))
        .map(|import| import.version)
}

/// The one name of a domain: `ai.onnx` is the same as none.
pub(super) fn standard_name(domain: &str) -> &str {
    if domain == STANDARD { "" } else { domain }
}

/// The model does not fit into one file.
pub(super) fn too_large(size: usize) -> GraphError {
    GraphError::new(format!(
        "the model has {size} bytes with its weights, and one ONNX file can have no more than {FILE_MAX} (2 GiB)"
    ))
    .help("make it smaller: store the weights as float16 or int8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{
        GraphBuilder,
        proto::{Graph, Tensor},
    };

    #[test]
    fn files_that_are_no_models_are_refused_in_words() {
        let newer = Model {
            ir_version: IR_NEWEST + 1,
            graph: Some(Graph::default()),
            ..Model::default()
        };
        let files = [
            ("empty", Vec::new()),
            ("text", b"hello, world".to_vec()),
            ("newer", newer.encode_to_vec()),
            ("no graph", Model::default().encode_to_vec()),
            ("numbers alone", vec![8, 3]),
            (
                "cut off",
                GraphBuilder::new(13).finish(&[]).encode_to_vec()[..20].to_vec(),
            ),
        ];
        let said = files.map(|(what, file)| match parse(Bytes::from(file)) {
            Ok(_) => format!("{what}: read"),
            Err(error) => format!("{what}: {error}"),
        });
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn constants_stay_views_into_the_file() {
        let mut model = GraphBuilder::new(13).finish(&[]);
        if let Some(graph) = &mut model.graph {
            graph.initializer.push(Tensor {
                raw_data: Some(Bytes::from(vec![7; 1000])),
                ..Tensor::default()
            });
        }
        let file = Bytes::from(model.encode_to_vec());
        let read = parse(file.clone()).ok().and_then(|model| model.graph);
        let tensors = read.map(|graph| graph.initializer).unwrap_or_default();
        let raw = tensors[0].raw_data.clone().unwrap_or_default();
        assert!(file.as_ptr_range().contains(&raw.as_ptr()));
    }

    #[test]
    fn the_set_of_operators_is_that_of_the_standard_domain() {
        let import = |domain: &str, version| crate::graph::proto::Opset {
            domain: domain.to_owned(),
            version,
        };
        let mut model = Model::default();
        assert_eq!(opset(&model), 1);
        model.opset_import.push(import("ai.onnx.ml", 3));
        assert_eq!(opset(&model), OPSET);
        model.opset_import.push(import("ai.onnx", 15));
        assert_eq!(opset(&model), 15);
    }
}
