//! Tests against the real thing: a nats-server of its own for every test.

mod file_lines;
mod jetstream_delivery;
mod nats_core;
mod nats_errors;
mod support;
