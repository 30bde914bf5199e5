//! Graphs as ONNX Runtime's optimiser leaves them: constants folded, operators fused, every shape known.

use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicUsize, Ordering},
};

use ort::{
    logging::LogLevel,
    session::{Session, builder::GraphOptimizationLevel},
};

use super::{explain, library};
use crate::{
    engine::ModelSource,
    graph::{
        self,
        proto::{Dimension, Kind, Model, Shape, Size},
        zipmap,
    },
};

/// The model of a source in one piece: with all its weights, and without maps.
///
/// # Errors
/// It cannot be read; in words.
pub(in crate::engine) fn whole(source: &ModelSource) -> Result<Model, String> {
    let mut model = match &source.graph {
        Some(built) => graph::parse(built.clone()),
        None => graph::read(&source.path),
    }
    .map_err(|error| error.what)?;
    let folder = source.path.parent().unwrap_or(Path::new("."));
    graph::inline_external(&mut model, folder).map_err(|error| error.what)?;
    zipmap::unzip(&mut model);
    Ok(model)
}

/// The model for inputs of exactly these shapes, in the graph's order, and for these outputs.
///
/// Only what any device can run is fused (level "extended"): further optimisations lay memory out for CPUs.
///
/// # Errors
/// ONNX Runtime does not take the model with such inputs; in words.
pub(in crate::engine) fn optimized(
    model: &Model,
    inputs: &[(&str, Vec<usize>)],
    outputs: &[&str],
) -> Result<Model, String> {
    let mut model = model.clone();
    if let Some(graph) = &mut model.graph {
        for (name, dims) in inputs {
            let named = graph.input.iter_mut().find(|input| input.name == *name);
            if let Some(Kind::Tensor(tensor)) = named
                .and_then(|input| input.r#type.as_mut())
                .and_then(|ty| ty.value.as_mut())
            {
                tensor.shape = Some(shape(dims));
            }
        }
        let all = std::mem::take(&mut graph.output);
        graph.output = (outputs.iter())
            .filter_map(|name| all.iter().find(|output| output.name == *name).cloned())
            .collect();
        for output in &mut graph.output {
            // It follows from the inputs; what the file says may be wrong.
            if let Some(Kind::Tensor(tensor)) = (output.r#type.as_mut()).and_then(|ty| ty.value.as_mut())
            {
                tensor.shape = None;
            }
        }
    }
    let folder = Folder::new()?;
    let file = folder.0.join("optimized.onnx");
    optimize(&graph::to_bytes(&model), &file)?;
    graph::read(&file).map_err(|error| error.what)
}

fn shape(dims: &[usize]) -> Shape {
    let dims = dims.iter().map(|size| Dimension {
        value: Some(Size::Value(i64::try_from(*size).unwrap_or(i64::MAX))),
        ..Dimension::default()
    });
    Shape { dim: dims.collect() }
}

fn optimize(model: &[u8], to: &Path) -> Result<(), String> {
    let environment = library::loaded().map_err(|error| error.message)?;
    let opened = catch_unwind(AssertUnwindSafe(|| -> ort::Result<Session> {
        Session::builder(&environment)?
            .with_optimization_level(GraphOptimizationLevel::Level2)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .with_log_level(LogLevel::Error)?
            .with_optimized_model_path(to)?
            .commit_from_memory(model)
    }));
    match opened {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(explain::clean(error.message())),
        Err(_) => Err("an input or output is of a kind that forebay does not know".to_owned()),
    }
}

/// A temporary folder that only we can read; gone when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("forebay-{}-{number}", process::id()));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        // Not `create_dir_all`: a folder that is there already may be somebody's trap.
        builder
            .create(&path)
            .map_err(|error| format!("the temporary folder {} cannot be made: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!("{} was not removed: {error}", self.0.display());
        }
    }
}
