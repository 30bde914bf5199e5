//! The models that are measured, and rows for them.

use std::{fs, path::Path};

use forebay::{
    block::{Column, Table},
    graph::{self, proto::Model},
};

use crate::shapes::{self, Encoder, MINILM, Random};

const SMALL: Encoder = Encoder {
    layers: 1,
    hidden: 24,
    heads: 2,
    inner: 48,
    words: 100,
    tokens: 8,
};

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
    model: Box<dyn Fn() -> Model>,
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

/// The models; `small` ones of the same kinds for a machine that only pretends to have a GPU, whose figures say nothing.
pub(crate) fn all(small: bool) -> Vec<Case> {
    let pick = move |whole, little| if small { little } else { whole };
    let rows = |whole: &'static [usize]| if small { &[1, 3][..] } else { whole };
    let case = |name, model: Box<dyn Fn() -> Model>, inputs, many| Case {
        name,
        model,
        inputs,
        rows: rows(many),
    };
    let perceptron = move |whole: Vec<usize>, little: usize| -> Box<dyn Fn() -> Model> {
        let (first, last) = (whole[0], whole[whole.len() - 1]);
        let widths = if small {
            vec![first, little, little, last]
        } else {
            whole
        };
        Box::new(move || shapes::mlp(&widths))
    };
    let numbers = |shape: &[usize]| vec![input("x", shape, Kind::Numbers)];
    let (side, width) = (pick(224, 32), pick(64, 4));
    let image = || vec![input("image", &[3, side, side], Kind::Numbers)];
    let shape = if small { SMALL } else { MINILM };
    let tokens = [shape.tokens];
    let texts = vec![
        input("input_ids", &tokens, Kind::Below(shape.words)),
        input("attention_mask", &tokens, Kind::Ones),
    ];
    // Hardly anything but products: what tells kernels from cuBLASLt.
    let dense = [&[64][..], &[1024; 16], &[64]].concat();
    let (steps, hidden) = (pick(50, 5), pick(128, 8));
    let (count, depth) = (pick(500, 20), pick(8, 3));
    let mlp = perceptron(vec![64, 512, 512, 256, 3], 16);
    // Small enough for one kernel of its own.
    let small_mlp = perceptron(vec![32, 64, 64, 32, 3], 16);
    let trees = move || shapes::trees(count, depth, 32);
    let resnet18 = move || shapes::resnet18(side, width, pick(1000, 10));
    let mobilenet = move || shapes::mobilenet(side, pick(16, 4), pick(1000, 10));
    let lstm = move || shapes::lstm(steps, 16, hidden, 4);
    vec![
        case("mlp", mlp, numbers(&[64]), &[1, 64, 1024, 8192]),
        case(
            "dense",
            perceptron(dense, 24),
            numbers(&[64]),
            &[1, 128, 1024, 4096],
        ),
        case("small-mlp", small_mlp, numbers(&[32]), &[1, 64, 1024, 8192]),
        case(
            "trees",
            Box::new(trees),
            numbers(&[32]),
            &[1, 64, 1024, 16384],
        ),
        case(
            "encoder",
            Box::new(move || shapes::encoder(shape)),
            texts,
            &[1, 8, 64],
        ),
        case("resnet18", Box::new(resnet18), image(), &[1, 8, 32]),
        case("mobilenet", Box::new(mobilenet), image(), &[1, 8, 32]),
        case("lstm", Box::new(lstm), numbers(&[steps, 16]), &[1, 64, 512]),
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
