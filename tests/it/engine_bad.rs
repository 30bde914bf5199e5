//! What cannot be served says so, before the first message is taken.

use std::{fs, path::Path};

use forebay::{
    block::{Block, Column, Layout, Record, Strings, Table},
    contract::{Dtype, Field},
    engine::{
        ColumnRef, Dim, Engine as _, EngineError, EngineSpec, InputSpec, ModelError, OutputRef,
        StepSpec,
        cpu::{CpuEngine, catalog::CpuCatalog},
        isolate::run_isolated,
    },
    message::{Ack, Message},
};

use super::{
    engine::{Case, folder, runtime},
    engine_onnx::{
        FLOAT, FLOAT16, Proto, STRING, UINT64, constant, model, model_of_version, model_with, node,
        number, strings, tensor, value,
    },
};

/// Everything that `check` asks of a model: its inputs, then what comes out of rows of 30 numbers.
fn refusal(path: &Path) -> Option<ModelError> {
    runtime();
    let mut catalog = CpuCatalog::new();
    let inputs = match catalog.inputs(path) {
        Ok(inputs) => inputs,
        Err(error) => return Some(error),
    };
    let shapes: Vec<Vec<usize>> = (inputs.iter())
        .map(|input| {
            (input.row_dims().iter())
                .map(|dim| match dim {
                    Dim::Fixed(size) => *size,
                    Dim::Free(_) => 30,
                })
                .collect()
        })
        .collect();
    catalog.outputs(path, &shapes).err()
}

fn words(error: &ModelError, path: &Path) -> String {
    error.message.replace(&path.display().to_string(), "MODEL")
}

#[test]
fn every_bad_model_is_refused_in_words() {
    let mut all = String::new();
    let mut files: Vec<_> = fs::read_dir(folder("tests/data/bad_models"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 7, "{files:?}");
    for path in files {
        let error = refusal(&path).unwrap_or_else(|| panic!("{} was taken", path.display()));
        all += &format!(
            "{}\n  {}\n",
            path.file_name().unwrap().display(),
            words(&error, &path)
        );
    }
    insta::assert_snapshot!(all);
}

#[test]
fn files_that_are_no_model_are_refused_in_words() {
    let place = tempfile::tempdir().unwrap();
    let mut all = String::new();
    let mut ask = |name: &str, bytes: Option<&[u8]>| {
        let path = place.path().join(name);
        match bytes {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None if name.ends_with('/') => fs::create_dir(&path).unwrap(),
            None => {}
        }
        let error = refusal(&path).unwrap_or_else(|| panic!("{name} was taken"));
        all += &format!("{name}\n  {}\n", words(&error, &path));
    };
    ask("missing.onnx", None);
    ask("folder/", None);
    ask("model.pkl", Some(b"\x80\x04\x95\x10\0\0\0\0\0\0\0"));
    ask("model.pt", Some(b"PK\x03\x04\0\0\0\0"));
    ask("model.h5", Some(b"\x89HDF\r\n\x1a\n"));
    ask(
        "pointer.onnx",
        Some(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"),
    );
    ask("noise.onnx", Some(b"\x07\x01\x02\xff\xfe\0\0\x03"));
    insta::assert_snapshot!(all);
}

#[test]
fn models_that_cannot_be_served_are_refused_in_words() {
    let place = tempfile::tempdir().unwrap();
    let mut all = String::new();
    let mut ask = |name: &str, bytes: &[u8]| {
        let path = place.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = refusal(&path).unwrap_or_else(|| panic!("{name} was taken"));
        all += &format!("{name}\n  {}\n", words(&error, &path));
    };
    let same = |of: &Proto| {
        let relu = node("Identity", "", &["x"], &["y"], &[]);
        model(&[relu], &[value("x", of)], &[value("y", of)])
    };
    ask("half floats", &same(&tensor(FLOAT16, &["n", "30"])));
    ask("wide unsigned", &same(&tensor(UINT64, &["n", "30"])));
    ask("complex numbers", &same(&tensor(14, &["n", "30"])));
    ask("a single value", &same(&tensor(FLOAT, &[])));
    ask("no rows", &same(&tensor(FLOAT, &["0", "3"])));
    let floats = tensor(FLOAT, &["n", "30"]);
    ask(
        "a sequence",
        &same(&Proto::new().inner(4, &Proto::new().inner(1, &floats))),
    );
    ask(
        "optional",
        &same(&Proto::new().inner(9, &Proto::new().inner(1, &floats))),
    );
    let nested = Proto::new().inner(4, &Proto::new().inner(1, &floats));
    ask(
        "a sequence of sequences",
        &same(&Proto::new().inner(4, &Proto::new().inner(1, &nested))),
    );
    let half = node("Cast", "", &["x"], &["y"], &[number("to", FLOAT16)]);
    ask(
        "half floats out",
        &model(
            &[half],
            &[value("x", &floats)],
            &[value("y", &tensor(FLOAT16, &["n", "30"]))],
        ),
    );
    let own = node("Gizmo", "made.up", &["x"], &["y"], &[]);
    ask(
        "an operator of one's own",
        &model(&[own], &[value("x", &floats)], &[value("y", &floats)]),
    );
    let relu = node("Relu", "", &["x"], &["y"], &[]);
    ask(
        "a new format",
        &model_of_version(99, &[relu], &[value("x", &floats)], &[value("y", &floats)]),
    );
    let copies = [
        node("Identity", "", &["a"], &["y"], &[]),
        node("Identity", "", &["b"], &["z"], &[]),
    ];
    let two = |name: &str, rows| value(name, &tensor(FLOAT, &[rows, "3"]));
    ask(
        "two batch sizes",
        &model(
            &copies,
            &[two("a", "2"), two("b", "4")],
            &[two("y", "2"), two("z", "4")],
        ),
    );
    let transposed = node("Transpose", "", &["x"], &["y"], &[]);
    let three = tensor(FLOAT, &["n", "3"]);
    ask(
        "rows go across",
        &model(
            &[transposed],
            &[value("x", &three)],
            &[value("y", &tensor(FLOAT, &["3", "n"]))],
        ),
    );
    insta::assert_snapshot!(all);
}

#[test]
fn what_does_not_fit_the_model_is_refused_when_it_is_loaded() {
    let case = Case::read(&folder("tests/data/models/rank3"));
    let path = &case.model;
    let mut all = String::new();
    let mut ask = |change: &dyn Fn(&mut EngineSpec, &mut Vec<Field>)| {
        let (mut spec, mut fields) = (case.spec(8), case.fields());
        change(&mut spec, &mut fields);
        let error = CpuEngine::load(&spec, &fields).unwrap_err();
        all += &format!("{}\n", words(&error, path));
    };
    ask(&|spec, _| spec.steps[0].inputs[0].shape = vec![4, 6]);
    ask(&|spec, _| spec.steps[0].inputs.clear());
    ask(&|_, fields| fields[0].dtype = Dtype::String);
    ask(&|spec, _| spec.outputs[0].output = 7);
    ask(&|spec, _| spec.outputs[0].step = 1);
    ask(&|spec, _| spec.steps[0].path = "tests/data/models/missing.onnx".into());
    insta::assert_snapshot!(all);
}

#[test]
fn text_that_the_runtime_cannot_take_is_refused_in_words() {
    let case = Case::read(&folder("tests/data/models/sk_columns"));
    let mut engine = CpuEngine::load(&case.spec(8), &case.fields()).unwrap();
    let mut table = case.table().slice(0..1);
    let Column::String(text) = &mut table.series[2].values else {
        panic!("text")
    };
    *text = Strings::default();
    text.push("N\0Y");
    let error = engine.run(&table, &mut Table::default()).unwrap_err();
    assert!(matches!(error, EngineError::Batch(_)));
    insta::assert_snapshot!(error, @"a text has a NUL character in it, which ONNX Runtime cannot take");
    // The engine goes on.
    let table = case.table();
    let mut output = Table::default();
    engine.run(&table, &mut output).unwrap();
    case.check(&output, 0, "after an error");
}

#[test]
fn one_bad_row_is_found_by_the_model_and_others_go_on() {
    runtime();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("onehot.onnx");
    // As scikit-learn's encoder is by default: what it has never seen is an error. The columns are
    // picked out of one input, as skl2onnx does.
    let attributes = |known: &[&str]| [strings("cats_strings", known), number("zeros", 0)];
    let nodes = [
        node("Identity", "", &["both"], &["same"], &[]),
        node(
            "ArrayFeatureExtractor",
            "ai.onnx.ml",
            &["same", "second"],
            &["size"],
            &[],
        ),
        node(
            "OneHotEncoder",
            "ai.onnx.ml",
            &["size"],
            &["y"],
            &attributes(&["small", "large"]),
        ),
        node(
            "ArrayFeatureExtractor",
            "ai.onnx.ml",
            &["same", "first"],
            &["colour"],
            &[],
        ),
        node(
            "OneHotEncoder",
            "ai.onnx.ml",
            &["colour"],
            &["z"],
            &attributes(&["red", "green"]),
        ),
    ];
    let constants = [constant("first", 0), constant("second", 1)];
    let out = |name: &str| value(name, &tensor(FLOAT, &["n", "1", "2"]));
    let both = value("both", &tensor(STRING, &["n", "2"]));
    fs::write(
        &path,
        model_with(&nodes, &constants, &[both], &[out("y"), out("z")]),
    )
    .unwrap();

    // Made-up rows must be of known categories to learn what comes out.
    let outputs = CpuCatalog::new().outputs(&path, &[vec![2]]).unwrap();
    assert_eq!(outputs[0].shape, [1, 2]);

    let fields = [
        Field::new("colour", Dtype::String, vec![]),
        Field::new("size", Dtype::String, vec![]),
    ];
    let spec = EngineSpec {
        steps: vec![StepSpec {
            path,
            inputs: vec![InputSpec {
                columns: vec![ColumnRef::Field(0), ColumnRef::Field(1)],
                shape: vec![2],
            }],
        }],
        outputs: vec![OutputRef { step: 0, output: 1 }],
        max_rows: 16,
    };
    let mut engine = CpuEngine::load(&spec, &fields).unwrap();
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
    let isolated = run_isolated(&mut engine, Block { records, table }, Table::default()).unwrap();
    assert_eq!(isolated.failed.len(), 1);
    insta::assert_snapshot!(isolated.failed[0].1, @"OneHotEncoder: Unknown Category and zeros = 0.");
    let rows: Vec<f32> = (isolated.scored.iter())
        .flat_map(|scored| match &scored.output.series[0].values {
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
    let spec = EngineSpec {
        steps: vec![StepSpec {
            path,
            inputs: vec![InputSpec {
                columns: vec![ColumnRef::Field(0)],
                shape: vec![2],
            }],
        }],
        outputs: vec![OutputRef { step: 0, output: 0 }],
        max_rows: 16,
    };
    let fields = [Field::new("x", Dtype::F32, vec![2])];
    let mut table = Table::for_fields(&fields);
    table.series[0].values = Column::F32(vec![1.0, 0.0, 1.0, 1.0]);
    table.rows = 2;
    let mut output = Table::default();
    CpuEngine::load(&spec, &fields)
        .unwrap()
        .run(&table, &mut output)
        .unwrap();
    assert_eq!(
        output.series[0].values,
        Column::F32(vec![1.0, 2.0, 4.0, 6.0])
    );
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
