//! Pipelines from a file to a file, run to their end by the real program.

use std::{fs, path::PathBuf, process::Output};

use serde_json::Value;
use tempfile::TempDir;

use super::{examples::json, program::forebay};

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    /// One for each result.
    pub(crate) results: Vec<Value>,
    /// One for each dead letter.
    pub(crate) dead: Vec<Value>,
    pub(crate) stderr: String,
}

/// A file of the repository, for a pipeline that lies elsewhere.
pub(crate) fn here(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    assert!(path.is_file(), "{} is not there", path.display());
    path.display().to_string()
}

/// Runs what is between source and sink over these lines.
pub(crate) fn run(middle: &str, lines: &[String]) -> Ran {
    let folder = TempDir::new().expect("a temporary folder");
    let place = |name: &str| folder.path().join(name);
    let text = format!(
        "name: test\nsource: {{ file: {{ path: in.jsonl }} }}\n{middle}\nsink: {{ file: {{ path: out.jsonl }} }}\ndead_letter: {{ file: {{ path: dead.jsonl }} }}\n"
    );
    fs::write(place("pipeline.yaml"), text).expect("written");
    // With its end, so that all lines are read together: what is read later may be done sooner.
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(place("in.jsonl"), lines).expect("written");
    let file = place("pipeline.yaml");
    let output: Output = forebay(&["run", file.to_str().expect("UTF-8")])
        .output()
        .expect("the program runs");
    let read = |name: &str| -> Vec<Value> {
        let text = fs::read_to_string(place(name)).unwrap_or_default();
        text.lines().map(|line| json(line.as_bytes())).collect()
    };
    Ran {
        code: output.status.code().unwrap_or(-1),
        results: read("out.jsonl"),
        dead: read("dead.jsonl"),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Ran {
    /// Stage and reason of each dead letter.
    pub(crate) fn reasons(&self) -> Vec<(String, String)> {
        let header = |letter: &Value, name: &str| {
            let found = letter["headers"][name].as_str().or(letter[name].as_str());
            found.map_or_else(|| letter.to_string(), str::to_owned)
        };
        let letters = self.dead.iter();
        letters
            .map(|letter| {
                (
                    header(letter, "Forebay-Stage"),
                    header(letter, "Forebay-Reason"),
                )
            })
            .collect()
    }
}
