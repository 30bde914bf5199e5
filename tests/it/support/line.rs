//! A source and a sink with a thread between them that does what a test says to each message.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use crossbeam::channel::bounded;
use forebay::{
    message::{Home, InFlight, Message, Outcome, Reject},
    sink::{Outgoing, Rejects, Sink, SinkError},
    source::{Intake, Source, SourceError},
    telemetry::metrics::PipelineMetrics,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// What becomes of a message between source and sink.
#[derive(Debug)]
pub(crate) enum Step {
    /// Publish this payload.
    Publish(Bytes),
    /// Settle without publishing.
    Settle(Outcome),
    /// Lose it: its promise is dropped.
    Lose,
}

/// A source and a sink at work.
pub(crate) struct Line {
    pub(crate) stop: CancellationToken,
    pub(crate) home: Arc<Home>,
    pub(crate) source: JoinHandle<Result<(), SourceError>>,
    pub(crate) sink: JoinHandle<Result<(), SinkError>>,
    /// What the source or the sink rejected.
    pub(crate) rejects: mpsc::Receiver<(Message, Reject)>,
    prometheus: PrometheusHandle,
}

pub(crate) const CREDIT: InFlight = InFlight {
    messages: 512,
    bytes: 64 << 20,
};

impl Line {
    /// Starts both with credit for 512 messages.
    pub(crate) fn start(
        source: impl Source + 'static,
        sink: impl Sink + 'static,
        step: impl FnMut(&Message) -> Step + Send + 'static,
    ) -> Self {
        Self::with_credit(CREDIT, source, sink, step)
    }

    pub(crate) fn with_credit(
        credit: InFlight,
        source: impl Source + 'static,
        sink: impl Sink + 'static,
        step: impl FnMut(&Message) -> Step + Send + 'static,
    ) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = metrics::with_local_recorder(&recorder, || PipelineMetrics::new("test"));
        Self::with_metrics(credit, (metrics, recorder.handle()), source, sink, step)
    }

    pub(crate) fn with_metrics(
        credit: InFlight,
        (metrics, prometheus): (PipelineMetrics, PrometheusHandle),
        source: impl Source + 'static,
        sink: impl Sink + 'static,
        mut step: impl FnMut(&Message) -> Step + Send + 'static,
    ) -> Self {
        let home = Home::new(credit);
        let (blocks, read) = bounded(credit.messages);
        let (rejects, rejected) = Rejects::new(credit.messages);
        let (results, outgoing) = mpsc::channel(credit.messages);
        let intake = Intake::new(Arc::clone(&home), blocks, rejects.clone(), metrics.source);
        let stop = CancellationToken::new();
        let source = tokio::spawn(Box::new(source).run(intake, stop.clone()));
        let sink = tokio::spawn(Box::new(sink).run(outgoing, rejects, metrics.sink));
        std::thread::Builder::new()
            .name("between".into())
            .spawn(move || {
                for block in read {
                    let mut out = Vec::new();
                    for message in block.messages {
                        match step(&message) {
                            Step::Publish(payload) => out.push(Outgoing {
                                message,
                                payload,
                                headers: Vec::new(),
                                outcome: Outcome::Done,
                            }),
                            Step::Settle(outcome) => message.ack.resolve(outcome),
                            Step::Lose => drop(message),
                        }
                    }
                    if !out.is_empty() && results.blocking_send(out).is_err() {
                        return;
                    }
                }
            })
            .expect("a thread starts");
        Self {
            stop,
            home,
            source,
            sink,
            rejects: rejected,
            prometheus,
        }
    }

    /// Stops, and waits until both have ended well and everything is settled.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        self.ended().await;
    }

    /// Waits until both have ended well and everything is settled.
    pub(crate) async fn ended(mut self) {
        self.rejects.close();
        let both = async { (self.source.await, self.sink.await) };
        let (source, sink) = tokio::time::timeout(Duration::from_secs(20), both)
            .await
            .expect("both end");
        source.expect("no panic").expect("the source ends well");
        sink.expect("no panic").expect("the sink ends well");
        assert_eq!(
            self.home.in_flight(),
            InFlight {
                messages: 0,
                bytes: 0
            }
        );
    }

    /// The value of a counter.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let text = self.prometheus.render();
        text.lines()
            .filter(|line| line.starts_with(name))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }
}

/// Publishes what came in with `r:` in front.
pub(crate) fn echo(message: &Message) -> Step {
    Step::Publish([b"r:", message.payload.as_ref()].concat().into())
}

/// The number that a test wrote as a payload.
pub(crate) fn number(payload: &[u8]) -> usize {
    let text = std::str::from_utf8(payload).expect("a number");
    text.trim_start_matches("r:").parse().expect("a number")
}

/// Fails unless `seen` holds each number below `count` once.
pub(crate) fn assert_each_once(mut seen: Vec<usize>, count: usize) {
    seen.sort_unstable();
    let mut expected: Vec<_> = (0..count).collect();
    if seen != expected {
        expected.retain(|n| seen.binary_search(n).is_err());
        let doubled: Vec<_> = seen
            .windows(2)
            .filter(|w| w[0] == w[1])
            .map(|w| w[0])
            .collect();
        panic!("lost {expected:?}, doubled {doubled:?}");
    }
}
