//! The files at both ends, and the shape of what is written.

use std::path::{Path, PathBuf};

use super::{Args, Failure, failure, target::Target};
use crate::{
    cli::Exit,
    config::plan::{Plan, Selection},
    rows::{
        Format, RowsError,
        read::{self, ReadRows, Wanted},
        write::{self, Kind, OutColumn, Shape, WriteRows},
    },
};

/// Where rows come from, and where results go; `None` is standard input or output.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) input: Option<PathBuf>,
    pub(super) output: Option<PathBuf>,
    pub(super) input_format: Format,
    pub(super) output_format: Format,
}

/// A result in the making.
pub(super) struct Output {
    pub(super) writer: Box<dyn WriteRows>,
    target: Target,
}

impl Ends {
    pub(super) fn of(args: &Args) -> Result<Self, Failure> {
        let input = named(&args.input);
        let output = named(&args.output);
        let ends = Self {
            input_format: format(input.as_deref(), args.input_format, "--input-format")?,
            output_format: format(output.as_deref(), args.output_format, "--output-format")?,
            input,
            output,
        };
        if ends.output.is_none() && ends.output_format == Format::Parquet {
            return Err(Failure::new(
                Exit::Usage,
                "Parquet is not written to standard output; name a file, or say --output-format jsonl",
            ));
        }
        let same = |one: Option<&Path>, other: Option<&Path>| match (one, other) {
            (Some(one), Some(other)) => {
                one == other
                    || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
            }
            _ => false,
        };
        let (input, output) = (ends.input.as_deref(), ends.output.as_deref());
        let rejects = args.rejects.as_deref();
        for (one, other, names) in [
            (input, output, "--input and --output"),
            (input, rejects, "--input and --rejects"),
            (output, rejects, "--output and --rejects"),
        ] {
            if same(one, other) {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("{names} name the same file"),
                ));
            }
        }
        Ok(ends)
    }

    pub(super) fn output_name(&self) -> String {
        name(self.output.as_deref(), "standard output")
    }

    pub(super) fn input_name(&self) -> String {
        name(self.input.as_deref(), "standard input")
    }

    /// Opens the input.
    pub(super) fn open(&self, plan: &Plan) -> Result<(Box<dyn ReadRows>, Option<u64>), RowsError> {
        let wanted = Wanted {
            fields: &plan.fields,
            passed: &plan.passed,
        };
        read::open(self.input.as_deref(), self.input_format, wanted)
    }

    /// Begins the output.
    pub(super) fn create(&self, shape: &Shape, kinds: &[Kind]) -> Result<Output, Failure> {
        let (target, file) = Target::create(self.output.as_deref())?;
        let name = self.output_name();
        let writer = write::writer(self.output_format, shape, kinds, file, &name);
        Ok(Output {
            writer: writer.map_err(failure)?,
            target,
        })
    }
}

impl Output {
    /// Ends the file and gives it its name.
    pub(super) fn finish(self) -> Result<(), RowsError> {
        self.writer.finish()?;
        self.target.keep()
    }
}

fn named(path: &Path) -> Option<PathBuf> {
    (path != Path::new("-")).then(|| path.to_owned())
}

fn name(path: Option<&Path>, standard: &str) -> String {
    path.map_or_else(
        || standard.to_owned(),
        |path| format!("`{}`", path.display()),
    )
}

fn format(path: Option<&Path>, said: Option<Format>, option: &str) -> Result<Format, Failure> {
    if let Some(format) = said {
        return Ok(format);
    }
    let Some(path) = path else {
        return Ok(Format::Jsonl);
    };
    Format::of(path).ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            format!(
                "`{}` does not end in .jsonl, .csv or .parquet; say what it is with {option}",
                path.display()
            ),
        )
    })
}

/// What a row of the output has.
pub(super) fn shape_of(plan: &Plan, selection: &Selection) -> Shape {
    let columns = selection.columns.iter().filter_map(|column| {
        let outputs = plan.outputs.len();
        let is_result = column.series < outputs;
        let (dtype, shape) = if is_result {
            let info = plan.outputs.get(column.series)?;
            (info.dtype, info.shape.clone())
        } else {
            let field = plan.fields.get(column.series - outputs)?;
            (field.dtype, field.shape.clone())
        };
        Some(OutColumn {
            field: column.clone(),
            dtype,
            shape,
            is_result,
            is_partial: is_result && selection.partial.contains(&column.series),
        })
    });
    Shape {
        passed: plan.passed.clone(),
        columns: columns.collect(),
    }
}
