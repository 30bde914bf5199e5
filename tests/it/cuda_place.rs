//! A pipeline with one model, on a GPU by the driver and the cuBLASLt that stand for the real ones.

use std::{fs, process::Output};

use crate::{
    cli::{err, forebay, out},
    engine::{folder, lines},
    support::fake_cuda,
};

/// A pipeline with one model of the test data, written as the test wants it, and a folder for the cache of what is measured.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    case: &'static str,
}

impl Place {
    /// With these options of the model beside `workers: 2`, and batches of 8 rows.
    pub(crate) fn new(case: &'static str, options: &str) -> Self {
        Self::with_batches(case, options, 8)
    }

    pub(crate) fn with_batches(case: &'static str, options: &str, max_rows: usize) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            case,
        };
        let case = place.case_folder();
        // By a short name: a message with a line of the file is the same wherever the project lies.
        fs::copy(case.join("model.onnx"), place.at("model.onnx")).unwrap();
        // Results come in any order.
        let mut rows = String::new();
        for (id, mut row) in lines(&case.join("rows.jsonl")).into_iter().enumerate() {
            row["id"] = id.into();
            rows += &format!("{row}\n");
        }
        fs::write(place.at("rows.jsonl"), rows).unwrap();
        let text = format!(
            "name: p\nsource: {{ file: {{ path: rows.jsonl }} }}\nsink: {{ file: {{ path: out.jsonl }} }}\n\
             models: {{ m: {{ path: model.onnx, workers: 2{options} }} }}\nbatch: {{ max_rows: {max_rows} }}\n\
             encode: {{ json: {{ pass: [id] }} }}\n"
        );
        fs::write(place.at("pipeline.yaml"), text).unwrap();
        place
    }

    pub(crate) fn case_folder(&self) -> std::path::PathBuf {
        folder("tests/data/models").join(self.case)
    }

    pub(crate) fn at(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn ran(&self, command: &str, environment: &[(&str, &str)]) -> Output {
        forebay(&[command, self.at("pipeline.yaml").to_str().unwrap()])
            .env("FOREBAY_LIBCUDA", fake_cuda::library())
            .env("XDG_CACHE_HOME", self.at("cache"))
            .env("FAKE_REPORT", self.at("report"))
            .envs([fake_cuda::with_library(), fake_cuda::NO_COMPILER])
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    }

    /// What `check` says of where the model runs, or why it does not.
    pub(crate) fn checked(&self, environment: &[(&str, &str)]) -> String {
        let output = self.ran("check", environment);
        let said = format!("{}{}", out(&output), err(&output));
        let model = self.case_folder().join("model.onnx");
        let said = said.replace(&*model.to_string_lossy(), "MODEL");
        let said = said.replace(&*self.folder.path().to_string_lossy(), "DIR");
        let line = said
            .lines()
            .find(|line| line.contains(" runs on ") || line.starts_with("error"));
        line.unwrap_or(&said).trim().to_owned()
    }

    /// How far the results are off, as a part of the largest, of a run that succeeded.
    pub(crate) fn off(&self, environment: &[(&str, &str)]) -> f64 {
        let output = self.ran("run", environment);
        assert!(output.status.success(), "{}", err(&output));
        assert_eq!(
            self.report()["violations"],
            serde_json::json!([]),
            "{}",
            err(&output)
        );
        let mut pairs = Vec::new();
        let expected = lines(&self.case_folder().join("expected.jsonl"));
        let mut results = lines(&self.at("out.jsonl"));
        results.sort_by_key(|result| result["id"].as_u64());
        assert_eq!(results.len(), expected.len());
        for (result, expected) in results.iter().zip(&expected) {
            numbers(result, expected, &mut pairs);
        }
        fs::remove_file(self.at("out.jsonl")).unwrap();
        let largest = pairs
            .iter()
            .fold(0.0, |most: f64, (_, wanted)| most.max(wanted.abs()));
        let off = pairs.iter().map(|(found, wanted)| (found - wanted).abs());
        off.fold(0.0, f64::max) / largest
    }

    pub(crate) fn report(&self) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.at("report")).unwrap()).unwrap()
    }

    /// How many products ran in this precision in the last run.
    pub(crate) fn products(&self, math: &str) -> u64 {
        let report = self.report();
        let kernels = report["kernels"].as_object().unwrap().iter();
        let own = kernels.filter(|(name, _)| name.starts_with(&format!("cublaslt {math} ")));
        own.filter_map(|(_, count)| count.as_u64()).sum()
    }

    /// How many of them forebay's own kernels did.
    pub(crate) fn own_products(&self, math: &str) -> u64 {
        let kernel = format!("gemm_{}", math.replace("fp", "f"));
        let report = self.report();
        let kernels = report["kernels"].as_object().unwrap().iter();
        let own = kernels.filter(|(name, _)| name.starts_with(&kernel));
        own.filter_map(|(_, count)| count.as_u64()).sum()
    }

    pub(crate) fn calls(&self, name: &str) -> u64 {
        self.report()["calls"][name].as_u64().unwrap_or(0)
    }
}

/// What `doctor` says of a part, in the first lines, with this environment.
pub(crate) fn doctor(part: &str, environment: (&str, &str)) -> String {
    let output = forebay(&["doctor"])
        .env("FOREBAY_LIBCUDA", fake_cuda::library())
        .envs([environment])
        .output()
        .unwrap();
    let text = out(&output);
    let place = text.find(part).unwrap();
    text[place..].lines().take(4).collect::<Vec<_>>().join("\n")
}

/// The numbers of two values that are made up alike.
fn numbers(found: &serde_json::Value, wanted: &serde_json::Value, pairs: &mut Vec<(f64, f64)>) {
    match (found, wanted) {
        (serde_json::Value::Array(found), serde_json::Value::Array(wanted)) => {
            assert_eq!(found.len(), wanted.len());
            for (found, wanted) in found.iter().zip(wanted) {
                numbers(found, wanted, pairs);
            }
        }
        (serde_json::Value::Object(found), serde_json::Value::Object(wanted)) => {
            for (key, wanted) in wanted {
                numbers(&found[key], wanted, pairs);
            }
        }
        _ => pairs.push((found.as_f64().unwrap(), wanted.as_f64().unwrap())),
    }
}
