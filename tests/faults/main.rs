//! Whatever dies: each message has its result once, or its dead letter once.
#![allow(
    clippy::unwrap_used,
    reason = "in a test the panic is the message; clippy knows tests by their attribute only"
)]

#[allow(dead_code, reason = "shared with `it`, which needs more of it")]
#[path = "../it/support/mod.rs"]
mod support;

mod cluster;
