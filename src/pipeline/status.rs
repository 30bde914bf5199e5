//! What a running pipeline says about itself to those who ask.

use std::sync::Arc;

use crate::{message::Home, telemetry::metrics::PipelineGauges};

/// Asks a room whether it works; `Some` says why not.
pub type Check = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// A pipeline's state, to be read at any time from anywhere.
#[derive(Clone)]
pub struct Status {
    /// The pipeline's name.
    pub name: String,
    home: Arc<Home>,
    gauges: PipelineGauges,
    checks: Vec<Check>,
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Status")
            .field("name", &self.name)
            .field("not_ready", &self.not_ready())
            .finish_non_exhaustive()
    }
}

impl Status {
    /// The state of the pipeline with this name, which is ready when its source reads and all
    /// `checks` say nothing.
    pub fn new(name: &str, home: Arc<Home>, gauges: PipelineGauges, checks: Vec<Check>) -> Self {
        Self {
            name: name.to_owned(),
            home,
            gauges,
            checks,
        }
    }

    /// Why the pipeline is not ready; `None` when it is.
    pub fn not_ready(&self) -> Option<String> {
        if let Some(reason) = self.checks.iter().find_map(|check| check()) {
            return Some(reason);
        }
        let reading = self.home.is_reading();
        (!reading).then(|| {
            "the source is not reading: it starts or stops, or is refused (see the log)".to_owned()
        })
    }

    /// Brings the gauges up to date; called when someone reads them.
    pub fn refresh_gauges(&self) {
        self.gauges
            .in_flight(self.home.in_flight(), self.home.limit());
        self.gauges.ready(self.not_ready().is_none());
    }
}
