//! Keeps deliveries in the order of the stream, for a pipeline that keeps its results in order.
//!
//! What was delivered and not acknowledged (to a process that died, or over a connection that was
//! cut) comes again only when `ack_wait` is over, while new messages come at once. The consumer
//! numbers its deliveries, so a number that is left out shows that some are missing. Then nothing
//! more is let in until the consumer waits for nothing but what is here.

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use super::{JetStreamOptions, consumer::Before, position::Delivery};
use crate::nats::{Connection, api::consumer_info};

/// Asked for at a time while deliveries are missing. Few, for new messages may come as well, and
/// they are held beside the credit.
const FEW: usize = 64;
/// How much later than `ack_wait` says a delivery may come again.
const SLACK: Duration = Duration::from_secs(2);
/// Longer than any pause between two looks at the clock while this process runs.
const STOOD_STILL: Duration = Duration::from_secs(1);
const ASK_AGAIN_MIN: Duration = Duration::from_millis(50);
const ASK_AGAIN_MAX: Duration = Duration::from_millis(500);
/// A new message shows that the missing ones are not due yet. So often they are looked for again.
const LOOKS: u32 = 10;

/// The order of deliveries.
pub(super) struct Earlier {
    connection: Connection,
    options: JetStreamOptions,
    /// Number of the last delivery.
    last: u64,
    connects: u64,
    phase: Phase,
    /// A number left out means a missing delivery. Not so where another process reads the consumer.
    watching: bool,
    /// Something was held, and may go on in the order of the stream.
    over: bool,
    question: Option<Question>,
    /// When the clock was last looked at.
    ticked: Instant,
}

enum Phase {
    /// Deliveries follow each other.
    Steady,
    /// Connected anew: the next delivery shows whether any are missing.
    Fresh,
    /// Some are missing.
    Missing(Missing),
}

struct Missing {
    since: Instant,
    until: Instant,
    /// How many, once the consumer has said so.
    count: Option<usize>,
    /// How many to ask for, and when.
    few: usize,
    few_at: Instant,
    question_at: Instant,
    /// When the question was asked that was answered last.
    asked: Instant,
}

/// How many deliveries wait for an acknowledgement, asked when `held` were here and `settled` had
/// been told before.
struct Question {
    asked: Instant,
    held: usize,
    settled: u64,
    answer: Pin<Box<dyn Future<Output = Option<usize>> + Send>>,
}

impl Earlier {
    pub(super) fn new(connection: Connection, options: JetStreamOptions, before: Before) -> Self {
        if before.requests > 0 {
            tracing::warn!(
                consumer = options.consumer,
                "another process reads this consumer; with `order_by`, run one process per consumer, because each keeps the order only of what it gets"
            );
        }
        let missing = Missing::new(Instant::now(), options.ack_wait);
        Self {
            connects: connection.connects(),
            connection,
            options,
            last: before.deliveries,
            phase: match before.unacknowledged {
                0 => Phase::Steady,
                _ => Phase::Missing(missing),
            },
            watching: true,
            over: false,
            question: None,
            ticked: Instant::now(),
        }
    }

    /// A delivery came.
    pub(super) fn came(&mut self, delivery: Delivery, now: Instant) {
        // A server that lost its last writes counts them again: a smaller number is no gap.
        let gap = delivery.number > self.last + 1;
        self.last = delivery.number;
        if !self.holds() {
            if !gap || !self.watching {
                self.phase = Phase::Steady;
                return;
            }
            self.phase = Phase::Missing(Missing::new(now, self.options.ack_wait));
        }
        if let Phase::Missing(missing) = &mut self.phase {
            if delivery.delivered > 1 {
                missing.came_again(now);
            } else {
                missing.few = 1;
                missing.few_at = now + self.options.ack_wait / LOOKS;
            }
        }
    }

    /// Whether nothing may be let in now.
    pub(super) fn holds(&self) -> bool {
        matches!(self.phase, Phase::Missing(_))
    }

    /// Says once, after something was held, that it may go on.
    pub(super) fn is_over(&mut self) -> bool {
        std::mem::take(&mut self.over)
    }

    /// How many to ask for, where not all that there is room for.
    pub(super) fn few(&self, room: bool, now: Instant) -> Option<usize> {
        match &self.phase {
            Phase::Steady => None,
            Phase::Fresh => Some(usize::from(room)),
            Phase::Missing(missing) if missing.few_at <= now => Some(missing.few),
            Phase::Missing(_) => Some(0),
        }
    }

    /// Looks at the connection and the clock. `tally` is how many deliveries are here, and how
    /// many have been settled since the start.
    pub(super) fn tick(&mut self, tally: (usize, u64), now: Instant) {
        if self.connects != self.connection.connects() {
            self.connects = self.connection.connects();
            self.watching = true;
            match &mut self.phase {
                Phase::Missing(missing) => *missing = Missing::new(now, self.options.ack_wait),
                phase => *phase = Phase::Fresh,
            }
        }
        let stood_still = now.duration_since(std::mem::replace(&mut self.ticked, now));
        let Phase::Missing(missing) = &mut self.phase else {
            return;
        };
        if stood_still > STOOD_STILL {
            // What came meanwhile has not been looked at yet.
            missing.until = missing.until.max(now + SLACK);
        }
        if !self.connection.is_connected() {
            return;
        }
        if missing.until <= now && self.question.is_none() && missing.asked > missing.until {
            tracing::warn!(
                missing = missing.count,
                waited = ?missing.until - missing.since,
                "messages that were delivered before were neither acknowledged nor delivered again, so their results may come out of order; where another process reads this consumer: with `order_by`, run one process per consumer"
            );
            self.watching = false;
            self.go_on();
        } else if missing.question_at <= now && self.question.is_none() {
            let (connection, options) = (self.connection.clone(), self.options.clone());
            let (held, settled) = tally;
            self.question = Some(Question {
                asked: now,
                held,
                settled,
                answer: Box::pin(async move {
                    let info = consumer_info(&connection, &options.stream, &options.consumer);
                    info.await.ok().map(|info| info.num_ack_pending)
                }),
            });
        }
    }

    /// Waits for the answer to the question under way; without one, for ever.
    pub(super) async fn answer(&mut self) -> Option<usize> {
        match &mut self.question {
            Some(question) => question.answer.as_mut().await,
            None => std::future::pending().await,
        }
    }

    /// The consumer waits for so many acknowledgements.
    pub(super) fn answered(&mut self, unacknowledged: Option<usize>, tally: (usize, u64)) {
        let (Some(question), Phase::Missing(missing)) = (self.question.take(), &mut self.phase)
        else {
            return;
        };
        let now = Instant::now();
        let again = (now - missing.since) / 8;
        missing.question_at = now + again.clamp(ASK_AGAIN_MIN, ASK_AGAIN_MAX);
        let Some(unacknowledged) = unacknowledged else {
            return;
        };
        missing.asked = question.asked;
        // What was settled meanwhile may or may not be counted. Taken off in any case, nothing that
        // is missing passes for something that is here.
        let settled = usize::try_from(tally.1 - question.settled).unwrap_or(usize::MAX);
        let ours = question.held.saturating_sub(settled);
        match unacknowledged.saturating_sub(ours) {
            0 => {
                if missing.count.is_some() {
                    tracing::info!(waited = ?now - missing.since, "nothing is missing any more; going on in order");
                }
                self.go_on();
            }
            count => {
                if missing.count.is_none() {
                    tracing::info!(
                        "waiting for {count} messages that were delivered before and not acknowledged, to keep the order"
                    );
                }
                missing.count = Some(count);
            }
        }
    }

    fn go_on(&mut self) {
        self.phase = Phase::Steady;
        self.over = true;
    }
}

impl Missing {
    fn new(now: Instant, ack_wait: Duration) -> Self {
        Self {
            since: now,
            until: now + ack_wait + SLACK,
            count: None,
            few: 1,
            few_at: now,
            question_at: now,
            asked: now,
        }
    }

    /// One came again: the others may be due as well.
    fn came_again(&mut self, now: Instant) {
        self.few = FEW;
        self.few_at = now;
        self.until = self.until.max(now + SLACK);
        if let Some(count) = &mut self.count {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.question_at = now;
            }
        }
    }
}
