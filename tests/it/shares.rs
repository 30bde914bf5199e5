//! Pipelines that share cores, through real workers.

use std::{sync::Arc, time::Duration};

use forebay::{
    batch::{BatchPolicy, Meter},
    message::{Home, InFlight, Outcome},
    pipeline::{self, Cores, Parts, Share, Terms},
    telemetry::metrics::PipelineMetrics,
};
use tokio_util::sync::CancellationToken;

use crate::fakes::{FakeDecode, FakeEncode, FakeEngine, FakeSink, FakeSource, Outcomes, table};

/// A pipeline that always has work: two engines, three workers, two milliseconds for eight rows.
fn busy(share: Share, outcomes: &Outcomes) -> Parts {
    let engine = FakeEngine {
        takes: Duration::from_millis(2),
        ..FakeEngine::default()
    };
    Parts {
        name: "busy".to_owned(),
        source: Box::new(FakeSource {
            payloads: (0..90).collect(),
            outcomes: Arc::clone(outcomes),
            endless: true,
            in_flight_max: Arc::default(),
        }),
        workers: (0..3)
            .map(|_| (Box::new(FakeDecode) as _, Box::new(FakeEncode) as _))
            .collect(),
        alone: None,
        table: table(),
        batch: BatchPolicy::new(8, Duration::ZERO),
        terms: Terms {
            share: Some(share),
            ..Terms::new("busy", Meter::new(2, 2, 8, None))
        },
        order: None,
        engines: (0..2).map(|_| Box::new(engine.clone()) as _).collect(),
        sink: Box::new(FakeSink::default()),
        replies: false,
        dead_letter: None,
        home: Home::new(InFlight {
            messages: 64,
            bytes: 1 << 20,
        }),
        running: pipeline::Running::new(),
        metrics: PipelineMetrics::new("busy"),
        shutdown_grace: Duration::from_secs(10),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weight_of_three_gets_three_times_as_much() {
    let (cores, stop) = (Cores::new(1), CancellationToken::new());
    let counts = [1, 3].map(|weight| {
        let outcomes = Outcomes::default();
        let parts = busy(cores.share(weight), &outcomes);
        (tokio::spawn(pipeline::run(parts, stop.clone())), outcomes)
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    stop.cancel();
    let mut done = Vec::new();
    for (pipeline, outcomes) in counts {
        let ended = pipeline.await.expect("no panic");
        ended.expect("it ends well");
        let outcomes = outcomes.lock().unwrap();
        assert!(outcomes.values().all(|all| all[..] == [Outcome::Done]));
        done.push(outcomes.len() as f64);
    }
    // What is in flight at the end is done all the same.
    let ratio = done[1] / done[0];
    assert!((2.0..4.0).contains(&ratio), "{done:?}");
}
