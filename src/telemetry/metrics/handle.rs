//! The recorder that all metrics go to, and what renders them.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{histogram::Histograms, recorder::bounds};

/// Counters and gauges by the exporter, histograms by ourselves.
pub struct Recorder {
    exporter: PrometheusRecorder,
    histograms: Arc<Histograms>,
}

/// Renders `/metrics`. Clones render the same.
#[derive(Debug, Clone)]
pub struct Handle {
    exporter: PrometheusHandle,
    histograms: Arc<Histograms>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    /// A recorder with nothing in it; [`super::install`] makes this process's.
    #[must_use]
    pub fn new() -> Self {
        Self {
            exporter: PrometheusBuilder::new().build_recorder(),
            histograms: Arc::default(),
        }
    }

    /// The handle that renders what is recorded.
    pub fn handle(&self) -> Handle {
        Handle {
            exporter: self.exporter.handle(),
            histograms: Arc::clone(&self.histograms),
        }
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Handle {
    /// Everything that is recorded, in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = self.exporter.render();
        self.histograms.render(&mut text);
        text
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporter.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporter.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.histograms.describe(key.as_str(), &description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.exporter.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.exporter.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.histograms.get(key, bounds(key.name()))
    }
}
