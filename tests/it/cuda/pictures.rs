//! A pipeline with a residual network, on a GPU by the driver and the cuDNN that stand for the real ones.

use std::{fs, path::Path};

use forebay::graph;

use super::{
    convolutions::ran,
    well_known::shapes::{self, Random},
};
use crate::{
    cli::{err, forebay, out},
    cuda_place::doctor,
    engine::lines,
    support::fake_cuda,
};

/// A pipeline with a residual network, and rows for it.
struct Pipeline {
    folder: tempfile::TempDir,
}

impl Pipeline {
    fn new(options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        graph::write(&shapes::resnet18(16, 8, 5), &at("model.onnx")).unwrap();
        let mut random = Random::new(5);
        let mut rows = String::new();
        for id in 0..6 {
            let mut cells = || {
                let cells: Vec<String> =
                    (0..16).map(|_| format!("{:.4}", random.number())).collect();
                format!("[{}]", cells.join(","))
            };
            let mut plane = || {
                let rows: Vec<String> = (0..16).map(|_| cells()).collect();
                format!("[{}]", rows.join(","))
            };
            let planes: Vec<String> = (0..3).map(|_| plane()).collect();
            rows += &format!("{{\"id\":{id},\"image\":[{}]}}\n", planes.join(","));
        }
        fs::write(at("rows.jsonl"), rows).unwrap();
        let text = format!(
            "name: p\nsource: {{ file: {{ path: rows.jsonl }} }}\nfields:\n  image: {{ dtype: f32, shape: [3, 16, 16] }}\n\
             sink: {{ file: {{ path: out.jsonl }} }}\nmodels: {{ m: {{ path: model.onnx, workers: 2{options} }} }}\n\
             batch: {{ max_rows: 4 }}\nencode: {{ json: {{ pass: [id] }} }}\n"
        );
        fs::write(at("pipeline.yaml"), text).unwrap();
        Self { folder }
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn ran(&self, command: &str, libcuda: &Path, environment: &[(&str, &str)]) -> String {
        let output = forebay(&[command, self.at("pipeline.yaml").to_str().unwrap()])
            .env("FOREBAY_LIBCUDA", libcuda)
            .env("XDG_CACHE_HOME", self.at("cache"))
            .env("FAKE_REPORT", self.at("report"))
            .envs([
                fake_cuda::NO_LIBRARY,
                fake_cuda::NO_COMPILER,
                fake_cuda::with_convolver(),
            ])
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", err(&output));
        format!("{}{}", out(&output), err(&output))
    }

    /// The results by id.
    fn results(&self, libcuda: &Path) -> Vec<Vec<f64>> {
        self.ran("run", libcuda, &[]);
        let mut results = lines(&self.at("out.jsonl"));
        fs::remove_file(self.at("out.jsonl")).unwrap();
        results.sort_by_key(|result| result["id"].as_u64());
        let numbers = |result: &serde_json::Value| {
            let y = result["y"].as_array().unwrap();
            y.iter().map(|number| number.as_f64().unwrap()).collect()
        };
        results.iter().map(numbers).collect()
    }

    /// What `check` says of where the model runs.
    fn checked(&self, environment: &[(&str, &str)]) -> String {
        let said = self.ran("check", fake_cuda::library(), environment);
        let line = said.lines().find(|line| line.contains(" runs on "));
        line.unwrap_or(&said).trim().to_owned()
    }
}

#[test]
fn check_says_how_pictures_lie_and_why() {
    let mut said = String::new();
    for options in [
        "",
        ", precision: fp32",
        ", precision: fp16",
        ", precision: tf32",
    ] {
        let options = format!("{options}, tolerance: 0.01");
        // What is measured is kept, so each has a folder of its own.
        let checked = |environment| Pipeline::new(&options).checked(&[environment]);
        said += &format!("{options}\n  {}\n", checked(fake_cuda::with_convolver()));
        said += &format!("  without: {}\n", checked(fake_cuda::NO_CONVOLVER));
        said += &format!("  slow: {}\n", checked(("FAKE_CUDNN_TIME", "100000")));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn doctor_says_which_one_there_is() {
    let with = doctor("cuDNN", fake_cuda::with_convolver());
    assert!(
        with.starts_with("cuDNN          yes       9.13.2"),
        "{with}"
    );
    let without = doctor("cuDNN", fake_cuda::NO_CONVOLVER);
    assert!(without.starts_with("cuDNN          no "), "{without}");
    assert!(
        without.contains("(the file that FOREBAY_LIBCUDNN names)"),
        "{without}"
    );
    assert!(
        without.contains("forebay's own kernels convolve"),
        "{without}"
    );
}

#[test]
fn a_pipeline_gives_what_it_gives_on_the_cpu() {
    let nowhere = Path::new("/nowhere/libcuda.so.1");
    let wanted = Pipeline::new(", device: cpu").results(nowhere);
    for (math, limit) in [
        ("fp32", 1e-5),
        ("tf32", 5e-3),
        ("fp16", 5e-3),
        ("bf16", 5e-2),
    ] {
        let place = Pipeline::new(&format!(
            ", device: cuda, precision: {math}, tolerance: 0.2"
        ));
        let found = place.results(fake_cuda::library());
        let report: serde_json::Value =
            serde_json::from_slice(&fs::read(place.at("report")).unwrap()).unwrap();
        assert_eq!(report["violations"], serde_json::json!([]), "{math}");
        assert!(
            ran(&report["kernels"], &format!("cudnn {math} ")) > 0,
            "{math}"
        );
        assert_eq!(found.len(), wanted.len());
        let largest = wanted
            .iter()
            .flatten()
            .fold(0.0, |most: f64, number| most.max(number.abs()));
        let pairs = found.iter().flatten().zip(wanted.iter().flatten());
        let off = pairs.map(|(found, wanted)| (found - wanted).abs());
        let off = off.fold(0.0, f64::max) / largest;
        assert!(off < limit, "{math}: {off}");
    }
}
