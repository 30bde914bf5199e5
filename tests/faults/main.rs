//! Whatever dies: each message has its result once, or its dead letter once.
//!
//! The real program, several processes of it on one durable consumer, and real servers; a seed says
//! what fails when. `FOREBAY_FAULTS_SEED` chooses another one. `make soak` runs the long campaigns.
#![allow(
    clippy::unwrap_used,
    reason = "in a test the panic is the message; clippy knows tests by their attribute only"
)]
#![allow(clippy::print_stdout, reason = "a campaign says how far it is")]

#[allow(dead_code, reason = "shared with `it`, which needs more of it")]
#[path = "../it/engine_onnx.rs"]
mod onnx;
#[allow(dead_code, reason = "shared with `it`, which needs more of it")]
#[path = "../it/support/mod.rs"]
mod support;

mod audit;
mod fleet;
mod inputs;
mod load;
mod random;
mod recovery;
mod report;
mod rig;
mod short;
mod soak;
mod spaced;
mod stored;
mod storms;
