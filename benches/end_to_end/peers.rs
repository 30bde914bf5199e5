//! Who is measured, each in a process of its own: the bare echo, the loop by hand, forebay.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use futures_util::StreamExt;

use crate::support::{Process, Server, root};

/// Numbers in a row.
pub(crate) const FEATURES: usize = 30;

/// The model's file.
pub(crate) fn model() -> PathBuf {
    root().join("tests/data/models/mlp30/model.onnx")
}

/// Something that answers messages on `input` with messages on `output`.
pub(crate) struct Target {
    process: Process,
    pub(crate) input: String,
    pub(crate) output: String,
}

/// What forebay is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// JSON objects, or lists of them.
    Json,
    /// Raw tensors, in and out.
    Tensor,
    /// As [`Job::Json`], by so many pipelines in one process, each on subjects of its own.
    Many(usize),
}

impl Target {
    /// The bare echo.
    pub(crate) fn echo(server: &Server) -> Self {
        Self::own(server, "echo")
    }

    /// The loop that a person would write.
    pub(crate) fn by_hand(server: &Server) -> Self {
        Self::own(server, "by_hand")
    }

    fn own(server: &Server, what: &str) -> Self {
        let (input, output) = (format!("{what}.in"), format!("{what}.out"));
        let child = Command::new(std::env::current_exe().unwrap())
            .args([what, &server.url(), &input, &output])
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(300));
        Self {
            process: Process(child),
            input,
            output,
        }
    }

    /// The release binary.
    pub(crate) fn forebay(server: &Server, job: Job) -> Self {
        let count = match job {
            Job::Many(count) => count,
            Job::Json | Job::Tensor => 1,
        };
        let files: Vec<PathBuf> = (0..count)
            .map(|number| {
                let file = server.dir.join(format!("bench{number}.yaml"));
                fs::write(&file, yaml(&server.url(), job, number)).unwrap();
                file
            })
            .collect();
        let child = Command::new(env!("CARGO_BIN_EXE_forebay"))
            .arg("run")
            .args(&files)
            .env("FOREBAY_LOG", "warn")
            .spawn()
            .unwrap();
        let target = Self {
            process: Process(child),
            input: "bench0.in".into(),
            output: "bench0.out".into(),
        };
        wait_ready();
        target
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.0.id()
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

fn yaml(url: &str, job: Job, number: usize) -> String {
    let names: Vec<String> = (0..FEATURES).map(|n| format!("f{n}")).collect();
    let declared: String = (names.iter())
        .map(|name| format!("  {name}: {{ dtype: f32 }}\n"))
        .collect();
    let (fields, step) = match job {
        Job::Tensor => (
            "decode: { tensor: {} }\nencode: { tensor: {} }\n".to_owned(),
            "  - model: mlp\n".to_owned(),
        ),
        Job::Json | Job::Many(_) => (
            format!("fields:\n{declared}"),
            format!(
                "  - model: mlp\n    inputs: {{ X: [{}] }}\n",
                names.join(", ")
            ),
        ),
    };
    format!(
        "name: bench{number}\nsource:\n  nats: {{ url: \"{url}\", subject: bench{number}.in }}\n{fields}models:\n  mlp: {{ path: \"{}\", workers: 1 }}\nsteps:\n{step}sink:\n  nats: {{ subject: bench{number}.out }}\nhttp: {{ listen: \"127.0.0.1:{HTTP_PORT}\" }}\n",
        model().display(),
    )
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
