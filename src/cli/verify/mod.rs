//! `forebay verify PATH…`: runs models over inputs whose outputs are known, and pipelines over their
//! golden rows, and compares.

mod compare;
mod files;
mod folders;
mod report;

use std::path::{Path, PathBuf};

use self::{
    compare::Tolerance,
    folders::{Case, DataSet},
    report::{Report, Verdict},
};
use super::{Exit, Failure, Globals, plans};
use crate::{
    config::Plan,
    engine::{
        Device,
        cpu::raw::CpuRaw,
        cuda::{probe, raw::CudaRaw},
        raw::{Port, RawError, RawModel, Value},
    },
    pipeline::golden,
};

/// What ONNX's own tests allow beside the part of a number.
const ABSOLUTE: f64 = 1e-7;

/// What `verify` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Folders with a model.onnx and test_data_set_N/{input,output}_M.pb in them, or folders of such folders; or
    /// pipeline files with golden rows
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What the models run on: auto, cpu, cuda or cuda:N; auto is the GPU where there is one
    #[arg(long, value_name = "DEVICE", value_parser = device, default_value_t = Device::Auto)]
    device: Device,
    /// How far a number may be off, as a part of the expected one [default: 0.001, for bfloat16 two units in
    /// its last place, 0.015625; what the file says for a pipeline]
    #[arg(long, value_name = "PART", value_parser = tolerance, allow_hyphen_values = true)]
    rtol: Option<f64>,
    /// How far a number may be off besides [default: 1e-7; what the file says for a pipeline]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, value_parser = tolerance)]
    atol: Option<f64>,
    /// Print one JSON object with everything, instead of lines for people
    #[arg(long)]
    json: bool,
    /// Print only what does not pass, and the summary
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
}

pub(super) fn examples() -> String {
    super::examples!(
        "forebay verify resnet50                           resnet50/model.onnx, all its data sets",
        "forebay verify onnx/backend/test/data/node        every case below a folder",
        "forebay verify model --rtol 0 --atol 1e-5         absolute differences only",
        "forebay verify pipeline.yaml                      its golden rows",
        "forebay verify cases --quiet                      only what does not pass",
        "forebay verify cases --json | jq '.data_sets[] | select(.result != \"passed\")'",
    )
}

/// A device, as the command line names it.
fn device(text: &str) -> Result<Device, String> {
    Device::parse(text).ok_or_else(|| {
        "there are auto, cpu, and cuda or cuda:N for the GPU of that number".to_owned()
    })
}

/// The model on its device; with `auto` on the GPU where there is one.
fn load(device: Device, model: &Path) -> Result<Box<dyn RawModel>, RawError> {
    Ok(match device.for_engine(0) {
        Device::Cuda(number) => Box::new(CudaRaw::load(model, number)?),
        Device::Auto if probe::present().is_ok() => Box::new(CudaRaw::load(model, 0)?),
        _ => Box::new(CpuRaw::load(model)?),
    })
}

fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.0 && number.is_finite() => Ok(number),
        _ => Err("it must be a number like 1e-3, not below 0".to_owned()),
    }
}

/// Runs every data set, says how each went, and sums up.
///
/// # Errors
/// A folder is missing or has no model in it (exit 66), a pipeline file is wrong (78), ONNX Runtime is not there (69), a data set fails (1),
/// or, where none does, one cannot be run here (69).
pub fn verify(args: &Args, globals: &Globals) -> Result<(), Failure> {
    let (files, dirs): (Vec<PathBuf>, Vec<PathBuf>) = args
        .paths
        .iter()
        .cloned()
        .partition(|path| is_pipeline(path));
    let cases = (dirs.iter())
        .map(|dir| folders::cases(dir))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|why| Failure::new(Exit::NoInput, why))?
        .concat();
    plans::load_runtime(globals)?;
    let pipelines = if files.is_empty() {
        Vec::new()
    } else {
        plans::load(&files, globals)?
    };
    let tolerance = Tolerance {
        relative: args.rtol,
        absolute: args.atol.unwrap_or(ABSOLUTE),
    };
    let sets: usize = cases.iter().map(|case| case.data_sets.len().max(1)).sum();
    let sets = sets + pipelines.len();
    let mut report = Report::new(sets, args.json, args.quiet);
    for case in &cases {
        report.running(&case.folder);
        for (data_set, verdict) in run_case(case, args.device, tolerance) {
            if report.add(&data_set, verdict)?.is_gone() {
                return Ok(());
            }
        }
    }
    for plan in &pipelines {
        report.running(&plan.file);
        let verdict = golden_rows(plan, args);
        if report.add(&plan.file, verdict)?.is_gone() {
            return Ok(());
        }
    }
    report.finish()
}

/// Whether this is a pipeline file, and no folder with models.
fn is_pipeline(path: &Path) -> bool {
    let yaml = path.extension().and_then(|extension| extension.to_str());
    matches!(yaml, Some("yaml" | "yml")) && !path.is_dir()
}

/// How a pipeline's golden rows went, with the tolerances of the command line in the place of its own.
fn golden_rows(plan: &Plan, args: &Args) -> Verdict {
    let ran = golden::verify(plan, |golden| golden::Tolerance {
        relative: args.rtol.unwrap_or(golden.rtol),
        absolute: args.atol.unwrap_or(golden.atol),
    });
    match ran {
        Ok(Some(ran)) => Verdict::Golden(ran.golden),
        Ok(None) => Verdict::from(RawError::Failed(
            "it has no golden rows: add `golden: { input: FILE, expected: FILE }`".to_owned(),
        )),
        Err(error) => Verdict::from(RawError::Failed(error.to_string())),
    }
}

/// One model's data sets, each with how it went.
fn run_case(case: &Case, device: Device, tolerance: Tolerance) -> Vec<(PathBuf, Verdict)> {
    let all = |error: &RawError| {
        let folders: Vec<&PathBuf> = match &case.data_sets[..] {
            [] => vec![&case.folder],
            sets => sets.iter().map(|set| &set.folder).collect(),
        };
        let each = folders
            .into_iter()
            .map(|folder| (folder.clone(), Verdict::from(error.clone())));
        each.collect()
    };
    if case.data_sets.is_empty() {
        return all(&RawError::Failed(
            "it has a model.onnx and no test_data_set_N folder beside it".to_owned(),
        ));
    }
    let mut model = match load(device, &case.model()) {
        Ok(model) => model,
        Err(error) => return all(&error),
    };
    (case.data_sets.iter())
        .map(|set| {
            let verdict = run_set(set, model.as_mut(), tolerance).unwrap_or_else(Verdict::from);
            (set.folder.clone(), verdict)
        })
        .collect()
}

fn run_set(
    set: &DataSet,
    model: &mut dyn RawModel,
    tolerance: Tolerance,
) -> Result<Verdict, RawError> {
    let inputs = files::assigned(&set.inputs, model.inputs(), "input")?;
    let expected = files::assigned(&set.outputs, model.outputs(), "output")?;
    check_complete(&inputs, model.inputs(), "input")?;
    check_complete(&expected, model.outputs(), "output")?;
    let ports: Vec<String> = (model.outputs().iter())
        .map(|port| port.name.clone())
        .collect();
    let found = model.run(&inputs)?;
    let mut outputs = Vec::with_capacity(ports.len());
    for (name, found) in ports.iter().zip(&found) {
        let expected = expected.iter().find(|(of, _)| of == name);
        let nothing = Value::Nothing;
        let expected = expected.map_or(&nothing, |(_, value)| value);
        compare::values(
            name,
            &files::decoded(expected),
            found,
            tolerance,
            &mut outputs,
        );
    }
    Ok(Verdict::Compared(outputs))
}

fn check_complete<T>(files: &[(String, T)], ports: &[Port], word: &str) -> Result<(), RawError> {
    let lacks = (ports.iter()).find(|port| !files.iter().any(|(name, _)| *name == port.name));
    match lacks {
        Some(port) => Err(RawError::Failed(format!(
            "the model has {}, and none of the {} files {word}_N.pb is for `{}`",
            counted(ports.len(), word),
            files.len(),
            port.name
        ))),
        None => Ok(()),
    }
}

/// `1 input`, `2 inputs`.
fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
