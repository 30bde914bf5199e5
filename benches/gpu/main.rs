//! The engine on a GPU: models of well-known shapes, in batches of several sizes, by one worker and by more; and beside
//! them what the machine's copies can do at most.
//!
//! `cargo bench --bench gpu` where there is a GPU; `-- --device cpu` measures the CPU engine on the same work, `-- --json
//! FILE` writes the results, `-- --only mlp,trees` takes some, `-- --precision fp16` says what products are multiplied as,
//! `-- --seconds 0.2` is shorter, `-- --small` takes small models of the same kinds, to see that all runs. `-- --write DIR` writes a
//! pipeline for each model, with rows, `-- --cases DIR` models with inputs and what the CPU gives for them, `-- --report DIR` one
//! report of what `run.sh` left; these measure nothing. `make gpu-bundle` packs this program with all that it needs
//! for a machine without Rust.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a benchmark prints, and stops at the first thing that goes wrong"
)]

mod cases;
mod copies;
mod known;
mod report;
mod run;
#[allow(dead_code, reason = "shared with other benchmarks")]
#[path = "../support/shapes.rs"]
mod shapes;

use std::{fs, path::PathBuf, time::Duration};

use cases::Case;
use forebay::engine::{
    cpu::library,
    cuda::probe::{self, DeviceInfo},
};
use serde_json::{Value, json};

struct Options {
    device: String,
    seconds: f64,
    precision: Option<String>,
    small: bool,
    only: Vec<String>,
    json: Option<PathBuf>,
    write: Option<PathBuf>,
    cases: Option<PathBuf>,
    models: Option<PathBuf>,
    report: Option<PathBuf>,
}

impl Options {
    fn of_process() -> Self {
        let mut options = Self {
            device: "cuda".to_owned(),
            seconds: 1.0,
            precision: None,
            small: false,
            only: Vec::new(),
            json: None,
            write: None,
            cases: None,
            models: None,
            report: None,
        };
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(arg) = args.next() {
            let mut value = || {
                let value = args.next();
                value.unwrap_or_else(|| panic!("{arg} wants a value"))
            };
            match arg.as_str() {
                "--device" => options.device = value(),
                "--seconds" => options.seconds = value().parse().expect("seconds"),
                "--precision" => options.precision = Some(value()),
                "--small" => options.small = true,
                "--only" => options.only = value().split(',').map(str::to_owned).collect(),
                "--json" => options.json = Some(value().into()),
                "--write" => options.write = Some(value().into()),
                "--cases" => options.cases = Some(value().into()),
                "--models" => options.models = Some(value().into()),
                "--report" => options.report = Some(value().into()),
                other => panic!("no such option: {other}"),
            }
        }
        options
    }

    fn cases(&self) -> Vec<Case> {
        let wanted =
            |case: &Case| self.only.is_empty() || self.only.iter().any(|it| it == case.name);
        cases::all(self.small).into_iter().filter(wanted).collect()
    }
}

fn main() {
    let options = Options::of_process();
    if let Some(folder) = &options.report {
        return report::write(folder);
    }
    if let Some(folder) = &options.write {
        for case in options.cases() {
            let folder = folder.join(case.name);
            let precision = options.precision.as_deref();
            case.write(&folder, &options.device, precision, cases::SERVED_ROWS);
        }
        return;
    }
    library::init(None).unwrap_or_else(|error| panic!("{error}"));
    if let Some(folder) = &options.cases {
        return known::write(folder, options.models.as_deref());
    }
    let gpu = gpu(&options.device);
    let Some(machine) = machine(&options.device, gpu.as_ref()) else {
        println!(
            "Nothing was measured: {}. `-- --device cpu` measures the CPU.",
            probe::present().map_or_else(|why| why.to_string(), |()| "there is no GPU".to_owned())
        );
        // A run that measured nothing must not look like one that did.
        std::process::exit(1);
    };
    println!("{}\n", machine["said"].as_str().unwrap());
    let copies = gpu.map(|gpu| copies::measure(gpu.ordinal as usize));
    if let Some(copies) = &copies {
        println!("Copies of pinned memory: {copies}\n");
    }
    println!("| model | rows in a batch | workers | rows/s | batch p50 µs | p99 µs |");
    println!("|---|--:|--:|--:|--:|--:|");
    let mut results = Vec::new();
    for case in options.cases() {
        let time = Duration::from_secs_f64(options.seconds);
        let precision = options.precision.as_deref();
        for measured in run::measure(&case, &options.device, precision, time) {
            println!("{}", measured.line(case.name));
            results.push(measured.json(case.name));
        }
    }
    if let Some(path) = &options.json {
        let all = json!({
            "machine": machine,
            "copies": copies.map(|copies| copies.json()),
            "command": std::env::args().collect::<Vec<_>>().join(" "),
            "results": results,
        });
        fs::write(path, serde_json::to_vec_pretty(&all).unwrap()).unwrap();
    }
}

/// The GPU that is asked for, where one is and it is there.
fn gpu(device: &str) -> Option<DeviceInfo> {
    let number = device.strip_prefix("cuda")?.trim_start_matches(':');
    let number: usize = if number.is_empty() {
        0
    } else {
        number.parse().ok()?
    };
    probe::present().ok()?;
    probe::probe().driver.ok()?.devices.into_iter().nth(number)
}

/// What it is measured on; nothing where that is not there.
fn machine(device: &str, gpu: Option<&DeviceInfo>) -> Option<Value> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = (cpuinfo.lines())
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split(": ").nth(1))
        .unwrap_or("an unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let version = env!("CARGO_PKG_VERSION");
    if device == "cpu" {
        let said = format!("{cores} cores, {cpu}; forebay {version}");
        return Some(json!({ "said": said, "cores": cores, "cpu": cpu }));
    }
    let gpu = gpu?;
    let driver = fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    let driver = driver.lines().next().unwrap_or("unknown").trim().to_owned();
    let said = format!(
        "{}, {} multiprocessors; driver: {driver}; {cores} cores, {cpu}; forebay {version}",
        gpu.name, gpu.multiprocessors
    );
    Some(json!({ "said": said, "gpu": gpu, "driver": driver, "cores": cores, "cpu": cpu }))
}
