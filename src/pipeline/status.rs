//! What a running pipeline says about itself to those who ask.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Running, terms};
use crate::{
    batch::{Meter, meter::Load},
    message::Home,
    telemetry::metrics::PipelineGauges,
};

/// Asks a room whether it works; `Some` says why not.
pub type Check = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// A pipeline's state, to be read at any time from anywhere.
#[derive(Clone)]
pub struct Status {
    /// The pipeline's name.
    pub name: String,
    home: Arc<Home>,
    running: Arc<Running>,
    gauges: PipelineGauges,
    meter: Option<Arc<Meter>>,
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
    pub fn new(
        name: &str,
        home: Arc<Home>,
        running: Arc<Running>,
        gauges: PipelineGauges,
        checks: Vec<Check>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            home,
            running,
            gauges,
            meter: None,
            checks,
        }
    }

    /// Says what this meter measures.
    #[must_use]
    pub fn measured_by(mut self, meter: Arc<Meter>) -> Self {
        self.meter = Some(meter);
        self
    }

    /// Why the pipeline is not ready; `None` when it is.
    pub fn not_ready(&self) -> Option<String> {
        if let Some(reason) = self.checks.iter().find_map(|check| check()) {
            return Some(reason);
        }
        if let Some(reason) = self.running.places.trouble() {
            return Some(reason);
        }
        let reading = self.home.is_reading();
        (!reading).then(|| {
            "the source is not reading: it starts or stops, or is refused (see the log)".to_owned()
        })
    }

    /// Why only a new process can help: a batch has been in the models for longer than `within`.
    /// `None` when all is well. A run cannot be broken off, so a model that hangs hangs for ever.
    pub fn hung(&self, within: Duration) -> Option<String> {
        self.hung_at(Instant::now(), within)
    }

    fn hung_at(&self, now: Instant, within: Duration) -> Option<String> {
        let longest = self.running.longest(now);
        (longest > within).then(|| {
            format!(
                "a batch has been in the model for {} s; the process should be restarted",
                longest.as_secs()
            )
        })
    }

    /// Brings the gauges up to date; called when someone reads them.
    pub fn refresh_gauges(&self) {
        self.gauges
            .in_flight(self.home.in_flight(), self.home.limit());
        let now = Instant::now();
        self.gauges.running(self.running.longest(now));
        if let Some(meter) = &self.meter {
            let (load, plan) = meter.load(now);
            if let Some(plan) = plan {
                terms::say(&self.name, plan);
            }
            self.load(&load);
        }
        self.gauges.ready(self.not_ready().is_none());
    }

    fn load(&self, load: &Load) {
        self.gauges.rates(load.rows_per_second, load.utilisation);
        if let Some(line) = load.engine {
            self.gauges.service(line.fixed, line.per_row);
        }
        if let Some(headroom) = load.headroom() {
            self.gauges.headroom(headroom);
        }
        if let Some(planned) = load.planned {
            self.gauges.planned(planned, load.over);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{message::InFlight, telemetry::metrics::PipelineMetrics};

    #[test]
    fn a_batch_that_stays_in_the_model_is_told() {
        let running = Running::new();
        let home = Home::new(InFlight {
            messages: 1,
            bytes: 1,
        });
        let gauges = PipelineMetrics::new("x").gauges;
        let status = Status::new("x", home, Arc::clone(&running), gauges, Vec::new());
        let within = Duration::from_mins(5);
        let note = running.note();
        let begun = Instant::now();
        let hung_after = |seconds| status.hung_at(begun + Duration::from_secs(seconds), within);
        assert_eq!(hung_after(312), None);
        note.begin(begun);
        assert_eq!(hung_after(299), None);
        insta::assert_snapshot!(hung_after(312).expect("hung"), @"a batch has been in the model for 312 s; the process should be restarted");
        note.end();
        assert_eq!(hung_after(312), None);
    }
}
