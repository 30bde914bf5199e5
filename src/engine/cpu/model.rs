//! One model file, loaded: its session and what it declares.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use bytes::Bytes;
use ort::{
    logging::LogLevel,
    operator::OperatorDomain,
    session::{Session, builder::GraphOptimizationLevel},
    value::{TensorElementType, ValueType},
};

use super::{
    explain, library,
    trees::{self, Swapped},
};
use crate::{
    contract::Dtype,
    engine::{Dim, InputInfo, ModelError, ModelSource},
    graph::{
        self,
        zipmap::{self, Labels},
    },
};

/// A loaded model.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) source: ModelSource,
    pub(super) session: Session,
    /// In the graph's order.
    pub(super) inputs: Vec<InputInfo>,
    /// In the graph's order.
    pub(super) outputs: Vec<Declared>,
    /// The number of rows that the model takes at once, where it takes only one number.
    pub(super) batch: Option<usize>,
}

/// An output as the file declares it. Shapes are left out: they are not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) ty: TensorElementType,
    /// The keys where a ZipMap makes a map of each row's values.
    pub(super) labels: Option<Vec<String>>,
}

impl Declared {
    /// The type of the series that the output becomes: small integers widen to the next type
    /// that messages know. `None` for what cannot be served.
    pub(super) fn dtype(&self) -> Option<Dtype> {
        Some(match self.ty {
            TensorElementType::Float32 => Dtype::F32,
            TensorElementType::Float64 => Dtype::F64,
            TensorElementType::Uint8 => Dtype::U8,
            TensorElementType::Bool => Dtype::Bool,
            TensorElementType::String => Dtype::String,
            TensorElementType::Int8
            | TensorElementType::Int16
            | TensorElementType::Int32
            | TensorElementType::Uint16 => Dtype::I32,
            TensorElementType::Int64 | TensorElementType::Uint32 => Dtype::I64,
            _ => return None,
        })
    }
}

impl Model {
    /// Loads the file, with one thread for each run.
    pub(super) fn load(source: &ModelSource) -> Result<Self, ModelError> {
        let path = source.path.as_path();
        let file = if let Some(graph) = &source.graph {
            Some(graph.clone())
        } else {
            explain::check_file(path)?;
            // What cannot be read here is explained when the runtime fails to read it.
            fs::read(path).ok().map(Bytes::from)
        };
        let Changed {
            file,
            mut labels,
            trees,
        } = Changed::of(file, source.graph.is_some()).map_err(|why| explain::about(path, &why))?;
        let session = match trees.and_then(|trees| with_trees(path, trees)) {
            Some(session) => session,
            None => open(path, file.as_deref())?,
        };
        let inputs = session
            .inputs()
            .iter()
            .map(|input| input_info(path, input.name(), input.dtype()))
            .collect::<Result<Vec<_>, _>>()?;
        let outputs = session
            .outputs()
            .iter()
            .map(|output| {
                declared(
                    path,
                    output.name(),
                    output.dtype(),
                    labels.remove(output.name()),
                )
            })
            .collect::<Result<Vec<_>, _>>()?;
        let missing = match (inputs.is_empty(), outputs.is_empty()) {
            (true, _) => Some("it has no inputs; forebay can only serve models that take rows"),
            (_, true) => Some("it has no outputs, so nothing can be served"),
            _ => None,
        };
        if let Some(missing) = missing {
            return Err(explain::about(path, missing));
        }
        let batch = fixed_batch(path, &inputs)?;
        Ok(Self {
            source: source.clone(),
            session,
            inputs,
            outputs,
            batch,
        })
    }

    /// An error about this model.
    pub(super) fn error(&self, why: &str) -> ModelError {
        explain::about(&self.source.path, why)
    }
}

/// What the runtime gets in place of a file.
#[derive(Default)]
struct Changed {
    /// The file without ZipMap, or one that was built; `None` where it is read from where it lies.
    file: Option<Bytes>,
    /// The keys that belong to each output that was a map.
    labels: Labels,
    /// The same with trees that forebay walks, where it has any.
    trees: Option<Swapped>,
}

impl Changed {
    /// # Errors
    /// Why it must not be given to the runtime.
    fn of(file: Option<Bytes>, built: bool) -> Result<Self, String> {
        let Some(file) = file else {
            return Ok(Self::default());
        };
        let mut made = Self {
            file: built.then(|| file.clone()),
            ..Self::default()
        };
        if !zipmap::may_be_in(&file) && !trees::may_be_in(&file) {
            return Ok(made);
        }
        let Ok(mut model) = graph::parse(file) else {
            return Ok(made);
        };
        if let Some(why) = trees::too_deep(&model) {
            return Err(why);
        }
        made.labels = zipmap::unzip(&mut model);
        if !made.labels.is_empty() {
            made.file = Some(graph::to_bytes(&model).into());
        }
        made.trees = trees::swap(model);
        Ok(made)
    }
}

/// A session in which forebay walks the trees; `None` where the runtime does not take it.
fn with_trees(path: &Path, trees: Swapped) -> Option<Session> {
    match made(path, Some(&trees.file), Some(trees.operators)) {
        Ok(session) => Some(session),
        Err(why) => {
            // Whatever it is, it is said of the file itself, or does not matter.
            tracing::debug!(model = %path.display(), "ONNX Runtime walks the trees: {why:?}");
            None
        }
    }
}

/// Opens the file, or `changed` in its place.
fn open(path: &Path, changed: Option<&[u8]>) -> Result<Session, ModelError> {
    match session(path, changed) {
        Ok(session) => Ok(session),
        Err(NotOpened::NoRuntime(error)) => Err(error),
        Err(NotOpened::Refused(error)) => Err(explain::load_failure(path, &error)),
        Err(NotOpened::UnknownKind) => Err(explain::about(
            path,
            "its inputs or outputs are of a kind that forebay does not know; they must be tensors \
             (or, for outputs, ZipMap's maps)",
        )),
    }
}

/// Why there is no session.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// ONNX Runtime is not there.
    NoRuntime(ModelError),
    /// ONNX Runtime does not take the model.
    Refused(ort::Error),
    /// An input or output is of a kind that `ort` takes for impossible.
    UnknownKind,
}

/// A session for the file, or for `changed` in its place, set up as for serving, of ONNX Runtime's operators alone.
pub(super) fn session(path: &Path, changed: Option<&[u8]>) -> Result<Session, NotOpened> {
    made(path, changed, None)
}

/// As [`session`], with operators of forebay's.
pub(super) fn made(
    path: &Path,
    changed: Option<&[u8]>,
    operators: Option<OperatorDomain>,
) -> Result<Session, NotOpened> {
    let environment = library::loaded().map_err(NotOpened::NoRuntime)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let opened = catch_unwind(AssertUnwindSafe(|| -> ort::Result<Session> {
        let mut builder = Session::builder(&environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            // A pipeline has as many engine threads as it wants; two of ours beat one of
            // theirs, and no thread of theirs spins beside ours.
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            // Patterns are kept for every shape seen, and batches come in every size.
            .with_memory_pattern(false)?
            .with_log_level(LogLevel::Error)?;
        if let Some(operators) = operators {
            builder = builder.with_operators(operators)?;
        }
        let Some(file) = changed else {
            return builder.commit_from_file(path);
        };
        // Weights in files of their own are beside the model, wherever its bytes come from.
        builder
            .with_config_entry(
                "session.model_external_initializers_file_folder_path",
                folder.unwrap_or(Path::new(".")).to_string_lossy(),
            )?
            .commit_from_memory(file)
    }));
    match opened {
        Ok(session) => session.map_err(NotOpened::Refused),
        Err(_) => Err(NotOpened::UnknownKind),
    }
}

fn input_info(path: &Path, name: &str, declared: &ValueType) -> Result<InputInfo, ModelError> {
    let bad = |why: String| Err(explain::about(path, &format!("input `{name}` {why}")));
    let ValueType::Tensor {
        ty,
        shape,
        dimension_symbols,
    } = declared
    else {
        return bad(format!(
            "is {}; forebay can only feed tensors",
            kind_name(declared)
        ));
    };
    let dtype = match ty {
        TensorElementType::Float32 => Dtype::F32,
        TensorElementType::Float64 => Dtype::F64,
        TensorElementType::Int32 => Dtype::I32,
        TensorElementType::Int64 => Dtype::I64,
        TensorElementType::Uint8 => Dtype::U8,
        TensorElementType::Bool => Dtype::Bool,
        TensorElementType::String => Dtype::String,
        other => {
            let fed = Dtype::ALL
                .into_iter()
                .filter(|dtype| *dtype != Dtype::Bytes);
            let fed: Vec<_> = fed.map(Dtype::name).collect();
            return bad(format!(
                "has elements of type {}; forebay can feed {}. Export the model with such an \
                 input, or put a Cast in front of it",
                element_name(*other),
                fed.join(", ")
            ));
        }
    };
    if shape.is_empty() {
        return bad(format!(
            "has no batch dimension (it takes a single value, whatever the number of rows); \
             give it one for good, under the model's name: `constants: {{ {name}: VALUE }}`"
        ));
    }
    let dims = shape
        .iter()
        .zip(dimension_symbols.iter())
        .map(|(size, symbol)| {
            usize::try_from(*size).map_or_else(|_| Dim::Free(symbol.clone()), Dim::Fixed)
        })
        .collect();
    Ok(InputInfo {
        name: name.to_owned(),
        dtype,
        dims,
    })
}

fn declared(
    path: &Path,
    name: &str,
    declared: &ValueType,
    labels: Option<Vec<String>>,
) -> Result<Declared, ModelError> {
    let bad = |why: String| Err(explain::about(path, &format!("output `{name}` {why}")));
    let ValueType::Tensor { ty, .. } = declared else {
        return bad(format!(
            "is {}; forebay can serve tensors, and maps where a ZipMap with distinct labels makes them",
            kind_name(declared)
        ));
    };
    let output = Declared {
        name: name.to_owned(),
        ty: *ty,
        labels,
    };
    if output.dtype().is_none() {
        return bad(format!(
            "has elements of type {}, which messages cannot carry; put a Cast to float behind it",
            element_name(*ty)
        ));
    }
    Ok(output)
}

/// The one number of rows that all inputs with a fixed first dimension agree on.
fn fixed_batch(path: &Path, inputs: &[InputInfo]) -> Result<Option<usize>, ModelError> {
    let mut fixed: Option<(&str, usize)> = None;
    for input in inputs {
        let Some(Dim::Fixed(rows)) = input.dims.first() else {
            continue;
        };
        match fixed {
            _ if *rows == 0 => {
                return Err(explain::about(
                    path,
                    &format!("input `{}` is declared for 0 rows", input.name),
                ));
            }
            Some((other, before)) if before != *rows => {
                return Err(explain::about(
                    path,
                    &format!(
                        "input `{other}` takes {before} rows at once and input `{}` takes {rows}; \
                         forebay can only feed the same number to all",
                        input.name
                    ),
                ));
            }
            _ => fixed = Some((&input.name, *rows)),
        }
    }
    Ok(fixed.map(|(_, rows)| rows))
}

/// What ONNX's documentation calls an element type.
fn element_name(ty: TensorElementType) -> String {
    match ty {
        TensorElementType::Float16 => "float16".to_owned(),
        TensorElementType::Bfloat16 => "bfloat16".to_owned(),
        TensorElementType::Complex64 => "complex64".to_owned(),
        TensorElementType::Complex128 => "complex128".to_owned(),
        TensorElementType::String => "string".to_owned(),
        other => other.to_string(),
    }
}

fn kind_name(declared: &ValueType) -> &'static str {
    match declared {
        ValueType::Tensor { .. } => "a tensor",
        ValueType::Sequence(inner) if inner.is_map() => "a sequence of maps",
        ValueType::Sequence(_) => "a sequence of tensors",
        ValueType::Map { .. } => "a map",
        ValueType::Optional(_) => "optional",
    }
}
