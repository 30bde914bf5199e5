//! Models made by hand, run: what the exported ones do not show.
#![allow(clippy::unwrap_used, reason = "a test that panics has done its work")]

use std::{fs, path::Path};

use forebay::{
    block::{Block, Column, Layout, Record, Table},
    contract::{Dtype, Field},
    engine::{
        ColumnRef, Engine as _, EngineSpec, InputSpec, ModelSource, OutputRef, StepSpec,
        cpu::{CpuEngine, catalog::CpuCatalog},
        isolate::run_isolated,
    },
    message::{Ack, Message},
};

use super::{
    engine::runtime,
    engine_onnx::{
        FLOAT, Proto, STRING, constant, model_with, node, number, strings, tensor, value,
    },
};

/// One step: the first `columns` fields side by side are rows of `width` elements.
fn spec(path: &Path, columns: usize, width: usize, output: usize) -> EngineSpec {
    EngineSpec {
        steps: vec![StepSpec {
            source: ModelSource::file(path),
            when: None,
            device: forebay::engine::Device::Cpu,
            accuracy: forebay::engine::Accuracy::default(),
            inputs: vec![InputSpec {
                columns: (0..columns).map(ColumnRef::Field).collect(),
                shape: vec![width],
            }],
        }],
        outputs: vec![OutputRef { step: 0, output }],
        max_rows: 16,
        state: None,
    }
}

fn record() -> Record {
    Record {
        message: Message {
            subject: bytes::Bytes::new(),
            reply: None,
            payload: bytes::Bytes::new(),
            headers: None,
            position: None,
            received: std::time::Instant::now(),
            ack: Ack::none(),
        },
        rows: 1,
        layout: Layout::One,
    }
}

/// As scikit-learn's encoder is by default: what it has never seen is an error. The columns are
/// picked out of one input, as skl2onnx does.
fn strict_encoders() -> Vec<u8> {
    let known = |known: &[&str]| [strings("cats_strings", known), number("zeros", 0)];
    let pick = |place: &str, to: &str| {
        node(
            "ArrayFeatureExtractor",
            "ai.onnx.ml",
            &["same", place],
            &[to],
            &[],
        )
    };
    let encode = |from: &str, to: &str, categories: &[&str]| {
        node(
            "OneHotEncoder",
            "ai.onnx.ml",
            &[from],
            &[to],
            &known(categories),
        )
    };
    let nodes = [
        node("Identity", "", &["both"], &["same"], &[]),
        pick("second", "size"),
        encode("size", "y", &["small", "large"]),
        pick("first", "colour"),
        encode("colour", "z", &["red", "green"]),
    ];
    let out = |name: &str| value(name, &tensor(FLOAT, &["n", "1", "2"]));
    model_with(
        &nodes,
        &[constant("first", 0), constant("second", 1)],
        &[value("both", &tensor(STRING, &["n", "2"]))],
        &[out("y"), out("z")],
    )
}

#[test]
fn one_bad_row_is_found_by_the_model_and_others_go_on() {
    runtime();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("onehot.onnx");
    fs::write(&path, strict_encoders()).unwrap();
    // Made-up rows must be of known categories to learn what comes out.
    let outputs = CpuCatalog::new().outputs(&path, &[vec![2]]).unwrap();
    assert_eq!(outputs[0].shape, [1, 2]);

    let fields = ["colour", "size"].map(|name| Field::new(name, Dtype::String, vec![]));
    let mut engine = CpuEngine::load(&spec(&path, 2, 2, 1), &fields).unwrap();
    let mut table = Table::for_fields(&fields);
    for colour in ["red", "green", "blue", "green"] {
        for (series, text) in table.series.iter_mut().zip([colour, "large"]) {
            let Column::String(values) = &mut series.values else {
                panic!("text")
            };
            values.push(text);
        }
    }
    table.rows = 4;
    let records = (0..4).map(|_| record()).collect();
    let block = Block { records, table };
    let isolated = run_isolated(&mut engine, block, Table::default()).unwrap();
    assert_eq!(isolated.failed.len(), 1);
    insta::assert_snapshot!(isolated.failed[0].1, @"OneHotEncoder: Unknown Category and zeros = 0.");
    let scored = isolated
        .scored
        .iter()
        .map(|scored| &scored.output.series[0].values);
    let rows: Vec<f32> = scored
        .flat_map(|values| match values {
            Column::F32(values) => values.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(rows, [1.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
}

#[test]
fn zipmap_is_taken_out_of_a_model_whose_weights_lie_beside_it() {
    runtime();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.onnx");
    let weights: Vec<u8> = [1f32, 2.0, 3.0, 4.0]
        .iter()
        .flat_map(|weight| weight.to_le_bytes())
        .collect();
    fs::write(place.path().join("weights.bin"), weights).unwrap();
    let location = Proto::new().bytes(1, "location").bytes(2, "weights.bin");
    let outside = Proto::new()
        .int(1, 2)
        .int(1, 2)
        .int(2, FLOAT)
        .bytes(8, "w")
        .inner(13, &location)
        .int(14, 1);
    let nodes = [
        node("MatMul", "", &["x", "w"], &["p"], &[]),
        node(
            "ZipMap",
            "ai.onnx.ml",
            &["p"],
            &["scores"],
            &[strings("classlabels_strings", &["no", "yes"])],
        ),
    ];
    let map = Proto::new()
        .int(1, STRING)
        .inner(2, &Proto::new().inner(1, &Proto::new().int(1, FLOAT)));
    let maps = Proto::new().inner(4, &Proto::new().inner(1, &Proto::new().inner(5, &map)));
    let outputs = [value("scores", &maps)];
    fs::write(
        &path,
        model_with(
            &nodes,
            &[outside],
            &[value("x", &tensor(FLOAT, &["n", "2"]))],
            &outputs,
        ),
    )
    .unwrap();

    let outputs = CpuCatalog::new().outputs(&path, &[vec![2]]).unwrap();
    assert_eq!(outputs[0].shape, [2]);
    assert_eq!(
        outputs[0].labels,
        Some(vec!["no".to_owned(), "yes".to_owned()])
    );
    let fields = [Field::new("x", Dtype::F32, vec![2])];
    let mut table = Table::for_fields(&fields);
    table.series[0].values = Column::F32(vec![1.0, 0.0, 1.0, 1.0]);
    table.rows = 2;
    let mut output = Table::default();
    CpuEngine::load(&spec(&path, 1, 2, 0), &fields)
        .unwrap()
        .run(&table, &mut output)
        .unwrap();
    assert_eq!(
        output.series[0].values,
        Column::F32(vec![1.0, 2.0, 4.0, 6.0])
    );
}

#[test]
fn an_output_of_no_rows_has_its_types_and_shapes() {
    runtime();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/digits/model.onnx");
    let field = Field::new("pixels", Dtype::F32, vec![64]);
    let spec = EngineSpec {
        steps: vec![StepSpec {
            source: ModelSource::file(path),
            when: None,
            device: forebay::engine::Device::Cpu,
            accuracy: forebay::engine::Accuracy::default(),
            inputs: vec![InputSpec {
                columns: vec![ColumnRef::Field(0)],
                shape: vec![64],
            }],
        }],
        outputs: [1, 0].map(|output| OutputRef { step: 0, output }).to_vec(),
        max_rows: 4,
        state: None,
    };
    let nothing = CpuEngine::load(&spec, &[field]).unwrap().no_rows();
    let series = nothing
        .series
        .iter()
        .map(|series| (series.values.dtype(), series.shape.as_slice()));
    let series: Vec<_> = series.collect();
    assert_eq!(nothing.rows, 0);
    assert_eq!(series, [(Dtype::F32, &[10][..]), (Dtype::I64, &[][..])]);
}
