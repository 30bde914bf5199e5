//! How rows are batched, which go first, and what is planned: `batch`, `priority`, `cache`, `capacity`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Count, OrderKey, PerSecond, Size, Time};

/// How batches are formed. More is in `docs/batching.md`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Batch {
    /// Most rows in a batch.
    #[serde(default = "max_rows")]
    pub(in crate::config) max_rows: At<Count>,
    /// How long the oldest row may wait for company while an engine is free. `0s` sends whatever
    /// there is as soon as an engine is free.
    #[serde(default = "max_delay")]
    pub(in crate::config) max_delay: At<Time>,
    /// In place of `max_delay`: within this time of being read, 99 of 100 rows are to have their results. How
    /// long a batch waits and where it is cut follows from that, and from what runs take and rows come.
    pub(in crate::config) target_latency: Option<At<Time>>,
    /// Most bytes of payloads in a batch; a single message with more is a batch of its own.
    pub(in crate::config) max_bytes: Option<Size>,
    /// Most tokens of the `text` step in a batch, padding included: its rows times the tokens of the
    /// longest. A single message with more is a batch of its own.
    pub(in crate::config) max_tokens: Option<At<Count>>,
    /// A message that is older than this when its batch starts is too late to be useful: it is rejected for
    /// that reason, and goes to the dead letter.
    pub(in crate::config) deadline: Option<At<Time>>,
    /// From when the age is counted that `deadline` limits.
    #[schemars(extend("default" = "read"))]
    pub(in crate::config) deadline_from: Option<At<DeadlineFrom>>,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            max_rows: max_rows(),
            max_delay: max_delay(),
            target_latency: None,
            max_bytes: None,
            max_tokens: None,
            deadline: None,
            deadline_from: None,
        }
    }
}

/// From when the age of a message is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum DeadlineFrom {
    /// When it was read, by this machine's clock. What waits in a stream does not grow old.
    Read,
    /// When its stream stored it, by the server's clock, which must agree with this machine's.
    Stored,
}

/// Which messages enter the next batch before the others: those in which a header, or a token of the
/// subject, has one of these values. One batch in four takes the others first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Priority {
    /// The header's name, in any case.
    pub(in crate::config) header: Option<At<String>>,
    /// In its place, the token of the subject: `"{2}"` is the second.
    pub(in crate::config) subject: Option<At<OrderKey>>,
    /// The values that mean urgent, letter by letter.
    pub(in crate::config) urgent: At<Vec<At<String>>>,
}

/// Results that are kept: the same payload gets the same result again, and no model runs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Cache {
    /// Most memory for payloads and their results; what was not asked for longest makes room.
    pub(in crate::config) max_bytes: Size,
}

/// What the pipeline is meant to carry.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Capacity {
    /// Rows a second that are planned for, `20000/s`. When more come for some seconds, a line in the log and a
    /// metric say so.
    pub(in crate::config) planned: PerSecond,
}

fn max_rows() -> At<Count> {
    At::unwritten(Count(256))
}

fn max_delay() -> At<Time> {
    At::unwritten(Time::from_secs(0))
}
