//! Pipeline files to test with, and models for them that are not there.

use std::path::Path;

use forebay::{
    config::{self, ConfigErrors, Plan},
    contract::Dtype,
    engine::{Dim, InputInfo, ModelCatalog, ModelError, ModelSource, OutputInfo},
};

/// Models by the folder they lie in; the files themselves are not read.
pub(crate) struct Models;

fn input(name: &str, dtype: Dtype, row: &[Option<usize>]) -> InputInfo {
    let free = || Dim::Free(String::new());
    let row = row.iter().map(|size| size.map_or_else(free, Dim::Fixed));
    InputInfo {
        name: name.to_owned(),
        dtype,
        dims: std::iter::once(free()).chain(row).collect(),
    }
}

fn output(name: &str, dtype: Dtype, shape: &[usize], labels: Option<&[&str]>) -> OutputInfo {
    OutputInfo {
        name: name.to_owned(),
        dtype,
        shape: shape.to_vec(),
        labels: labels.map(|labels| labels.iter().map(|&label| label.to_owned()).collect()),
    }
}

impl ModelCatalog for Models {
    fn inputs(&mut self, source: &ModelSource) -> Result<Vec<InputInfo>, ModelError> {
        let one = [Some(1)];
        Ok(match folder(&source.path) {
            "income" => vec![input("X", Dtype::F32, &[Some(16)])],
            "digits" => vec![input("X", Dtype::F32, &[Some(64)])],
            "penguins" => ["island", "sex"]
                .map(|name| input(name, Dtype::String, &one))
                .into_iter()
                .chain(
                    [
                        "bill_length_mm",
                        "bill_depth_mm",
                        "flipper_length_mm",
                        "body_mass_g",
                    ]
                    .map(|name| input(name, Dtype::F32, &one)),
                )
                .collect(),
            "sk_logreg" => vec![input("X", Dtype::F32, &[Some(2)])],
            "sk_knn" => vec![input("X", Dtype::F32, &[None])],
            "sk_int64_clf" => vec![input("X", Dtype::I64, &[Some(2)])],
            "rank3" => vec![input("image", Dtype::F32, &[Some(3), None, None])],
            "three_outputs" => vec![input("score", Dtype::F32, &[])],
            _ => {
                return Err(ModelError::new(format!(
                    "`{}` is not an ONNX model",
                    folder(&source.path)
                )));
            }
        })
    }

    fn declared_outputs(&mut self, source: &ModelSource) -> Result<Vec<String>, ModelError> {
        let outputs = self.outputs(source, &[])?;
        Ok(outputs.into_iter().map(|output| output.name).collect())
    }

    fn outputs(
        &mut self,
        source: &ModelSource,
        _: &[Vec<usize>],
    ) -> Result<Vec<OutputInfo>, ModelError> {
        Ok(match folder(&source.path) {
            "penguins" => vec![
                output("output_label", Dtype::String, &[], None),
                output(
                    "output_probability",
                    Dtype::F32,
                    &[3],
                    Some(&["Adelie", "Chinstrap", "Gentoo"]),
                ),
            ],
            "digits" => vec![
                output("label", Dtype::I64, &[], None),
                output("probabilities", Dtype::F32, &[10], None),
            ],
            "rank3" => vec![output("score", Dtype::F32, &[], None)],
            "three_outputs" => vec![output("grade", Dtype::F32, &[], None)],
            _ => vec![
                output("label", Dtype::I64, &[], None),
                output("probabilities", Dtype::F32, &[2], None),
            ],
        })
    }
}

fn folder(path: &Path) -> &str {
    let parent = path.parent().and_then(Path::file_name);
    parent.and_then(|name| name.to_str()).unwrap_or_default()
}

pub(crate) fn load(yaml: &str) -> Result<Plan, ConfigErrors> {
    let env = |name: &str| match name {
        "PASSWORD" => Some("sesame".to_owned()),
        "PIN" => Some("0123".to_owned()),
        "ROWS" => Some("64".to_owned()),
        "SERVER" => Some("nats://me:sesame@broker:4222".to_owned()),
        _ => None,
    };
    config::load_text(Path::new("pipelines/test.yaml"), yaml, &env, &mut Models)
}

/// A pipeline with one model of two columns; `more` is added at the end.
pub(crate) fn two_columns(fields: &str, more: &str) -> String {
    format!(
        "name: test
source: {{ file: {{ path: \"-\" }} }}
fields: {fields}
models: {{ m: {{ path: ../tests/data/models/sk_logreg/model.onnx }} }}
steps: [{{ model: m, inputs: {{ X: [a, b] }} }}]
sink: {{ file: {{ path: \"-\" }} }}
{more}"
    )
}

pub(crate) const SERVERS: &str = "name: test
source:
  jetstream:
    url: ${SERVER}
    stream: S
    consumer: c
    tls: { required: true }
models: { m: { path: penguins/model.onnx } }
sink:
  jetstream: { subject: out }
dead_letter:
  nats: { url: \"nats://elsewhere\", subject: \"dead.{2}\", auth: { user: u, password: \"${PASSWORD}\" } }";
