//! The pipelines that are measured.

use crate::{
    support::Server,
    targets::{Target, model, row_fields, row_names},
};

/// What forebay is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// JSON objects, or lists of them.
    Json,
    /// Raw tensors, in and out.
    Tensor,
    /// As [`Job::Json`], by so many pipelines in one process, each on subjects of its own.
    Many(usize),
}

/// The release binary at this job.
pub(crate) fn forebay(server: &Server, job: Job) -> Target {
    let count = match job {
        Job::Many(count) => count,
        Job::Json | Job::Tensor => 1,
    };
    let pipelines: Vec<String> = (0..count)
        .map(|number| yaml(&server.url(), job, number))
        .collect();
    Target::forebay(server, &pipelines, ["bench0.in", "bench0.out"])
}

fn yaml(url: &str, job: Job, number: usize) -> String {
    let (fields, step) = match job {
        Job::Tensor => (
            "decode: { tensor: {} }\nencode: { tensor: {} }\n".to_owned(),
            "  - model: mlp\n".to_owned(),
        ),
        Job::Json | Job::Many(_) => (
            row_fields(),
            format!("  - model: mlp\n    inputs: {{ X: [{}] }}\n", row_names()),
        ),
    };
    format!(
        "name: bench{number}\nsource:\n  nats: {{ url: \"{url}\", subject: bench{number}.in }}\n{fields}models:\n  mlp: {{ path: \"{}\", workers: 1 }}\nsteps:\n{step}sink:\n  nats: {{ subject: bench{number}.out }}\n",
        model().display(),
    )
}
