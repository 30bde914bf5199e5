//! Everything that tests the program from outside its rooms, in one binary.
#![allow(
    clippy::unwrap_used,
    reason = "in a test the panic is the message; clippy knows tests by their attribute only"
)]

mod architecture;
mod batching;
mod bench;
mod broken;
mod broken_server;
mod broken_start;
mod broken_stop;
mod burst;
mod check_connect;
mod cli;
mod cli_demo;
mod cli_files;
mod cli_request;
mod cli_traffic;
mod compile;
mod compile_files;
mod config;
mod config_batch;
mod config_errors;
mod config_files;
mod config_resolved;
mod config_steps;
mod config_text;
mod config_together;
mod consumers;
mod create_streams;
// There is no CUDA elsewhere.
#[cfg(target_os = "linux")]
mod cuda;
#[cfg(target_os = "linux")]
mod cuda_fused;
mod cuda_golden;
mod cuda_kernels;
#[cfg(target_os = "linux")]
mod cuda_memory;
mod cuda_models;
#[cfg(target_os = "linux")]
mod cuda_parity;
#[cfg(target_os = "linux")]
mod cuda_place;
#[cfg(target_os = "linux")]
mod cuda_precision;
mod cuda_serving;
#[cfg(target_os = "linux")]
mod cuda_verify;
mod doctor;
mod engine;
mod engine_bad;
mod engine_front;
mod engine_library;
mod engine_made;
mod engine_new;
mod engine_onnx;
mod engine_speed;
mod examples;
mod examples_nats;
mod examples_steps;
mod failures;
mod fakes;
mod file_lines;
mod formula;
mod given_up;
mod golden;
mod golden_rows;
#[cfg(target_os = "linux")]
mod gpu_bundle;
mod graph_inside;
mod graph_merge;
mod graph_raise;
mod host_faults;
mod incarnation;
mod jetstream_delivery;
mod lame_duck;
mod large_letters;
mod leaving;
mod links;
mod margin;
mod mixing;
mod nats_auth;
mod nats_core;
mod nats_errors;
mod new_kinds;
mod new_names;
mod new_places;
mod new_runs;
mod order;
mod order_restart;
mod overflow;
mod permissions;
mod pipeline;
mod privacy;
mod shares;
mod sink_trouble;
mod state;
mod state_restart;
mod steps;
mod support;
mod suspects;
mod transform_errors;
mod transform_formats;
mod transform_rows;
mod trim;
mod trim_trial;
mod verify;
mod when;
