//! `forebay check`: says what is wrong with pipeline files, or what they mean.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use crate::{
    config::{self, ConfigErrors, Plan},
    engine::ModelCatalog,
};

/// The exit code for a pipeline file that is wrong (`EX_CONFIG` of sysexits.h).
pub const EXIT_CONFIG: u8 = 78;

/// Checks pipeline files, each alone and all together. Mistakes go to standard error; with
/// `resolved`, what the files mean goes to standard output, as YAML documents.
pub fn check(files: &[PathBuf], resolved: bool, catalog: &mut dyn ModelCatalog) -> ExitCode {
    match load_all(files, catalog) {
        Err(all) => {
            for errors in all {
                report(&errors);
            }
            ExitCode::from(EXIT_CONFIG)
        }
        Ok(plans) => {
            let text = if resolved {
                documents(&plans)
            } else {
                summary(&plans)
            };
            // A reader that has gone away has seen enough.
            match io::stdout().write_all(text.as_bytes()) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
                _ => ExitCode::SUCCESS,
            }
        }
    }
}

/// Loads pipeline files for one process.
///
/// # Errors
/// The mistakes of every file that has some.
pub fn load_all(
    files: &[PathBuf],
    catalog: &mut dyn ModelCatalog,
) -> Result<Vec<Plan>, Vec<ConfigErrors>> {
    let (mut plans, mut errors) = (Vec::new(), Vec::new());
    for file in files {
        match config::load(file, catalog) {
            Ok(plan) => plans.push(plan),
            Err(error) => errors.push(error),
        }
    }
    errors.extend(config::check_together(&plans).err());
    if errors.is_empty() {
        Ok(plans)
    } else {
        Err(errors)
    }
}

/// Writes mistakes to standard error, in colour where that is wanted.
pub fn report(errors: &ConfigErrors) {
    let stderr = io::stderr();
    let text = errors.render_for(&stderr);
    // There is nowhere left to say that standard error is closed.
    stderr.lock().write_all(text.as_bytes()).ok();
}

fn documents(plans: &[Plan]) -> String {
    let texts: Vec<_> = plans
        .iter()
        .map(|plan| format!("# {}\n{}", plan.file.display(), config::resolved(plan)))
        .collect();
    texts.join("---\n")
}

fn summary(plans: &[Plan]) -> String {
    let lines: Vec<_> = plans
        .iter()
        .map(|plan| {
            let models: Vec<_> = plan.steps.iter().map(|step| step.model.as_str()).collect();
            format!(
                "{}: pipeline `{}` is sound: {} fields, models: {}\n",
                plan.file.display(),
                plan.name,
                plan.fields.len(),
                models.join(", ")
            )
        })
        .collect();
    lines.concat()
}
