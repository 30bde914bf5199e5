//! A model file as it is: fed and read whatever its types.
//!
//! `ort` has no Rust type for half of ONNX's element types, and no way to make an empty list or a missing
//! value. Small models of constants make what is fed, and a Cast to float, which holds all values of these
//! types exactly, makes what is read (see `made`).

mod feed;
mod made;
mod read;

use std::{
    borrow::Cow,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use ort::{
    session::{OutputSelector, RunOptions, Session, SessionInputValue},
    value::{DynValue, ValueType},
};

use super::{
    explain,
    model::{self, NotOpened},
};
use crate::{
    engine::{
        ModelError,
        raw::{Kind, Port, RawError, RawModel, Value},
    },
    graph::tensor::{Element, Raw, Tensor},
};

/// A loaded model.
#[derive(Debug)]
pub struct CpuRaw {
    path: PathBuf,
    session: Session,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl CpuRaw {
    /// Loads any file that ONNX Runtime takes, set up as for serving.
    ///
    /// # Errors
    /// See [`RawError`].
    pub fn load(path: &Path) -> Result<Self, RawError> {
        explain::check_file(path).map_err(|error| RawError::Failed(bare(path, &error)))?;
        let session = open(path, None)?;
        let ports = |outlets: &[ort::value::Outlet]| {
            (outlets.iter())
                .map(|outlet| Port {
                    name: outlet.name().to_owned(),
                    kind: kind(outlet.dtype()),
                })
                .collect::<Vec<_>>()
        };
        Ok(Self {
            path: path.to_path_buf(),
            inputs: ports(session.inputs()),
            outputs: ports(session.outputs()),
            session,
        })
    }

    /// The names of the optional outputs that have a value for these inputs.
    fn present(&self, fed: &Fed, missing: &[&str]) -> Result<Vec<String>, RawError> {
        let optional: Vec<&str> = (self.outputs.iter())
            .filter(|port| port.kind == Kind::Optional)
            .map(|port| port.name.as_str())
            .collect();
        if optional.is_empty() {
            return Ok(Vec::new());
        }
        let changed =
            made::asked(&self.file()?, missing, &optional).map_err(|why| Self::failed(&why))?;
        let mut session = open(&self.path, Some(&changed))?;
        let asked: Vec<String> = optional.iter().map(|name| made::asks(name)).collect();
        let answers = run(&mut session, fed, &asked)?;
        let mut present = Vec::new();
        for (name, answer) in optional.iter().zip(answers) {
            let (_, answer) = (answer.try_extract_tensor::<bool>())
                .map_err(|error| Self::failed(&format!("whether `{name}` has a value: {error}")))?;
            if answer.first() == Some(&true) {
                present.push((*name).to_owned());
            }
        }
        Ok(present)
    }

    /// The type of the elements of the tensors in a list that the model takes.
    fn held(&self, input: &str) -> Option<Element> {
        let inputs = self.session.inputs();
        let mut declared = (inputs.iter())
            .find(|outlet| outlet.name() == input)?
            .dtype();
        if let ValueType::Optional(inner) = declared {
            declared = &**inner;
        }
        match declared {
            ValueType::Sequence(inner) => read::element(inner.tensor_type()?).ok(),
            _ => None,
        }
    }

    fn file(&self) -> Result<Vec<u8>, RawError> {
        fs::read(&self.path).map_err(|error| Self::failed(&format!("cannot be read: {error}")))
    }

    fn failed(why: &str) -> RawError {
        RawError::Failed(why.to_owned())
    }
}

impl RawModel for CpuRaw {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[(String, Value<Raw>)]) -> Result<Vec<Value<Tensor>>, RawError> {
        // Nothing cannot be handed over, so the graph makes it itself.
        let missing: Vec<&str> = (inputs.iter())
            .filter(|(_, value)| *value == Value::Nothing)
            .map(|(name, _)| name.as_str())
            .collect();
        let mut fed = Vec::with_capacity(inputs.len());
        for (name, value) in inputs {
            if *value != Value::Nothing {
                let value = feed::value(value, self.held(name))
                    .map_err(|why| RawError::CannotBeFed(format!("input `{name}`: {why}")))?;
                fed.push((name.clone(), value));
            }
        }
        let present = self.present(&fed, &missing)?;
        let wanted: Vec<String> = (self.outputs.iter())
            .filter(|port| port.kind != Kind::Optional || present.contains(&port.name))
            .map(|port| port.name.clone())
            .collect();
        let found = if missing.is_empty() {
            run(&mut self.session, &fed, &wanted)?
        } else {
            let changed =
                made::asked(&self.file()?, &missing, &[]).map_err(|why| Self::failed(&why))?;
            run(&mut open(&self.path, Some(&changed))?, &fed, &wanted)?
        };
        let mut found = wanted.iter().zip(found).peekable();
        (self.outputs.iter())
            .map(
                |port| match found.next_if(|(name, _)| **name == port.name) {
                    None => Ok(Value::Nothing),
                    Some((name, value)) => read::value(&value)
                        .map_err(|why| RawError::CannotBeFed(format!("output `{name}`: {why}"))),
                },
            )
            .collect()
    }
}

/// What is handed to a session, by name.
type Fed = Vec<(String, DynValue)>;

/// A session, or why there is none.
fn open(path: &Path, changed: Option<&[u8]>) -> Result<Session, RawError> {
    model::session(path, changed).map_err(|why| match why {
        NotOpened::NoRuntime(error) => RawError::Failed(error.to_string()),
        NotOpened::UnknownKind => RawError::CannotBeFed(
            "an input or output is of a kind that forebay does not know; it must be a tensor, a list or map of \
             tensors, or one of these that may be missing"
                .to_owned(),
        ),
        NotOpened::Refused(error) => {
            let words = bare(path, &explain::load_failure(path, &error));
            if explain::is_not_supported(&error) {
                RawError::NotSupported(words)
            } else {
                RawError::Failed(words)
            }
        }
    })
}

/// Runs a session for these outputs, which come back in this order.
fn run(session: &mut Session, fed: &Fed, wanted: &[String]) -> Result<Vec<DynValue>, RawError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let selector = (wanted.iter()).fold(OutputSelector::no_default(), |selector, name| {
        selector.with(name.as_str())
    });
    // `ort` takes values that it does not know for impossible.
    let ran = catch_unwind(AssertUnwindSafe(|| -> ort::Result<Vec<DynValue>> {
        let options = RunOptions::new()?.with_outputs(selector);
        let inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = (fed.iter())
            .map(|(name, value)| (Cow::from(name.as_str()), value.into()))
            .collect();
        let mut outputs = session.run_with_options(inputs, &options)?;
        (wanted.iter())
            .map(|name| {
                let missing = || ort::Error::new(format!("output `{name}` did not come out"));
                outputs.remove(name).ok_or_else(missing)
            })
            .collect()
    }));
    let Ok(ran) = ran else {
        let words = "an output is of a kind that forebay does not know";
        return Err(RawError::CannotBeFed(words.to_owned()));
    };
    ran.map_err(|error| {
        let words = explain::clean(error.message());
        if explain::is_not_supported(&error) {
            RawError::NotSupported(words)
        } else {
            RawError::Failed(words)
        }
    })
}

/// What is wrong, without the model's path: who runs a model knows it.
fn bare(path: &Path, error: &ModelError) -> String {
    let words = error.to_string();
    let before = explain::about(path, "").to_string();
    words.strip_prefix(&before).unwrap_or(&words).to_owned()
}

fn kind(declared: &ValueType) -> Kind {
    match declared {
        ValueType::Tensor { .. } => Kind::Tensor,
        ValueType::Sequence(_) => Kind::Sequence,
        ValueType::Map { .. } => Kind::Map,
        ValueType::Optional(_) => Kind::Optional,
    }
}
