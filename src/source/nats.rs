//! Messages from core NATS: at most once by nature.

/// What to subscribe to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsOptions {
    /// The subject, wildcards allowed.
    pub subject: String,
    /// Share the subject's messages with other processes of this group.
    pub queue_group: Option<String>,
}
