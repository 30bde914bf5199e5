//! A subscription that really overflows: what the client drops is counted to the message.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use forebay::{
    message::{InFlight, Outcome},
    sink::{
        nats::{NatsSink, NatsTarget},
        template::Template,
    },
    source::nats::{NatsOptions, NatsSource},
    telemetry::metrics::PipelineMetrics,
};
use metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use crate::support::{
    connect, eventually,
    line::{Line, Step},
    server::NatsServer,
};

/// A counter at which whoever counts stands still while the gate is shut: the source's loop, here.
struct Gated {
    counter: Counter,
    shut: Arc<AtomicBool>,
}

impl CounterFn for Gated {
    fn increment(&self, value: u64) {
        while self.shut.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.counter.increment(value);
    }

    fn absolute(&self, value: u64) {
        self.counter.absolute(value);
    }
}

/// Prometheus, with a gate at the counter of messages.
struct Recording {
    prometheus: PrometheusRecorder,
    shut: Arc<AtomicBool>,
}

impl Recorder for Recording {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.prometheus.describe_counter(key, unit, text);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.prometheus.describe_gauge(key, unit, text);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.prometheus.describe_histogram(key, unit, text);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        let counter = self.prometheus.register_counter(key, metadata);
        if key.name() != "forebay_messages_total" {
            return counter;
        }
        let shut = Arc::clone(&self.shut);
        Counter::from_arc(Arc::new(Gated { counter, shut }))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.prometheus.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.prometheus.register_histogram(key, metadata)
    }
}

/// There is credit for everything, so the source itself drops nothing; but its loop stands still for
/// so long that the client has no room for what comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_client_drops_is_counted() {
    const SENT: usize = 100_000;
    let server = NatsServer::without_jetstream();
    let connection = connect(&server.url()).await;
    let shut = Arc::new(AtomicBool::new(false));
    let recording = Recording {
        prometheus: PrometheusBuilder::new().build_recorder(),
        shut: Arc::clone(&shut),
    };
    let metrics = metrics::with_local_recorder(&recording, || PipelineMetrics::new("test"));
    let credit = InFlight {
        messages: SENT,
        bytes: 1 << 30,
    };
    let source = NatsSource::new(
        connection.clone(),
        NatsOptions {
            subject: "in".into(),
            queue_group: None,
        },
    );
    let target = NatsTarget::Subject(Template::parse("out").expect("template"));
    let line = Line::with_metrics(
        credit,
        (metrics, recording.prometheus.handle()),
        source,
        NatsSink::new(connection.clone(), target),
        |_| Step::Settle(Outcome::Done),
    );
    server.subscribed("in").await;
    shut.store(true, Ordering::Relaxed);
    let client = connection.client();
    for _ in 0..SENT {
        let sent = client.publish("in", Bytes::from_static(b"1")).await;
        sent.expect("published");
    }
    client.flush().await.expect("flushed");
    // Until the client has read it all; the source cannot say so, for it stands still.
    eventually("the server has sent all", async || {
        server.has_sent("in", SENT)
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    shut.store(false, Ordering::Relaxed);
    let accounted = || {
        let handled = line.counter("forebay_messages_total");
        (handled, line.counter("forebay_dropped_total"))
    };
    eventually("all messages are accounted for", async || {
        let (handled, dropped) = accounted();
        handled + dropped >= SENT as u64
    })
    .await;
    // A count that is too high would go on growing: two looks, a second apart.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let (handled, dropped) = accounted();
    assert_eq!(handled + dropped, SENT as u64, "{handled} and {dropped}");
    assert!(dropped > 10_000, "the subscription did not overflow");
    line.finish().await;
}
