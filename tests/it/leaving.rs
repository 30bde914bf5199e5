//! What holds while models load: the program ends at once and in order, and its threads have room for what they load.

use std::{fmt::Write as _, fs, path::Path, process::Command, time::Duration};

use forebay::{
    contract::Dtype,
    graph::{
        self,
        build::{Attr, GraphBuilder, OPSET, Value},
    },
};
use tempfile::TempDir;

use crate::{
    cli::{err, forebay, out},
    support::program::Program,
};

/// A folder with a pipeline from a file to standard output, its model and its rows.
fn place(model: &[u8], rows: &str, more: &str) -> TempDir {
    let place = tempfile::tempdir().expect("a folder");
    let text = format!(
        "name: place\nsource: {{ file: {{ path: rows.jsonl }} }}\nsink: {{ file: {{ path: \"-\" }} }}\n\
         models: {{ m: {{ path: model.onnx, {more} }} }}\nhttp: {{ listen: \"127.0.0.1:0\" }}\n"
    );
    for (name, bytes) in [
        ("pipeline.yaml", text.as_bytes()),
        ("model.onnx", model),
        ("rows.jsonl", rows.as_bytes()),
    ] {
        fs::write(place.path().join(name), bytes).expect("written");
    }
    place
}

fn run_in(place: &Path) -> Command {
    let mut command = forebay(&["run", "pipeline.yaml"]);
    command.current_dir(place);
    command
}

/// ONNX Runtime cannot be interrupted, and takes itself apart when a process ends as usual.
#[tokio::test]
async fn a_signal_while_models_load_ends_the_program_in_order() {
    let model = fs::read("tests/data/models/sk_isolation_forest/model.onnx").expect("there");
    let place = place(&model, "", "workers: 200");
    // Whatever it is busy with when the signal comes.
    let mut ends = Vec::new();
    for attempt in 0..8 {
        let mut program = Program::start(&mut run_in(place.path()));
        let serves = |program: &Program| program.address().is_some();
        program.wait_for("it serves HTTP", serves).await;
        tokio::time::sleep(Duration::from_millis(12 * attempt)).await;
        program.signal("TERM");
        let ended = program.ended().await;
        assert!(ended.stderr.contains("stopping"), "{}", ended.stderr);
        ends.push(ended.code);
    }
    assert_eq!(ends, [0; 8]);
}

#[tokio::test]
async fn a_signal_while_the_file_is_read_ends_the_program_in_order() {
    let place = tempfile::tempdir().expect("a folder");
    let pipe = place.path().join("pipeline.yaml");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|made| made.success()));
    let program = Program::start(&mut run_in(place.path()));
    // Opened only when the other side is: then it reads, and waits for more.
    let open = move || fs::OpenOptions::new().write(true).open(pipe);
    let writing = tokio::task::spawn_blocking(open).await.expect("joined");
    program.signal("TERM");
    let ended = program.ended().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    drop(writing.expect("opened"));
}

/// A tree in which each branch has a leaf and the next branch; a row's number says how far down it goes.
fn chain(branches: i64) -> Vec<u8> {
    // Of even number are the branches, and the last leaf.
    let nodes = || 0..=2 * branches;
    let is_branch = |at: i64| at % 2 == 0 && at < 2 * branches;
    let to = |step| {
        Attr::Ints(
            nodes()
                .map(|at| if is_branch(at) { at + step } else { 0 })
                .collect(),
        )
    };
    let leaves: Vec<i64> = nodes().filter(|at| !is_branch(*at)).collect();
    let zeros = |count: usize| Attr::Ints(vec![0; count]);
    let level = |at: i64| (at / 2) as f32;
    let mode = |at| if is_branch(at) { "BRANCH_LEQ" } else { "LEAF" }.to_owned();
    let all = nodes().count();
    let mut graph = GraphBuilder::new(OPSET);
    let x = graph.input("X", Dtype::F32, &[1]);
    let attributes = vec![
        ("n_targets", Attr::Int(1)),
        ("nodes_treeids", zeros(all)),
        ("nodes_nodeids", Attr::Ints(nodes().collect())),
        ("nodes_featureids", zeros(all)),
        ("nodes_values", Attr::Floats(nodes().map(level).collect())),
        ("nodes_modes", Attr::Texts(nodes().map(mode).collect())),
        ("nodes_truenodeids", to(1)),
        ("nodes_falsenodeids", to(2)),
        ("target_treeids", zeros(leaves.len())),
        ("target_ids", zeros(leaves.len())),
        (
            "target_weights",
            Attr::Floats(leaves.iter().map(|at| level(*at)).collect()),
        ),
        ("target_nodeids", Attr::Ints(leaves)),
    ];
    let y = graph.ml_node("TreeEnsembleRegressor", &[&x.name], attributes);
    let outputs = [("Y".to_owned(), Value::new(y, Dtype::F32, vec![1]))];
    graph::to_bytes(&graph.finish(&outputs))
}

#[test]
fn deep_trees_are_loaded_or_refused() {
    let place = place(&chain(3000), "{\"X\": 7.5}\n{\"X\": 1e9}\n", "workers: 1");
    let ran = run_in(place.path()).output().expect("it runs");
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    assert_eq!(out(&ran), "{\"Y\":8.0}\n{\"Y\":3000.0}\n");
    let mut said = String::new();
    for branches in [32_768, 32_769] {
        let model = place.path().join("model.onnx");
        fs::write(model, chain(branches)).expect("written");
        for command in ["check", "run"] {
            let ran = forebay(&[command, "pipeline.yaml"])
                .current_dir(place.path())
                .output();
            let ran = ran.expect("it runs");
            let code = ran.status.code().unwrap_or(-1);
            let _infallible = writeln!(said, "{branches} {command}: exit {code}");
            if code != 0 {
                said += &err(&ran);
            }
        }
    }
    insta::assert_snapshot!(said);
}
