//! `forebay verify --device cuda`, on the driver that stands for a GPU.

use std::{fs, path::Path};

use bytes::Bytes;
use forebay::{
    contract::Dtype,
    graph::{
        self, GraphBuilder, Value,
        proto::{Attribute, Graph, Model, Node},
        tensor::{Data, Element, Raw},
    },
};
use prost::Message as _;

use crate::{
    cli::{err, forebay, out},
    support::fake_cuda,
};

const ROWS: usize = 2;
const INNER: usize = 3;
/// So that the weights are large enough to be written beside the model.
const COLUMNS: usize = 1500;
/// What an attribute that is a graph says it is.
const GRAPH: i32 = 5;

/// `y = relu(x w)` by an `If` whose condition is known.
fn with_branches() -> Model {
    let mut builder = GraphBuilder::new(18).with_rows(Some(ROWS));
    let x = builder.input("x", Dtype::F32, &[INNER]);
    let w = builder.numbers(Dtype::F32, &[INNER, COLUMNS], &vec![1.0; INNER * COLUMNS]);
    let product = builder.node("MatMul", &[&x.name, &w], vec![]);
    let known = builder.number(Dtype::Bool, 1.0);
    let picked = Value::new(
        builder.node("If", &[&known], vec![]),
        Dtype::F32,
        vec![COLUMNS],
    );
    let branch = |key: &str, op: &str| {
        let mut given = builder.info(&picked);
        given.name = format!("{key}_out");
        let node = Node {
            op_type: op.to_owned(),
            input: vec![product.clone()],
            output: vec![given.name.clone()],
            ..Node::default()
        };
        let graph = Graph {
            name: key.to_owned(),
            node: vec![node],
            output: vec![given],
            ..Graph::default()
        };
        Attribute {
            name: key.to_owned(),
            r#type: Some(GRAPH),
            g: Some(Box::new(graph)),
            ..Attribute::default()
        }
    };
    let branches = vec![branch("then_branch", "Relu"), branch("else_branch", "Neg")];
    let mut model = builder.finish(&[("y".to_owned(), picked)]);
    let mut nodes = model.graph.as_mut().unwrap().node.iter_mut();
    let pick = nodes.find(|node| node.op_type == "If").unwrap();
    "pick".clone_into(&mut pick.name);
    pick.attribute = branches;
    model
}

/// Writes zeros as a file of a data set.
fn zeros(file: &Path, name: &str, shape: [usize; 2]) {
    let raw = Raw {
        element: Element::Float32,
        shape: shape.to_vec(),
        data: Data::Packed(Bytes::from(vec![0; shape[0] * shape[1] * 4])),
    };
    fs::write(file, raw.to_proto(name).encode_to_vec()).unwrap();
}

/// ONNX Runtime's optimiser may take the process down there, so it is told before, and before anything is written for it.
#[test]
fn a_model_with_branches_is_refused_with_the_reason() {
    let place = tempfile::tempdir().unwrap();
    let set = place.path().join("test_data_set_0");
    fs::create_dir(&set).unwrap();
    graph::write(&with_branches(), &place.path().join("model.onnx")).unwrap();
    zeros(&set.join("input_0.pb"), "x", [ROWS, INNER]);
    zeros(&set.join("output_0.pb"), "y", [ROWS, COLUMNS]);
    let verify = |device: &str, temporary: &Path| {
        let ran = forebay(&["verify", place.path().to_str().unwrap(), "--device", device])
            .env("FOREBAY_LIBCUDA", fake_cuda::library())
            .envs([
                fake_cuda::NO_LIBRARY,
                fake_cuda::NO_COMPILER,
                fake_cuda::NO_CONVOLVER,
            ])
            .env("TMPDIR", temporary)
            .output()
            .unwrap();
        let said = format!("{}{}", out(&ran), err(&ran));
        let said = said.replace(&*place.path().to_string_lossy(), "DIR");
        let about: Vec<&str> = said.lines().take(2).map(str::trim).collect();
        (about.join(" "), ran.status.code())
    };
    let passed = "DIR/test_data_set_0: passed 1 data set: 1 passed, 0 failed";
    assert_eq!(verify("cpu", place.path()), (passed.to_owned(), Some(0)));
    let refused = "DIR/test_data_set_0: not supported by the runtime \
                   node `pick` (If): the CUDA engine has no such operator";
    for temporary in [place.path(), Path::new("/nowhere")] {
        let said = verify("cuda", temporary);
        assert_eq!(said, (refused.to_owned(), Some(69)), "{temporary:?}");
    }
}
