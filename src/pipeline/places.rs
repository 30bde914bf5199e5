//! Where the models of a pipeline run, for the metric and for readiness.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    engine::{
        Compared, Moved, Placed,
        cuda::canary::{Canary, Trouble},
    },
    telemetry::metrics::PipelineGauges,
};

/// Where the steps of a pipeline run, counted over its engines. A step may move while it serves: from a device that failed.
#[derive(Debug, Default)]
pub struct Places {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    gauges: Option<PipelineGauges>,
    /// What each step runs.
    models: Vec<String>,
    /// Engines that run a step there.
    engines: HashMap<(usize, Placed), usize>,
    /// GPUs that the file wants and nothing else.
    demanded: BTreeSet<usize>,
    canaries: BTreeMap<usize, Canary>,
    /// The largest difference that rows of each step have shown.
    differences: BTreeMap<usize, f64>,
}

impl Places {
    /// Takes up where each step of each engine runs. `models` names what each step runs, `demanded` are the GPUs in whose
    /// place nothing else may run.
    pub fn begin(
        &self,
        gauges: PipelineGauges,
        models: Vec<String>,
        demanded: BTreeSet<usize>,
        engines: &[Vec<Placed>],
    ) {
        let mut inner = self.inner();
        inner.gauges = Some(gauges);
        inner.models = models;
        inner.demanded = demanded;
        for placed in engines {
            for (step, placed) in placed.iter().enumerate() {
                inner.count(step, placed, true);
            }
        }
        inner.watch();
    }

    /// Steps of one engine have moved.
    pub fn moved(&self, moves: &[Moved]) {
        let mut inner = self.inner();
        for Moved { step, from, to } in moves {
            inner.count(*step, from, false);
            inner.count(*step, to, true);
        }
        inner.watch();
    }

    /// Rows of one engine ran on the CPU too.
    pub fn compared(&self, all: &[Compared]) {
        let mut inner = self.inner();
        for compared in all {
            let largest = inner.differences.entry(compared.step).or_default();
            *largest = largest.max(compared.difference);
            let largest = *largest;
            if let (Some(gauges), Some(model)) = (&inner.gauges, inner.models.get(compared.step)) {
                let rows = [compared.rows, compared.beyond];
                gauges.compared(&compared.step.to_string(), model, rows, largest);
            }
        }
    }

    /// Looks after no device any more, and waits until none is called.
    pub fn end(&self) {
        let canaries = std::mem::take(&mut self.inner().canaries);
        drop(canaries);
    }

    /// Why a device that is in use cannot serve; `None` where all can, as far as is known.
    pub fn trouble(&self) -> Option<String> {
        let inner = self.inner();
        inner.canaries.iter().find_map(|(device, canary)| {
            match canary.trouble()? {
                // What waits for it waits too.
                Trouble::Silent(why) => Some(why),
                // Where it need not be this device, the next batch goes to the CPU.
                Trouble::Failed(why) => inner.demanded.contains(device).then_some(why),
            }
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic in between leaves counts that are off by one, which is no reason to stop.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn count(&mut self, step: usize, placed: &Placed, more: bool) {
        let count = self.engines.entry((step, placed.clone())).or_default();
        *count = if more {
            *count + 1
        } else {
            count.saturating_sub(1)
        };
        let there = *count > 0;
        if let (Some(gauges), Some(model)) = (&self.gauges, self.models.get(step)) {
            let device = placed.device.to_string();
            gauges.step(&step.to_string(), model, &device, &placed.reason, there);
        }
    }

    /// Watches each GPU that is in use, and no other.
    fn watch(&mut self) {
        let used: BTreeSet<usize> = (self.engines.iter())
            .filter(|(_, count)| **count > 0)
            .flat_map(|((_, placed), _)| placed.device.gpus())
            .collect();
        self.canaries.retain(|device, _| used.contains(device));
        for device in used {
            self.canaries
                .entry(device)
                .or_insert_with(|| Canary::start(device));
        }
    }
}
