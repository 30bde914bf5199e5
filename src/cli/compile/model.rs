//! One graph of a pipeline as a model file: complete, and with what it takes and gives in its
//! metadata.

use std::path::Path;

use ring::digest::{SHA256, digest};

use super::describe::{Input, Only, Output};
use crate::{
    config::Plan,
    contract::Dtype,
    engine::OutputRef,
    graph::{
        self, GraphError,
        build::{OPSET, element_type},
        inline_external,
        proto::{
            Dimension, Graph, Kind, Model, Opset, Property, Shape, Size, TensorType, Type,
            ValueInfo,
        },
        zipmap,
    },
};

/// What all our keys in a file's metadata begin with.
pub(super) const OURS: &str = "forebay.";
/// The key of the pipeline's name.
pub(super) const PIPELINE: &str = "forebay.pipeline";

/// A file to write.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) bytes: Vec<u8>,
    /// SHA-256 of the file as it would be without our metadata, then of the texts of `forebay.inputs`,
    /// `forebay.outputs` and, where it is there, `forebay.when`.
    pub(super) digest: String,
    /// The number of rows that it takes at once, where it takes only one.
    pub(super) rows: Option<usize>,
    /// Where it does not run on all rows.
    pub(super) when: Option<Only>,
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<Output>,
}

impl Compiled {
    /// The graph of this number.
    ///
    /// # Errors
    /// The model's file cannot be read, or its weights, or all together is too large for one file.
    pub(super) fn of(plan: &Plan, step: usize) -> Result<Self, GraphError> {
        let lost = || GraphError::new("a graph of the pipeline is lost: this is a bug");
        let spec = plan.engine.steps.get(step).ok_or_else(lost)?;
        let about = plan.steps.get(step).ok_or_else(lost)?;
        let path = spec.source.path.as_path();
        let mut model = match &spec.source.graph {
            Some(built) => as_it_runs(graph::parse(built.clone())?),
            None => as_it_runs(graph::read(path)?),
        };
        inline_external(&mut model, path.parent().unwrap_or(Path::new("")))?;
        model
            .metadata_props
            .retain(|property| !property.key.starts_with(OURS));
        let graph = model.graph.as_mut().ok_or_else(lost)?;
        let rows = fixed_rows(graph, &about.inputs);
        for (made, output) in about.made.iter().zip(&mut graph.output) {
            declare(output, rows, &made.shape);
        }
        let inputs: Vec<Input> = (spec.inputs.iter().zip(&about.inputs))
            .map(|(spec, name)| Input::of(plan, spec, name, dtype_of(graph, name)))
            .collect();
        let outputs: Vec<Output> = (0..about.made.len())
            .filter_map(|output| Output::of(plan, OutputRef { step, output }))
            .collect();
        let when = spec.when.as_ref().map(|when| Only::of(plan, when));
        let mut described = vec![
            ("forebay.inputs", json(&inputs)?),
            ("forebay.outputs", json(&outputs)?),
        ];
        if let Some(when) = &when {
            described.push(("forebay.when", json(when)?));
        }
        let digest = digest_of(&model, described.iter().map(|(_, text)| text));
        let ours = [
            (PIPELINE, plan.name.clone()),
            ("forebay.digest", digest.clone()),
        ];
        let version = ("forebay.version", env!("CARGO_PKG_VERSION").to_owned());
        let ours = ours.into_iter().chain(described).chain([version]);
        let properties = ours.map(|(key, value)| Property {
            key: key.to_owned(),
            value,
        });
        model.metadata_props.extend(properties);
        Ok(Self {
            bytes: graph::to_bytes(&model),
            digest,
            rows,
            when,
            inputs,
            outputs,
        })
    }
}

/// A model alone as the engine runs it: with tensors for the maps of ZipMap.
fn as_it_runs(mut model: Model) -> Model {
    let standard = |set: &Opset| set.domain.is_empty() || set.domain == "ai.onnx";
    // What stands for a ZipMap is a standard operator.
    if !zipmap::unzip(&mut model).is_empty() && !model.opset_import.iter().any(standard) {
        model.opset_import.push(Opset {
            domain: String::new(),
            version: OPSET,
        });
    }
    if let Some(graph) = &mut model.graph {
        graph::sort(graph);
    }
    model
}

fn input<'a>(graph: &'a Graph, name: &str) -> Option<&'a TensorType> {
    let input = graph.input.iter().find(|input| input.name == name)?;
    match &input.r#type.as_ref()?.value {
        Some(Kind::Tensor(tensor)) => Some(tensor),
        _ => None,
    }
}

fn dtype_of(graph: &Graph, name: &str) -> Dtype {
    let number = input(graph, name).map(|tensor| tensor.elem_type);
    let same = |dtype: &Dtype| *dtype != Dtype::Bytes && Some(element_type(*dtype)) == number;
    // Inputs of other types were refused when the model was loaded.
    Dtype::ALL.into_iter().find(same).unwrap_or(Dtype::F32)
}

fn fixed_rows(graph: &Graph, inputs: &[String]) -> Option<usize> {
    let first = |name: &String| {
        let dim = input(graph, name)?.shape.as_ref()?.dim.first()?;
        match dim.value {
            Some(Size::Value(rows)) => usize::try_from(rows).ok(),
            _ => None,
        }
    };
    inputs.iter().find_map(first)
}

/// Declares the shape that really comes out, where the file declares none or another.
fn declare(output: &mut ValueInfo, rows: Option<usize>, shape: &[usize]) {
    let Some(Type {
        value: Some(Kind::Tensor(tensor)),
        ..
    }) = &mut output.r#type
    else {
        return;
    };
    let wanted = || {
        let sizes = shape.iter().map(|size| Size::Value(size_of(*size)));
        std::iter::once(rows.map_or_else(
            || Size::Param("rows".to_owned()),
            |n| Size::Value(size_of(n)),
        ))
        .chain(sizes)
    };
    let fits = |(declared, wanted): (&Dimension, Size)| match &declared.value {
        Some(declared @ Size::Value(_)) => *declared == wanted,
        _ => true,
    };
    let declared = tensor.shape.as_ref().is_some_and(|declared| {
        declared.dim.len() == shape.len() + 1 && declared.dim.iter().zip(wanted()).all(fits)
    });
    if !declared {
        let dim = wanted().map(|size| Dimension {
            denotation: None,
            value: Some(size),
        });
        tensor.shape = Some(Shape { dim: dim.collect() });
    }
}

fn size_of(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn json<T: serde::Serialize>(of: &T) -> Result<String, GraphError> {
    serde_json::to_string(of)
        .map_err(|error| GraphError::new(format!("the metadata cannot be written: {error}")))
}

fn digest_of<'a>(model: &Model, texts: impl Iterator<Item = &'a String>) -> String {
    let mut all = graph::to_bytes(model);
    for text in texts {
        all.extend_from_slice(text.as_bytes());
    }
    let hash = digest(&SHA256, &all);
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
