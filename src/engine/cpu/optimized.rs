//! A model as ONNX Runtime's optimiser leaves it for one shape of its inputs: constants folded, shapes static, what
//! belongs together in one operator. It is what other devices start from.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use ort::{
    logging::LogLevel,
    session::{Session, builder::GraphOptimizationLevel},
};

use super::{
    explain, library,
    weights::{Folder, Weights},
};
use crate::{
    engine::{
        ModelError, ModelSource,
        cuda::lower::{Uncovered, branches},
    },
    graph::{
        self,
        proto::{Dimension, Graph, Kind, Model, Shape, Size, ValueInfo},
        zipmap::{self, Labels},
    },
};

/// What the optimiser gave.
#[derive(Debug, Clone)]
pub struct Optimized {
    /// The model; every input has a fixed shape.
    pub model: Model,
    /// The keys of outputs that were maps (ZipMap); they are tensors now.
    pub labels: Labels,
}

/// Why a model is not given to the optimiser.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read, or is none that can be optimised so.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It has branches. Where the condition of an `If` is known, ONNX Runtime (1.31) puts a branch in its place, and for some models
    /// writes what cannot be loaded, or takes the process down.
    #[error("{0}")]
    Branches(Uncovered),
}

/// Optimises the model for inputs of these shapes, in the order of the graph's inputs (constants that may be
/// overridden are none), rows first.
///
/// # Errors
/// The model cannot be read, has branches, has another number of inputs or dimensions, does not take these shapes, or is one
/// that ONNX Runtime refuses.
pub fn optimized(source: &ModelSource, dims: &[Vec<usize>]) -> Result<Optimized, ReadError> {
    let whole = Whole::read(source)?;
    Ok(Optimized {
        model: whole.optimized(dims, None)?,
        labels: whole.labels,
    })
}

/// A model with all its weights and without maps, to be optimised for several shapes.
#[derive(Debug)]
pub(in crate::engine) struct Whole {
    path: PathBuf,
    /// Without its large weights.
    model: Model,
    weights: Weights,
    labels: Labels,
}

impl Whole {
    /// Reads it.
    ///
    /// # Errors
    /// It cannot be read, or has branches.
    pub(in crate::engine) fn read(source: &ModelSource) -> Result<Self, ReadError> {
        let path = source.path.as_path();
        let file = if let Some(graph) = &source.graph {
            graph.clone()
        } else {
            explain::check_file(path)?;
            let read = fs::read(path);
            read.map_err(|error| explain::about(path, &format!("it cannot be read: {error}")))?
                .into()
        };
        let said = |error: graph::GraphError| explain::about(path, &error.to_string());
        let mut model = graph::parse(file).map_err(said)?;
        // Before its weights are read and written.
        if let Some(why) = branches(&model) {
            return Err(ReadError::Branches(why));
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        graph::inline_external(&mut model, folder).map_err(said)?;
        let labels = zipmap::unzip(&mut model);
        let weights = Weights::taken_from(&mut model).map_err(|error| {
            explain::about(
                path,
                &format!(
                    "its weights cannot be written to a temporary folder, to optimise it: {error}"
                ),
            )
        })?;
        Ok(Self {
            path: source.path.clone(),
            model,
            weights,
            labels,
        })
    }

    /// Its large weights. What the optimiser leaves as they are lie in the same place in whatever it gives.
    pub(in crate::engine) fn weights(&self) -> impl Iterator<Item = &Bytes> {
        self.weights.all()
    }

    /// Whether this output is a map in the file.
    pub(in crate::engine) fn was_map(&self, output: &str) -> bool {
        self.labels.contains_key(output)
    }

    /// Its graph, without the numbers of large weights.
    pub(in crate::engine) fn graph(&self) -> Option<&Graph> {
        self.model.graph.as_ref()
    }

    /// As [`optimized`], for some of its outputs, in that order; `None` are all.
    ///
    /// # Errors
    /// As [`optimized`], for whatever does not depend on the model alone.
    pub(in crate::engine) fn optimized(
        &self,
        dims: &[Vec<usize>],
        outputs: Option<&[&str]>,
    ) -> Result<Model, ModelError> {
        let mut model = self.model.clone();
        if let Some(graph) = &mut model.graph {
            if let Some(names) = outputs {
                let all = std::mem::take(&mut graph.output);
                graph.output = (names.iter())
                    .filter_map(|name| all.iter().find(|output| output.name == *name).cloned())
                    .collect();
            }
            fix(graph, dims).map_err(|why| explain::about(&self.path, &why))?;
        }
        run(&self.path, &graph::to_bytes(&model), &self.weights)
    }
}

/// Fixes the shapes of the inputs, and takes away those that the file declares for anything else: they are not to
/// be trusted, and hold names of dimensions that are numbers now.
fn fix(graph: &mut Graph, dims: &[Vec<usize>]) -> Result<(), String> {
    let constants = &graph.initializer;
    let is_constant = |input: &ValueInfo| constants.iter().any(|held| held.name == input.name);
    let mut free: Vec<&mut ValueInfo> = (graph.input.iter_mut())
        .filter(|input| !is_constant(input))
        .collect();
    if free.len() != dims.len() {
        return Err(format!(
            "it has {} inputs, and shapes for {} were given",
            free.len(),
            dims.len()
        ));
    }
    for (input, dims) in free.iter_mut().zip(dims) {
        let kind = input.r#type.as_mut().and_then(|kind| kind.value.as_mut());
        let Some(Kind::Tensor(tensor)) = kind else {
            return Err(format!("its input `{}` is not a tensor", input.name));
        };
        let declared = tensor.shape.as_ref().map(|shape| shape.dim.len());
        if declared.is_some_and(|rank| rank != dims.len()) {
            return Err(format!(
                "its input `{}` has {} dimensions, not the {} of {dims:?}",
                input.name,
                declared.unwrap_or(0),
                dims.len()
            ));
        }
        let fixed = |dim: &usize| Dimension {
            denotation: None,
            value: i64::try_from(*dim).ok().map(Size::Value),
        };
        tensor.shape = Some(Shape {
            dim: dims.iter().map(fixed).collect(),
        });
    }
    graph.value_info.clear();
    for output in &mut graph.output {
        let kind = output.r#type.as_mut().and_then(|kind| kind.value.as_mut());
        if let Some(Kind::Tensor(tensor)) = kind {
            tensor.shape = None;
        }
    }
    Ok(())
}

/// Lets ONNX Runtime optimise the file and reads what it wrote.
fn run(path: &Path, file: &[u8], weights: &Weights) -> Result<Model, ModelError> {
    let environment = library::loaded()?;
    let folder = Folder::new().map_err(|error| {
        explain::about(
            path,
            &format!("no temporary folder could be made to optimise it in: {error}"),
        )
    })?;
    let written = folder.path().join("optimized.onnx");
    let opened = catch_unwind(AssertUnwindSafe(|| -> ort::Result<Session> {
        let mut builder = Session::builder(&environment)?;
        if let Some(folder) = weights.folder() {
            builder = builder.with_config_entry(
                "session.model_external_initializers_file_folder_path",
                folder.to_string_lossy(),
            )?;
        }
        builder
            // Nothing will run in it.
            .with_config_entry("session.disable_prepacking", "1")?
            // One level more would bring the CPU's own layouts of memory.
            .with_optimization_level(GraphOptimizationLevel::Level2)?
            .with_optimized_model_path(&written)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .with_log_level(LogLevel::Error)?
            .commit_from_memory(file)
    }));
    match opened {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(explain::load_failure(path, &error)),
        Err(_) => {
            return Err(explain::about(
                path,
                "its inputs or outputs are of a kind that forebay does not know",
            ));
        }
    }
    let bytes = fs::read(&written).map_err(|error| {
        explain::about(
            path,
            &format!("ONNX Runtime wrote no optimised model: {error}"),
        )
    })?;
    let said = |error: graph::GraphError| explain::about(path, &error.to_string());
    let mut model = graph::parse(Bytes::from(bytes)).map_err(said)?;
    weights.put_back(&mut model).map_err(said)?;
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{
        proto::{Attribute, Function, Node},
        to_bytes,
    };

    /// Why a model of this one node is refused, where it is.
    fn said(node: Node) -> Option<String> {
        let graph = Graph {
            node: vec![node],
            ..Graph::default()
        };
        refused(Model {
            graph: Some(graph),
            ..Model::default()
        })
    }

    fn refused(model: Model) -> Option<String> {
        let source = ModelSource::built(Path::new("m.onnx"), to_bytes(&model));
        Whole::read(&source).err().map(|why| why.to_string())
    }

    fn node(op_type: &str) -> Node {
        Node {
            op_type: op_type.to_owned(),
            output: vec!["y".to_owned()],
            ..Node::default()
        }
    }

    #[test]
    fn a_model_with_branches_is_not_given_to_the_optimiser() {
        let why = "node `y` (If): the CUDA engine has no such operator";
        assert_eq!(said(node("If")).as_deref(), Some(why));
        assert_eq!(said(node("Relu")), None);
        let domain = |domain: &str| Node {
            domain: domain.to_owned(),
            ..node("If")
        };
        assert_eq!(said(domain("ai.onnx")).as_deref(), Some(why));
        assert_eq!(said(domain("elsewhere")), None, "another operator");
    }

    /// The optimiser goes through these, too, and puts functions where they are called.
    #[test]
    fn branches_in_a_loop_or_a_function_are_found() {
        let within = Graph {
            node: vec![node("Relu"), node("If")],
            ..Graph::default()
        };
        let body = Attribute {
            name: "body".to_owned(),
            g: Some(Box::new(within)),
            ..Attribute::default()
        };
        let around = Node {
            attribute: vec![body],
            ..node("Loop")
        };
        let why = "node `y` (If): the CUDA engine has no such operator";
        assert_eq!(said(around.clone()).as_deref(), Some(why));
        let function = Function {
            node: vec![around],
            ..Function::default()
        };
        let model = Model {
            graph: Some(Graph::default()),
            functions: vec![function],
            ..Model::default()
        };
        assert_eq!(refused(model).as_deref(), Some(why));
    }
}
