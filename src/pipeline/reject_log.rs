//! What the log says of rejected messages.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::rejects::RejectRoutes;
use crate::message::{Message, Reject, Stage};

/// Logs the first reject of each kind at once, and then one line each ten seconds for a kind: a
/// sender that is wrong is wrong for every message, but must not hide what others do wrong.
///
/// Kinds are fixed words, the `reason` of the metric, so there are as many as the metric has.
pub(super) struct RejectLog {
    pipeline: String,
    /// What becomes of them, in words.
    fate: String,
    kinds: HashMap<(Stage, &'static str), Said>,
    rejected: u64,
}

/// What was said of one kind.
struct Said {
    at: Instant,
    /// Rejects since then.
    silent: u64,
}

impl RejectLog {
    const PAUSE: Duration = Duration::from_secs(10);

    pub(super) fn of(routes: &RejectRoutes) -> Self {
        // When this is said the dead letter is still on its way.
        let fate = match &routes.dead_letter {
            None => " and dropped: the pipeline has no dead_letter".to_owned(),
            Some(way) => match &way.unconfirmed {
                Some(subject) => format!(
                    "; its dead letter is published to {subject} (core NATS: nobody confirms it)"
                ),
                None => "; it goes to the dead letter".to_owned(),
            },
        };
        Self {
            pipeline: routes.metrics.pipeline().to_owned(),
            fate,
            kinds: HashMap::new(),
            rejected: 0,
        }
    }

    pub(super) fn say(&mut self, message: &Message, reject: &Reject) {
        let now = Instant::now();
        self.rejected += 1;
        let Some(not_logged) = self.turn(reject, now) else {
            return;
        };
        tracing::warn!(
            pipeline = self.pipeline,
            stage = reject.stage.name(),
            reason = reject.reason,
            subject = message.subject(),
            sequence = message.position.as_ref().map(|position| position.sequence),
            not_logged,
            "message rejected{}",
            self.fate
        );
    }

    /// How many of this kind were not logged before this one; `None` where this one is not either.
    fn turn(&mut self, reject: &Reject, now: Instant) -> Option<u64> {
        let fresh = Said { at: now, silent: 0 };
        match self.kinds.get_mut(&(reject.stage, reject.kind)) {
            None => {
                self.kinds.insert((reject.stage, reject.kind), fresh);
                Some(0)
            }
            Some(said) if now.duration_since(said.at) < Self::PAUSE => {
                said.silent += 1;
                None
            }
            Some(said) => Some(std::mem::replace(said, fresh).silent),
        }
    }
}

/// The log's last word: without it the rejects of the last seconds would be in the metrics only.
impl Drop for RejectLog {
    fn drop(&mut self) {
        if self.rejected == 0 {
            return;
        }
        let not_logged: u64 = self.kinds.values().map(|said| said.silent).sum();
        tracing::warn!(
            pipeline = self.pipeline,
            rejected = self.rejected,
            not_logged,
            "messages were rejected since the start; not_logged counts those since the last line of their kind"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::PipelineMetrics;

    #[test]
    fn the_first_of_each_kind_is_said_and_then_one_in_ten_seconds() {
        let routes = RejectRoutes {
            replies: None,
            dead_letter: None,
            metrics: PipelineMetrics::new("test").rejects,
        };
        let mut log = RejectLog::of(&routes);
        let start = Instant::now();
        let mut turn = |stage, kind, seconds| {
            let reject = Reject::new(stage, kind, "never the same");
            log.turn(&reject, start + Duration::from_secs(seconds))
        };
        assert_eq!(turn(Stage::Decode, "missing", 0), Some(0));
        assert_eq!(turn(Stage::Decode, "missing", 1), None);
        // Another kind, and another stage, are not hidden by the first.
        assert_eq!(turn(Stage::Decode, "range", 1), Some(0));
        assert_eq!(turn(Stage::Engine, "missing", 2), Some(0));
        assert_eq!(turn(Stage::Decode, "missing", 9), None);
        assert_eq!(turn(Stage::Decode, "missing", 10), Some(2));
        assert_eq!(turn(Stage::Decode, "missing", 19), None);
        assert_eq!(turn(Stage::Decode, "range", 20), Some(0));
        assert_eq!(turn(Stage::Decode, "missing", 20), Some(1));
    }
}
