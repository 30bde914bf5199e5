//! The steps as decoders see them: one value in, columns out.

use std::{fmt, path::Path};

use serde::Serialize;

use super::{
    audio::{AudioOptions, AudioStep},
    hash::{Form, HashOptions, HashStep},
    image::{ImageOptions, ImageStep},
    text::{TextOptions, TextStep, Tokens},
    window::{WindowOptions, WindowStep},
};
use crate::{
    block::{Column, Series},
    contract::{Dtype, Fill},
};

/// One row's value of the field that a step reads.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    /// A file, or other raw data.
    Bytes(&'a [u8]),
    /// Text.
    Text(&'a str),
}

impl<'a> Cell<'a> {
    fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Text(text) => text.as_bytes(),
        }
    }
}

/// One column that a step gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// What it is called behind the step's name: `tokens.attention_mask`. Empty for the only one.
    pub part: &'static str,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Shape of one row.
    pub shape: Vec<usize>,
}

/// Why a value cannot be turned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFault {
    /// A fixed word for metrics.
    pub kind: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// Why a step cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LoadFault(pub String);

/// A step that turns one value of a row into columns.
pub trait HostStep: fmt::Debug + Send + Sync {
    /// The columns that it gives, in order.
    fn gives(&self) -> Vec<Given>;

    /// Appends one row to each of the columns of [`HostStep::gives`].
    ///
    /// # Errors
    /// The value cannot be turned; part of a row may be left in the columns.
    fn run(&mut self, cell: Cell<'_>, into: &mut [Series]) -> Result<(), HostFault>;

    /// The highest token id that a row of the first column can have, for a step that makes some.
    fn highest_id(&self) -> Option<u32> {
        None
    }

    /// What fills up the rows of each column, for a step that pads them.
    fn fills(&self) -> Vec<Fill> {
        Vec::new()
    }

    /// The same step for another thread.
    fn copy(&self) -> Box<dyn HostStep>;
}

/// What a pipeline file says about a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum HostOptions {
    /// Images.
    Image(ImageOptions),
    /// Text.
    Text(TextOptions),
    /// Windows of bytes.
    Window(WindowOptions),
    /// Sound.
    Audio(AudioOptions),
    /// Text with too many values for a list.
    Hash(HashOptions),
}

impl HostOptions {
    /// The type that the step's field has where the file does not say.
    pub fn takes(&self) -> Dtype {
        match self {
            Self::Text(_) | Self::Hash(_) => Dtype::String,
            Self::Image(_) | Self::Window(_) | Self::Audio(_) => Dtype::Bytes,
        }
    }

    /// Whether the step reads fields of this type.
    pub fn reads(&self, dtype: Dtype) -> bool {
        match self {
            Self::Text(_) | Self::Hash(_) => dtype == Dtype::String,
            Self::Window(_) => matches!(dtype, Dtype::Bytes | Dtype::String),
            Self::Image(_) | Self::Audio(_) => dtype == Dtype::Bytes,
        }
    }

    /// The same with its paths relative to this folder.
    #[must_use]
    pub fn beside(mut self, folder: &Path) -> Self {
        if let Self::Text(options) = &mut self {
            options.tokenizer = folder.join(&options.tokenizer);
        }
        self
    }

    /// Makes the step.
    ///
    /// # Errors
    /// The options contradict each other, or a file that they name is not there or wrong.
    pub fn load(&self) -> Result<Box<dyn HostStep>, LoadFault> {
        let fault = |why: &dyn fmt::Display| LoadFault(why.to_string());
        Ok(match self {
            Self::Image(options) => {
                Box::new(ImageStep::new(options.clone()).map_err(|why| fault(&why))?)
            }
            Self::Text(options) => {
                let step =
                    TextStep::load(&options.tokenizer, options).map_err(|why| fault(&why))?;
                Box::new(Text {
                    step,
                    tokens: Tokens::default(),
                })
            }
            Self::Window(options) => {
                Box::new(WindowStep::new(options.clone()).map_err(|why| fault(&why))?)
            }
            Self::Audio(options) => {
                Box::new(AudioStep::new(options.clone()).map_err(|why| fault(&why))?)
            }
            Self::Hash(options) => {
                Box::new(HashStep::new(options.clone()).map_err(|why| fault(&why))?)
            }
        })
    }
}

/// A bug, in words: whoever runs a step made its columns by [`HostStep::gives`].
fn other_columns() -> HostFault {
    HostFault {
        kind: "bug",
        reason: "the columns are not those of the step: this is a bug".to_owned(),
    }
}

impl HostStep for ImageStep {
    fn gives(&self) -> Vec<Given> {
        vec![Given {
            part: "",
            dtype: Dtype::U8,
            shape: self.row_shape(),
        }]
    }

    fn run(&mut self, cell: Cell<'_>, into: &mut [Series]) -> Result<(), HostFault> {
        let [
            Series {
                values: Column::U8(pixels),
                ..
            },
        ] = into
        else {
            return Err(other_columns());
        };
        Self::run(self, cell.bytes(), pixels).map_err(|fault| HostFault {
            kind: fault.kind(),
            reason: fault.to_string(),
        })
    }

    fn copy(&self) -> Box<dyn HostStep> {
        Box::new(self.clone())
    }
}

/// Tokens come out as three columns.
#[derive(Debug, Clone)]
struct Text {
    step: TextStep,
    tokens: Tokens,
}

impl HostStep for Text {
    fn gives(&self) -> Vec<Given> {
        let given = |part| Given {
            part,
            dtype: Dtype::I64,
            shape: vec![self.step.max_length()],
        };
        ["input_ids", "attention_mask", "token_type_ids"]
            .map(given)
            .into()
    }

    fn run(&mut self, cell: Cell<'_>, into: &mut [Series]) -> Result<(), HostFault> {
        let (Cell::Text(text), [ids, mask, types]) = (cell, into) else {
            return Err(other_columns());
        };
        let (Column::I64(ids), Column::I64(mask), Column::I64(types)) =
            (&mut ids.values, &mut mask.values, &mut types.values)
        else {
            return Err(other_columns());
        };
        self.tokens.clear();
        self.step
            .run(text, &mut self.tokens)
            .map_err(|fault| HostFault {
                kind: fault.kind(),
                reason: fault.to_string(),
            })?;
        ids.extend_from_slice(&self.tokens.input_ids);
        mask.extend_from_slice(&self.tokens.attention_mask);
        types.extend_from_slice(&self.tokens.token_type_ids);
        Ok(())
    }

    fn highest_id(&self) -> Option<u32> {
        Some(self.step.highest_id())
    }

    fn fills(&self) -> Vec<Fill> {
        let ids = Fill {
            with: self.step.pad_id(),
            most: self.step.highest_id().into(),
        };
        // The second text of a pair would have type 1.
        let small = Fill { with: 0, most: 1 };
        vec![ids, small, small]
    }

    fn copy(&self) -> Box<dyn HostStep> {
        Box::new(self.clone())
    }
}

impl HostStep for WindowStep {
    fn gives(&self) -> Vec<Given> {
        vec![Given {
            part: "",
            dtype: Dtype::I32,
            shape: vec![self.width()],
        }]
    }

    fn run(&mut self, cell: Cell<'_>, into: &mut [Series]) -> Result<(), HostFault> {
        let [
            Series {
                values: Column::I32(numbers),
                ..
            },
        ] = into
        else {
            return Err(other_columns());
        };
        Self::run(self, cell.bytes(), numbers).map_err(|fault| HostFault {
            kind: fault.kind(),
            reason: fault.to_string(),
        })
    }

    fn copy(&self) -> Box<dyn HostStep> {
        Box::new(self.clone())
    }
}

impl HostStep for AudioStep {
    fn gives(&self) -> Vec<Given> {
        vec![Given {
            part: "",
            dtype: Dtype::F32,
            shape: vec![self.samples()],
        }]
    }

    fn run(&mut self, cell: Cell<'_>, into: &mut [Series]) -> Result<(), HostFault> {
        let [
            Series {
                values: Column::F32(samples),
                ..
            },
        ] = into
        else {
            return Err(other_columns());
        };
        let found = Self::run(self, cell.bytes(), samples);
        found.map(|_| ()).map_err(|fault| HostFault {
            kind: fault.kind(),
            reason: fault.to_string(),
        })
    }

    fn copy(&self) -> Box<dyn HostStep> {
        Box::new(self.clone())
    }
}

impl HostStep for HashStep {
    fn gives(&self) -> Vec<Given> {
        let (dtype, shape) = match self.form() {
            Form::Vector => (Dtype::F32, vec![self.places()]),
            Form::Place => (Dtype::I64, Vec::new()),
        };
        vec![Given {
            part: "",
            dtype,
            shape,
        }]
    }

    fn run(&mut self, cell: Cell<'_>, into: &mut [Series]) -> Result<(), HostFault> {
        let (Cell::Text(text), [series]) = (cell, into) else {
            return Err(other_columns());
        };
        let (place, number) = Self::run(self, text);
        match &mut series.values {
            Column::F32(row) => {
                let start = row.len();
                row.resize(start + self.places(), 0.0);
                row[start + place] = number;
            }
            // There are no more than 65536.
            Column::I64(places) => places.push(i64::try_from(place).unwrap_or_default()),
            _ => return Err(other_columns()),
        }
        Ok(())
    }

    fn copy(&self) -> Box<dyn HostStep> {
        Box::new(self.clone())
    }
}
