//! The wiring, with rooms that fail on demand.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use forebay::{
    batch::{BatchPolicy, Meter},
    message::{Home, InFlight, Outcome},
    pipeline::{self, Parts, PipelineError, Terms},
    telemetry::metrics::PipelineMetrics,
};
use tokio_util::sync::CancellationToken;

use crate::fakes::{
    FakeDecode, FakeEncode, FakeEngine, FakeSink, FakeSource, Outcomes, Published, table,
};

struct Bench {
    payloads: Vec<u8>,
    endless: bool,
    engine: FakeEngine,
    engines: usize,
    sink: FakeSink,
    dead_letter: Option<FakeSink>,
    replies: bool,
    max_in_flight: usize,
    max_rows: usize,
    max_delay: Duration,
    grace: Duration,
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            payloads: (0..100).collect(),
            endless: false,
            engine: FakeEngine::default(),
            engines: 2,
            sink: FakeSink::default(),
            dead_letter: Some(FakeSink::default()),
            replies: false,
            max_in_flight: 64,
            max_rows: 8,
            max_delay: Duration::from_millis(1),
            grace: Duration::from_secs(10),
        }
    }
}

struct Ran {
    result: Result<(), PipelineError>,
    outcomes: Outcomes,
    published: Published,
    dead: Published,
    in_flight_max: usize,
}

impl Ran {
    /// Panics unless each of `messages` settled exactly once; gives how many got this outcome.
    fn count(&self, messages: usize, outcome: Outcome) -> usize {
        let outcomes = self.outcomes.lock().unwrap();
        assert_eq!(outcomes.len(), messages, "every message settles");
        assert!(
            outcomes.values().all(|list| list.len() == 1),
            "and settles once"
        );
        outcomes.values().filter(|list| list[0] == outcome).count()
    }

    fn bytes(published: &Published) -> Vec<u8> {
        let mut all: Vec<u8> = published
            .lock()
            .unwrap()
            .iter()
            .flat_map(|(payload, _)| payload.clone())
            .collect();
        all.sort_unstable();
        all
    }
}

impl Bench {
    async fn run(self, stop: CancellationToken) -> Ran {
        let outcomes = Outcomes::default();
        let in_flight_max = Arc::default();
        let home = Home::new(InFlight {
            messages: self.max_in_flight,
            bytes: 1 << 20,
        });
        let dead_letter = self.dead_letter.clone();
        let parts = Parts {
            name: "test".to_owned(),
            source: Box::new(FakeSource {
                payloads: self.payloads.clone(),
                outcomes: Arc::clone(&outcomes),
                endless: self.endless,
                in_flight_max: Arc::clone(&in_flight_max),
            }),
            workers: (0..=self.engines)
                .map(|_| (Box::new(FakeDecode) as _, Box::new(FakeEncode) as _))
                .collect(),
            alone: (self.max_delay.is_zero())
                .then(|| (Box::new(FakeDecode) as _, Box::new(FakeEncode) as _)),
            table: table(),
            batch: BatchPolicy::new(self.max_rows, self.max_delay),
            terms: Terms::new("test", Meter::new(1, 2, self.max_rows, None)),
            order: None,
            engines: (0..self.engines)
                .map(|_| Box::new(self.engine.clone()) as _)
                .collect(),
            sink: Box::new(self.sink.clone()),
            replies: self.replies,
            dead_letter: self.dead_letter.map(|sink| Box::new(sink) as _),
            home,
            running: pipeline::Running::new(),
            metrics: PipelineMetrics::new("test"),
            shutdown_grace: self.grace,
        };
        let result = pipeline::run(parts, stop).await;
        let in_flight_max = *in_flight_max.lock().unwrap();
        Ran {
            result,
            outcomes,
            published: self.sink.published,
            dead: dead_letter.unwrap_or_default().published,
            in_flight_max,
        }
    }
}

#[tokio::test]
async fn every_message_settles_once_and_every_result_is_right() {
    let ran = Bench {
        payloads: (0..=98).cycle().take(5000).collect(),
        ..Bench::default()
    }
    .run(CancellationToken::new())
    .await;
    ran.result.as_ref().expect("ends with its input");
    assert_eq!(ran.count(5000, Outcome::Done), 5000);
    let mut expected: Vec<u8> = (1..=99).cycle().take(5000).collect();
    expected.sort_unstable();
    assert_eq!(Ran::bytes(&ran.published), expected);
}

/// One message after the other, none of which could have had company.
fn one_at_a_time() -> Bench {
    Bench {
        max_in_flight: 1,
        max_delay: Duration::ZERO,
        ..Bench::default()
    }
}

#[tokio::test]
async fn a_message_that_is_alone_settles_once_too() {
    let engine = FakeEngine {
        fails_on: Some(7),
        ..FakeEngine::default()
    };
    let ran = Bench {
        payloads: (0..=98).chain([200, 99]).collect(),
        engine,
        ..one_at_a_time()
    }
    .run(CancellationToken::new())
    .await;
    ran.result.as_ref().expect("ends with its input");
    assert_eq!(ran.count(101, Outcome::Rejected), 3);
    let expected: Vec<u8> = (1..=99).filter(|value| *value != 8).collect();
    assert_eq!(Ran::bytes(&ran.published), expected);
    assert_eq!(Ran::bytes(&ran.dead), [7, 99, 200]);
}

/// Only what nobody knows to be short goes through a worker.
#[tokio::test]
async fn a_message_that_is_alone_is_worked_on_in_the_source_s_task() {
    let engine = FakeEngine::default();
    let in_place = Arc::clone(&engine.in_place);
    let ran = Bench {
        payloads: (0..=98).cycle().take(2000).collect(),
        engine,
        ..one_at_a_time()
    }
    .run(CancellationToken::new())
    .await;
    ran.result.as_ref().expect("ends with its input");
    let in_place = *in_place.lock().unwrap();
    assert!((1..2000).contains(&in_place), "{in_place} of 2000");

    let slow = FakeEngine {
        takes: Duration::from_millis(1),
        ..FakeEngine::default()
    };
    let in_place = Arc::clone(&slow.in_place);
    let bench = Bench {
        engine: slow,
        ..one_at_a_time()
    };
    bench
        .run(CancellationToken::new())
        .await
        .result
        .expect("ends with its input");
    assert_eq!(
        *in_place.lock().unwrap(),
        0,
        "what takes long is a worker's work"
    );
}

/// A few that were read together and have no company are no reason to wake a worker either, unless they are more than a
/// batch.
#[tokio::test]
async fn a_few_messages_that_are_alone_are_worked_on_in_the_source_s_task() {
    for max_rows in [8, 7] {
        let engine = FakeEngine::default();
        let (in_place, runs) = (Arc::clone(&engine.in_place), Arc::clone(&engine.runs));
        let ran = Bench {
            payloads: (0..=98).cycle().take(4000).collect(),
            engine,
            engines: 1,
            max_in_flight: 8,
            max_rows,
            ..one_at_a_time()
        }
        .run(CancellationToken::new())
        .await;
        ran.result.as_ref().expect("ends with its input");
        assert_eq!(ran.count(4000, Outcome::Done), 4000);
        let most = runs.lock().unwrap().iter().copied().max();
        assert_eq!(most, Some(max_rows), "rows in the largest batch");
        let in_place = *in_place.lock().unwrap();
        assert!(max_rows < 8 || in_place > 20, "{in_place} in place");
    }
}

/// Whoever does the work: the batch is delivered again, and the pipeline stops.
#[tokio::test]
async fn a_panic_in_the_source_s_task_stops_the_pipeline() {
    // A moment in which the machine is busy elsewhere makes a message long, and the next one a worker's.
    for _ in 0..20 {
        let engine = FakeEngine {
            panics_on: Some(90),
            ..FakeEngine::default()
        };
        let ran = Bench {
            engine,
            ..one_at_a_time()
        }
        .run(CancellationToken::new())
        .await;
        let messages = ran.outcomes.lock().unwrap().len();
        assert_eq!(ran.count(messages, Outcome::Retry { after: None }), 1);
        match ran.result.as_ref().expect_err("a panic is fatal") {
            PipelineError::Panicked { thread, .. } if thread == "source" => return,
            PipelineError::Panicked { thread, .. } if thread.starts_with("worker-") => {}
            other => panic!("{other}"),
        }
    }
    panic!("twenty times a worker did the work");
}

#[tokio::test]
async fn bad_messages_go_to_the_dead_letter_untouched_and_their_neighbours_go_on() {
    let engine = FakeEngine {
        fails_on: Some(7),
        ..FakeEngine::default()
    };
    let ran = Bench {
        payloads: vec![1, 200, 2, 7, 3, 99, 4],
        engine,
        ..Bench::default()
    }
    .run(CancellationToken::new())
    .await;
    ran.result.as_ref().expect("rejects are not fatal");
    assert_eq!(ran.count(7, Outcome::Rejected), 3);
    assert_eq!(Ran::bytes(&ran.published), [2, 3, 4, 5]);
    assert_eq!(Ran::bytes(&ran.dead), [7, 99, 200], "the original payloads");
    let mut stages: Vec<_> = ran
        .dead
        .lock()
        .unwrap()
        .iter()
        .filter_map(|(_, stage)| stage.clone())
        .collect();
    stages.sort_unstable();
    assert_eq!(stages, ["decode", "encode", "engine"]);
}

#[tokio::test]
async fn without_a_dead_letter_rejects_settle_too() {
    let ran = Bench {
        payloads: vec![1, 200, 2],
        dead_letter: None,
        ..Bench::default()
    }
    .run(CancellationToken::new())
    .await;
    ran.result.as_ref().expect("rejects are not fatal");
    assert_eq!(ran.count(3, Outcome::Rejected), 1);
}

#[tokio::test]
async fn a_rejected_request_is_answered() {
    let ran = Bench {
        payloads: vec![200],
        replies: true,
        ..Bench::default()
    }
    .run(CancellationToken::new())
    .await;
    ran.result.as_ref().expect("rejects are not fatal");
    let published = ran.published.lock().unwrap();
    let (answer, error) = &published[0];
    assert_eq!(
        String::from_utf8_lossy(answer),
        r#"{"error":{"stage":"decode","reason":"200 is not allowed"}}"#
    );
    assert_eq!(error.as_deref(), Some("200 is not allowed"));
    assert_eq!(Ran::bytes(&ran.dead), [200]);
}

#[tokio::test]
async fn stop_drains_what_is_in_flight() {
    let stop = CancellationToken::new();
    let engine = FakeEngine {
        takes: Duration::from_millis(5),
        ..FakeEngine::default()
    };
    let bench = Bench {
        endless: true,
        engine,
        ..Bench::default()
    };
    let stopper = stop.clone();
    let (ran, ()) = tokio::join!(bench.run(stop), async move {
        tokio::time::sleep(Duration::from_millis(60)).await;
        stopper.cancel();
    });
    ran.result.as_ref().expect("a stop is not a failure");
    let messages = ran.outcomes.lock().unwrap().len();
    assert!(messages > 0);
    let rejected = ran.count(messages, Outcome::Rejected);
    assert_eq!(
        ran.count(messages, Outcome::Done) + rejected,
        messages,
        "nothing is given back"
    );
}

#[tokio::test]
async fn a_panic_gives_its_batch_back_and_stops_the_pipeline() {
    let engine = FakeEngine {
        panics_on: Some(50),
        ..FakeEngine::default()
    };
    let ran = Bench {
        engine,
        endless: true,
        ..Bench::default()
    }
    .run(CancellationToken::new())
    .await;
    let error = ran
        .result
        .as_ref()
        .expect_err("a panic is fatal")
        .to_string();
    assert!(
        error.contains("worker-") && error.contains("asked to panic"),
        "{error}"
    );
    let messages = ran.outcomes.lock().unwrap().len();
    assert!(
        ran.count(messages, Outcome::Retry { after: None }) > 0,
        "the batch is delivered again"
    );
}

#[tokio::test]
async fn a_lost_device_is_fatal_and_gives_everything_back() {
    let engine = FakeEngine {
        dies_on: Some(3),
        ..FakeEngine::default()
    };
    let ran = Bench {
        engine,
        engines: 1,
        ..Bench::default()
    }
    .run(CancellationToken::new())
    .await;
    assert!(
        matches!(ran.result, Err(PipelineError::Engine(_))),
        "{:?}",
        ran.result
    );
    let messages = ran.outcomes.lock().unwrap().len();
    assert!(ran.count(messages, Outcome::Retry { after: None }) > 0);
}

#[tokio::test]
async fn a_sink_that_gives_up_is_fatal() {
    let sink = FakeSink {
        fails: true,
        ..FakeSink::default()
    };
    let ran = Bench {
        sink,
        ..Bench::default()
    }
    .run(CancellationToken::new())
    .await;
    assert_eq!(
        ran.result.expect_err("fatal").to_string(),
        "sink: asked to fail"
    );
}

#[tokio::test]
async fn a_slow_sink_bounds_what_is_in_flight() {
    let sink = FakeSink {
        takes: Duration::from_millis(2),
        ..FakeSink::default()
    };
    let ran = Bench {
        payloads: (0..99).cycle().take(600).collect(),
        sink,
        max_in_flight: 16,
        ..Bench::default()
    }
    .run(CancellationToken::new())
    .await;
    ran.result.as_ref().expect("slow is not broken");
    assert!(ran.in_flight_max <= 16, "{}", ran.in_flight_max);
    assert!(
        ran.in_flight_max > 8,
        "the credit is used: {}",
        ran.in_flight_max
    );
}

#[tokio::test]
async fn a_busy_engine_gets_full_batches() {
    let engine = FakeEngine {
        takes: Duration::from_millis(3),
        ..FakeEngine::default()
    };
    let runs = Arc::clone(&engine.runs);
    let ran = Bench {
        payloads: vec![1; 400],
        engine,
        engines: 1,
        ..Bench::default()
    }
    .run(CancellationToken::new())
    .await;
    ran.result.as_ref().expect("ends with its input");
    let runs = runs.lock().unwrap();
    let full = runs.iter().filter(|rows| **rows == 8).count();
    assert!(
        full * 10 >= runs.len() * 8,
        "batches grow while the engine is busy: {runs:?}"
    );
}

#[tokio::test]
async fn the_grace_is_kept() {
    let stop = CancellationToken::new();
    let sink = FakeSink {
        takes: Duration::from_mins(1),
        ..FakeSink::default()
    };
    let bench = Bench {
        sink,
        grace: Duration::from_millis(50),
        ..Bench::default()
    };
    stop.cancel();
    let started = Instant::now();
    let ran = Bench {
        endless: false,
        ..bench
    }
    .run(stop)
    .await;
    // Stopped before the first message: nothing is in flight, so there is nothing to wait for.
    ran.result.as_ref().expect("nothing was in flight");
    assert!(started.elapsed() < Duration::from_secs(5));

    let stop = CancellationToken::new();
    let sink = FakeSink {
        takes: Duration::from_mins(1),
        ..FakeSink::default()
    };
    let bench = Bench {
        sink,
        grace: Duration::from_millis(50),
        ..Bench::default()
    };
    let stopper = stop.clone();
    let (ran, ()) = tokio::join!(bench.run(stop), async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stopper.cancel();
    });
    assert!(matches!(ran.result, Err(PipelineError::Grace { in_flight, .. }) if in_flight > 0));
    assert!(started.elapsed() < Duration::from_secs(5));
}
