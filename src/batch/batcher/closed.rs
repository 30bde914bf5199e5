//! Why a batch was closed.

use crate::batch::policy::Limit;

/// Why a batch was closed: the metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It has `max_rows` rows, or the next message would not fit.
    Full,
    /// With the next message there would be more than `max_bytes` in it.
    Bytes,
    /// With the next message there would be more than `max_tokens` in it.
    Tokens,
    /// Its oldest row had waited `max_delay`.
    Delay,
    /// By `target_latency`: its rows would be late if it waited longer, or more rows would make it no better.
    Target,
    /// An engine was free and the policy is not to wait.
    Idle,
    /// The pipeline is stopping.
    Drain,
    /// A message that was delivered again and again goes without company.
    Alone,
}

impl Closed {
    /// Every reason, for making one counter each.
    pub const ALL: [Self; 8] = [
        Self::Full,
        Self::Bytes,
        Self::Tokens,
        Self::Delay,
        Self::Target,
        Self::Idle,
        Self::Drain,
        Self::Alone,
    ];

    /// The metric label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Bytes => "bytes",
            Self::Tokens => "tokens",
            Self::Delay => "delay",
            Self::Target => "target",
            Self::Idle => "idle",
            Self::Drain => "drain",
            Self::Alone => "alone",
        }
    }
}

impl From<Limit> for Closed {
    fn from(limit: Limit) -> Self {
        match limit {
            Limit::Rows => Self::Full,
            Limit::Bytes => Self::Bytes,
            Limit::Tokens => Self::Tokens,
        }
    }
}
