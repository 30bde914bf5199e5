//! Results to core NATS, on a subject of their own or as the reply to a request.

use super::template::Template;

/// Where results go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NatsTarget {
    /// A subject made from the input's.
    Subject(Template),
    /// The reply subject of the request.
    Reply,
}
