//! What is measured: the bare echo, forebay, and ONNX Runtime alone.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use forebay::{
    block::{Column, Series, Table},
    contract::{Dtype, Field},
    engine::{ColumnRef, Engine, EngineSpec, InputSpec, ModelSource, OutputRef, StepSpec, cpu},
};
use futures_util::StreamExt;

use crate::support::{Process, Server, root};

const FEATURES: usize = 30;

fn model() -> PathBuf {
    root().join("tests/data/models/mlp30/model.onnx")
}

/// Something that answers messages on `input` with messages on `output`.
pub(crate) struct Target {
    process: Process,
    pub(crate) input: String,
    pub(crate) output: String,
}

impl Target {
    pub(crate) fn echo(server: &Server) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["echo", &server.url(), "echo.in", "echo.out"])
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(300));
        Self {
            process: Process(child),
            input: "echo.in".into(),
            output: "echo.out".into(),
        }
    }

    pub(crate) fn forebay(server: &Server) -> Self {
        let fields: Vec<String> = (0..FEATURES).map(|n| format!("f{n}")).collect();
        let declared = fields.join(": { dtype: f32 }\n  ");
        let url = server.url();
        let yaml = format!(
            "name: bench\nsource:\n  nats: {{ url: \"{url}\", subject: bench.in }}\nfields:\n  {declared}: {{ dtype: f32 }}\nmodels:\n  mlp: {{ path: \"{}\", workers: 1 }}\nsteps:\n  - model: mlp\n    inputs: {{ X: [{}] }}\nsink:\n  nats: {{ subject: bench.out }}\nhttp: {{ listen: \"127.0.0.1:{HTTP_PORT}\" }}\n",
            model().display(),
            fields.join(", ")
        );
        let file = server.dir.join("bench.yaml");
        fs::write(&file, yaml).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_forebay"))
            .arg("run")
            .arg(&file)
            .env("FOREBAY_LOG", "warn")
            .spawn()
            .unwrap();
        let target = Self {
            process: Process(child),
            input: "bench.in".into(),
            output: "bench.out".into(),
        };
        wait_ready();
        target
    }

    pub(crate) fn resident_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024.0
    }
}

const HTTP_PORT: u16 = 19464;

fn wait_ready() {
    use std::io::{Read, Write};
    let start = Instant::now();
    loop {
        let ready = std::net::TcpStream::connect(("127.0.0.1", HTTP_PORT))
            .ok()
            .and_then(|mut stream| {
                stream
                    .write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    .ok()?;
                let mut text = String::new();
                stream.read_to_string(&mut text).ok()?;
                text.contains(" 200 ").then_some(())
            });
        if ready.is_some() {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "forebay does not become ready"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The least that a worker on NATS can do.
pub(crate) fn echo(url: &str, input: &str, output: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = async_nats::ConnectOptions::new()
            .subscription_capacity(1 << 20)
            .connect(url)
            .await
            .unwrap();
        let mut messages = client.subscribe(input.to_owned()).await.unwrap();
        while let Some(message) = messages.next().await {
            client
                .publish(output.to_owned(), message.payload)
                .await
                .unwrap();
        }
    });
}

pub(crate) struct Best {
    pub(crate) rows_per_second: f64,
    pub(crate) batch: usize,
    pub(crate) one_row_us: f64,
}

/// The model alone, through the engine, at every batch size.
pub(crate) fn runtime_alone() -> Best {
    cpu::library::init(None).unwrap();
    let field = Field::new("X", Dtype::F32, vec![FEATURES]);
    let spec = EngineSpec {
        steps: vec![StepSpec {
            source: ModelSource::file(model()),
            when: None,
            device: forebay::engine::Device::Cpu,
            accuracy: forebay::engine::Accuracy::default(),
            inputs: vec![InputSpec {
                columns: vec![ColumnRef::Field(0)],
                shape: vec![FEATURES],
            }],
        }],
        outputs: vec![OutputRef { step: 0, output: 0 }],
        max_rows: 4096,
        state: None,
    };
    let mut engine = cpu::CpuEngine::load(&spec, &[field]).unwrap();
    let mut best = Best {
        rows_per_second: 0.0,
        batch: 0,
        one_row_us: 0.0,
    };
    for batch in [1, 4, 16, 64, 128, 256, 512, 1024, 2048] {
        let values = (0..batch * FEATURES)
            .map(|n| (n % 17) as f32 / 9.0 - 1.0)
            .collect();
        let input = Table {
            rows: batch,
            series: vec![Series {
                values: Column::F32(values),
                shape: vec![FEATURES],
                present: None,
            }],
        };
        let mut output = Table::default();
        let (start, mut runs) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_millis(300) {
            engine.run(&input, &mut output).unwrap();
            runs += 1;
        }
        let seconds = start.elapsed().as_secs_f64() / f64::from(runs);
        if batch == 1 {
            best.one_row_us = seconds * 1e6;
        }
        let rows_per_second = batch as f64 / seconds;
        if rows_per_second > best.rows_per_second {
            best = Best {
                rows_per_second,
                batch,
                ..best
            };
        }
    }
    best
}
