//! One model file, loaded: its session and what it declares.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use ort::{
    logging::LogLevel,
    session::{Session, builder::GraphOptimizationLevel},
    value::{TensorElementType, ValueType},
};

use super::{explain, library};
use crate::{
    contract::Dtype,
    engine::{Dim, InputInfo, ModelError},
};

/// A loaded model.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) path: PathBuf,
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
    pub(super) kind: OutputKind,
}

/// What an output holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputKind {
    /// A tensor.
    Tensor(TensorElementType),
    /// A map for each row, as ZipMap makes them.
    Maps(MapKey, MapValue),
}

/// The type of a map's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MapKey {
    I64,
    String,
}

/// The type of a map's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MapValue {
    F32,
    F64,
}

impl OutputKind {
    /// The type of the series that the output becomes: small integers widen to the next type
    /// that messages know. `None` for what cannot be served.
    pub(super) fn dtype(self) -> Option<Dtype> {
        Some(match self {
            Self::Maps(_, MapValue::F32) | Self::Tensor(TensorElementType::Float32) => Dtype::F32,
            Self::Maps(_, MapValue::F64) | Self::Tensor(TensorElementType::Float64) => Dtype::F64,
            Self::Tensor(TensorElementType::Uint8) => Dtype::U8,
            Self::Tensor(TensorElementType::Bool) => Dtype::Bool,
            Self::Tensor(TensorElementType::String) => Dtype::String,
            Self::Tensor(
                TensorElementType::Int8
                | TensorElementType::Int16
                | TensorElementType::Int32
                | TensorElementType::Uint16,
            ) => Dtype::I32,
            Self::Tensor(TensorElementType::Int64 | TensorElementType::Uint32) => Dtype::I64,
            Self::Tensor(_) => return None,
        })
    }
}

impl Model {
    /// Loads the file, with one thread for each run.
    pub(super) fn load(path: &Path) -> Result<Self, ModelError> {
        explain::check_file(path)?;
        let session = open(path)?;
        let inputs = session
            .inputs()
            .iter()
            .map(|input| input_info(path, input.name(), input.dtype()))
            .collect::<Result<Vec<_>, _>>()?;
        let outputs = session
            .outputs()
            .iter()
            .map(|output| declared(path, output.name(), output.dtype()))
            .collect::<Result<Vec<_>, _>>()?;
        let batch = fixed_batch(path, &inputs)?;
        Ok(Self {
            path: path.to_path_buf(),
            session,
            inputs,
            outputs,
            batch,
        })
    }

    /// An error about this model.
    pub(super) fn error(&self, why: &str) -> ModelError {
        explain::about(&self.path, why)
    }
}

fn open(path: &Path) -> Result<Session, ModelError> {
    let environment = library::loaded()?;
    let opened = catch_unwind(AssertUnwindSafe(|| -> ort::Result<Session> {
        Session::builder(&environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            // A pipeline has as many engine threads as it wants; two of ours beat one of
            // theirs, and no thread of theirs spins beside ours.
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            // Patterns are kept for every shape seen, and batches come in every size.
            .with_memory_pattern(false)?
            .with_log_level(LogLevel::Error)?
            .commit_from_file(path)
    }));
    match opened {
        Ok(session) => session.map_err(|error| explain::load_failure(path, &error)),
        // `ort` takes types that it does not know for impossible.
        Err(_) => Err(explain::about(
            path,
            "its inputs or outputs are of a kind that forebay does not know; they must be tensors \
             (or, for outputs, ZipMap's maps)",
        )),
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
            return bad(format!(
                "has elements of type {}; forebay can feed {}. Export the model with such an \
                 input, or put a Cast in front of it",
                element_name(*other),
                Dtype::ALL.map(Dtype::name).join(", ")
            ));
        }
    };
    if shape.is_empty() {
        return bad(
            "has no batch dimension (it takes a single value, whatever the number of rows); \
             forebay can only feed inputs whose first dimension is the row"
                .to_owned(),
        );
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

fn declared(path: &Path, name: &str, declared: &ValueType) -> Result<Declared, ModelError> {
    let bad = |why: String| Err(explain::about(path, &format!("output `{name}` {why}")));
    let kind = match declared {
        ValueType::Tensor { ty, .. } => OutputKind::Tensor(*ty),
        ValueType::Sequence(inner) => match **inner {
            ValueType::Map { key, value } => match (map_key(key), map_value(value)) {
                (Some(key), Some(value)) => OutputKind::Maps(key, value),
                _ => {
                    return bad(format!(
                        "is maps from {} to {}; forebay can read maps from string or i64 to f32 or f64",
                        element_name(key),
                        element_name(value)
                    ));
                }
            },
            _ => {
                return bad(format!(
                    "is {}; forebay can serve tensors and ZipMap's maps",
                    kind_name(declared)
                ));
            }
        },
        _ => {
            return bad(format!(
                "is {}; forebay can serve tensors and ZipMap's maps",
                kind_name(declared)
            ));
        }
    };
    if kind.dtype().is_none()
        && let OutputKind::Tensor(ty) = kind
    {
        return bad(format!(
            "has elements of type {}, which messages cannot carry; put a Cast to float behind it",
            element_name(ty)
        ));
    }
    Ok(Declared {
        name: name.to_owned(),
        kind,
    })
}

fn map_key(ty: TensorElementType) -> Option<MapKey> {
    match ty {
        TensorElementType::Int64 => Some(MapKey::I64),
        TensorElementType::String => Some(MapKey::String),
        _ => None,
    }
}

fn map_value(ty: TensorElementType) -> Option<MapValue> {
    match ty {
        TensorElementType::Float32 => Some(MapValue::F32),
        TensorElementType::Float64 => Some(MapValue::F64),
        _ => None,
    }
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
