//! On what terms messages go through a pipeline: how old they may be, which go first, which need no model,
//! and on how much of the machine.

use std::{sync::Arc, time::Instant};

use super::{
    cache::Cache,
    cores::{Core, Share},
};
use crate::{
    batch::meter::{Meter, Plan},
    block::Block,
    message::{Deadline, Message, Now, Priority, Reject},
    sink::Rejects,
};

/// On what terms messages go through a pipeline. Clones share what is kept and measured.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The pipeline's name.
    pub name: String,
    /// How old a message may be when its batch starts.
    pub deadline: Option<Deadline>,
    /// Which messages go before others.
    pub priority: Option<Priority>,
    /// Results that are kept.
    pub cache: Option<Arc<Cache>>,
    /// What it may take of the cores, where other pipelines want them too.
    pub share: Option<Share>,
    /// What is measured.
    pub meter: Arc<Meter>,
    /// The models run on no core.
    pub on_gpu: bool,
}

/// No core is free.
pub(super) struct AllTaken;

impl Terms {
    /// No terms: any message, at any age, in its turn.
    pub fn new(name: &str, meter: Meter) -> Self {
        Self {
            name: name.to_owned(),
            deadline: None,
            priority: None,
            cache: None,
            share: None,
            meter: Arc::new(meter),
            on_gpu: false,
        }
    }

    /// Waits for a core to decode or encode on.
    pub(super) fn core(&self) -> Option<Core<'_>> {
        self.share.as_ref().map(Share::take)
    }

    /// Waits for a core, and has it for this.
    pub(super) fn on_a_core<T>(&self, work: impl FnOnce() -> T) -> T {
        let core = self.core();
        let done = work();
        drop(core);
        done
    }

    /// A core for the work of a moment, where one is free; none is needed where the pipeline has all of them.
    ///
    /// # Errors
    /// Others have all of them just now.
    pub(super) fn free_core(&self) -> Result<Option<Core<'_>>, AllTaken> {
        match &self.share {
            Some(share) => share.try_take().map(Some).ok_or(AllTaken),
            None => Ok(None),
        }
    }

    /// Waits for a core to run models on, where they need one.
    pub(super) fn core_for_models(&self) -> Option<Core<'_>> {
        if self.on_gpu { None } else { self.core() }
    }

    /// Rejects what is too late already, before anything is done for it.
    pub(super) fn in_time(&self, messages: Vec<Message>, rejects: &Rejects) -> Vec<Message> {
        let Some(deadline) = self.deadline else {
            return messages;
        };
        let now = Now::read();
        let in_time = messages.into_iter().filter_map(|message| {
            let Some(reject) = deadline.missed(&message, now) else {
                return Some(message);
            };
            rejects.reject(message, reject);
            None
        });
        in_time.collect()
    }

    /// Rejects what is too late by now; `None` where nothing is left.
    pub(super) fn still_in_time(&self, block: Block, rejects: &Rejects) -> Option<Block> {
        let Some(deadline) = self.deadline else {
            return Some(block);
        };
        let now = Now::read();
        let missed = |message: &Message| deadline.missed(message, now);
        let mut why: Vec<Reject> = Vec::new();
        let late: Vec<bool> = (block.records.iter())
            .map(|record| {
                let reject = missed(&record.message);
                let late = reject.is_some();
                why.extend(reject);
                late
            })
            .collect();
        let (in_time, late) = block.sort_out(&late);
        let late = late.into_iter().flat_map(|late| late.records);
        for (record, reject) in late.zip(why) {
            rejects.reject(record.message, reject);
        }
        in_time
    }

    /// Those that are not urgent, and those that are.
    pub(super) fn by_priority(&self, block: Block) -> (Option<Block>, Option<Block>) {
        let Some(priority) = &self.priority else {
            return (Some(block), None);
        };
        let urgent: Vec<bool> = (block.records.iter())
            .map(|record| priority.is_urgent(&record.message))
            .collect();
        block.sort_out(&urgent)
    }

    /// Notes rows that were decoded since `started`, and says so where they are not what was planned for.
    pub(super) fn decoded(&self, rows: usize, started: Instant, now: Instant) {
        let took = now.saturating_duration_since(started);
        if let Some(plan) = self.meter.decoded(rows, took, now) {
            say(&self.name, plan);
        }
    }
}

/// Logs that a plan was left, or is kept again.
pub(super) fn say(pipeline: &str, plan: Plan) {
    match plan {
        Plan::Left { rows, planned } => tracing::warn!(
            pipeline,
            rows_per_second = rows.round(),
            planned,
            "more rows come than are planned for (`capacity.planned`)"
        ),
        Plan::Kept { rows, planned } => tracing::info!(
            pipeline,
            rows_per_second = rows.round(),
            planned,
            "no more rows come than are planned for"
        ),
    }
}
