//! The models that are measured, and rows for them.

use std::{fs, path::Path};

use forebay::{
    block::{Column, Table},
    graph::{self, proto::Model},
};

use crate::shapes::{self, MINILM, Random};

/// Rows in the files that `--write` leaves.
pub(crate) const SERVED_ROWS: usize = 64;

/// A field of a row.
pub(crate) struct Input {
    name: &'static str,
    shape: Vec<usize>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Numbers around zero, f32.
    Numbers,
    /// Whole numbers below this, i64.
    Below(usize),
    /// Ones, i64: nothing is masked.
    Ones,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    model: fn() -> Model,
    inputs: Vec<Input>,
    /// Rows in a batch; the last is the most.
    pub(crate) rows: &'static [usize],
}

fn input(name: &'static str, shape: &[usize], kind: Kind) -> Input {
    Input {
        name,
        shape: shape.to_vec(),
        kind,
    }
}

pub(crate) fn all() -> Vec<Case> {
    let tokens = [MINILM.tokens];
    vec![
        Case {
            name: "mlp",
            model: || shapes::mlp(&[64, 512, 512, 256, 3]),
            inputs: vec![input("x", &[64], Kind::Numbers)],
            rows: &[1, 64, 1024, 8192],
        },
        Case {
            // Hardly anything but products: what tells kernels from cuBLASLt.
            name: "dense",
            model: || {
                let mut widths = vec![64];
                widths.extend([1024; 16]);
                widths.push(64);
                shapes::mlp(&widths)
            },
            inputs: vec![input("x", &[64], Kind::Numbers)],
            rows: &[1, 128, 1024, 4096],
        },
        Case {
            // Small enough for one kernel of its own.
            name: "small-mlp",
            model: || shapes::mlp(&[32, 64, 64, 32, 3]),
            inputs: vec![input("x", &[32], Kind::Numbers)],
            rows: &[1, 64, 1024, 8192],
        },
        Case {
            name: "trees",
            model: || shapes::trees(500, 8, 32),
            inputs: vec![input("x", &[32], Kind::Numbers)],
            rows: &[1, 64, 1024, 16384],
        },
        Case {
            name: "encoder",
            model: || shapes::encoder(MINILM),
            inputs: vec![
                input("input_ids", &tokens, Kind::Below(MINILM.words)),
                input("attention_mask", &tokens, Kind::Ones),
            ],
            rows: &[1, 8, 64],
        },
        Case {
            name: "resnet18",
            model: || shapes::resnet18(224, 64, 1000),
            inputs: vec![input("image", &[3, 224, 224], Kind::Numbers)],
            rows: &[1, 8, 32],
        },
        Case {
            name: "mobilenet",
            model: || shapes::mobilenet(224, 16, 1000),
            inputs: vec![input("image", &[3, 224, 224], Kind::Numbers)],
            rows: &[1, 8, 32],
        },
        Case {
            name: "lstm",
            model: || shapes::lstm(50, 16, 128, 4),
            inputs: vec![input("x", &[50, 16], Kind::Numbers)],
            rows: &[1, 64, 512],
        },
    ]
}

impl Case {
    /// Writes the model and a pipeline file around it, from `rows.jsonl` to `results.jsonl`; gives the file's path. With a precision
    /// whatever comes of it will do: speed is what is asked for.
    pub(crate) fn write(
        &self,
        folder: &Path,
        device: &str,
        precision: Option<&str>,
        max_rows: usize,
    ) -> std::path::PathBuf {
        let precision = precision.map_or_else(String::new, |precision| {
            format!(", precision: {precision}, tolerance: 0.99")
        });
        fs::create_dir_all(folder).unwrap();
        graph::write(&(self.model)(), &folder.join("model.onnx")).unwrap();
        let fields: Vec<String> = (self.inputs.iter())
            .map(|input| {
                let dtype = if input.kind == Kind::Numbers {
                    "f32"
                } else {
                    "i64"
                };
                format!(
                    "  {}: {{ dtype: {dtype}, shape: {:?} }}\n",
                    input.name, input.shape
                )
            })
            .collect();
        let text = format!(
            "name: {}\nsource: {{ file: {{ path: rows.jsonl }} }}\nfields:\n{}batch: {{ max_rows: {max_rows} }}\n\
             models: {{ model: {{ path: model.onnx, device: \"{device}\"{precision} }} }}\n\
             sink: {{ file: {{ path: results.jsonl }} }}\n",
            self.name,
            fields.concat()
        );
        let file = folder.join("pipeline.yaml");
        fs::write(&file, text).unwrap();
        fs::write(folder.join("rows.jsonl"), self.lines(16)).unwrap();
        file
    }

    /// Rows as JSON, one a line.
    fn lines(&self, rows: usize) -> String {
        let mut random = Random::new(5);
        let mut text = String::new();
        for _ in 0..rows {
            let cells: Vec<String> = (self.inputs.iter())
                .map(|input| {
                    let count = input.shape.iter().product();
                    let flat: Vec<String> = (0..count)
                        .map(|_| match input.kind {
                            Kind::Numbers => format!("{:.4}", random.number()),
                            kind => kind.whole(&mut random).to_string(),
                        })
                        .collect();
                    format!("\"{}\":{}", input.name, nested(&flat, &input.shape))
                })
                .collect();
            text += &format!("{{{}}}\n", cells.join(","));
        }
        text
    }

    /// Fills a table of the fields with so many rows.
    pub(crate) fn fill(&self, table: &mut Table, rows: usize) {
        let mut random = Random::new(5);
        table.rows = rows;
        for (input, series) in self.inputs.iter().zip(&mut table.series) {
            let count = rows * input.shape.iter().product::<usize>();
            match &mut series.values {
                Column::F32(values) => {
                    *values = (0..count).map(|_| random.number() as f32).collect();
                }
                Column::I64(values) => {
                    *values = (0..count).map(|_| input.kind.whole(&mut random)).collect();
                }
                other => panic!("no such field: {}", other.dtype()),
            }
        }
    }
}

impl Kind {
    fn whole(self, random: &mut Random) -> i64 {
        match self {
            Self::Below(most) => random.below(most) as i64,
            Self::Ones | Self::Numbers => 1,
        }
    }
}

/// Lists in lists, as a shape says.
fn nested(flat: &[String], shape: &[usize]) -> String {
    let [_, inner @ ..] = shape else {
        return flat.concat();
    };
    if inner.is_empty() {
        return format!("[{}]", flat.join(","));
    }
    let size = inner.iter().product();
    let parts: Vec<String> = flat.chunks(size).map(|part| nested(part, inner)).collect();
    format!("[{}]", parts.join(","))
}
