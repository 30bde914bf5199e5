//! `run --create-streams` makes what a pipeline wants, and leaves alone what is there.

use std::path::Path;

use forebay::{
    config,
    engine::cpu::{catalog::CpuCatalog, library},
    pipeline::streams::create_missing,
};

use crate::support::server::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn missing_streams_are_made_once() {
    let server = NatsServer::start(&[]);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/income/pipeline.yaml");
    let text = std::fs::read_to_string(&file).expect("the example");
    let url = server.url();
    let env = |name: &str| (name == "NATS_URL").then(|| url.clone());
    library::init(None).expect("`make setup` has fetched ONNX Runtime");
    let plan = config::load_text(&file, &text, &env, &mut CpuCatalog::new()).expect("it is right");

    let made = create_missing(&plan).await.expect("made");
    assert_eq!(
        made,
        [
            "ROWS (rows.income.>)",
            "SCORES_INCOME (scores.income.*)",
            "DEAD_INCOME (dead.income)"
        ]
    );
    let again = create_missing(&plan).await.expect("nothing to do");
    assert!(again.is_empty(), "{again:?}");
}
