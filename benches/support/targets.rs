//! Who is measured, each in a process of its own: the bare echo, the loop by hand, forebay.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::StreamExt;

use crate::{
    rows::FEATURES,
    support::{Process, Server, free_port, root, status_mib},
};

/// The small MLP's file.
pub(crate) fn model() -> PathBuf {
    root().join("tests/data/models/mlp30/model.onnx")
}

/// The fields of a pipeline on the rows of 30 numbers.
pub(crate) fn row_fields() -> String {
    let fields = (0..FEATURES).map(|n| format!("  f{n}: {{ dtype: f32 }}\n"));
    format!("fields:\n{}", fields.collect::<String>())
}

/// Their names, as they are listed for a model's input.
pub(crate) fn row_names() -> String {
    let names: Vec<String> = (0..FEATURES).map(|n| format!("f{n}")).collect();
    names.join(", ")
}

/// Something that answers messages on `input` with messages on `output`.
pub(crate) struct Target {
    process: Process,
    pub(crate) input: String,
    pub(crate) output: String,
}

impl Target {
    /// The bare echo.
    pub(crate) fn echo(server: &Server) -> Self {
        Self::own(server, "echo", &[])
    }

    /// The loop that a person would write.
    pub(crate) fn by_hand(server: &Server) -> Self {
        Self::own(server, "by_hand", &[])
    }

    /// What reads messages and answers each with so many bytes.
    pub(crate) fn reader(server: &Server, answer: usize) -> Self {
        Self::own(server, "reader", &[answer.to_string()])
    }

    fn own(server: &Server, what: &str, more: &[String]) -> Self {
        let (input, output) = (format!("{what}.in"), format!("{what}.out"));
        let child = Command::new(std::env::current_exe().unwrap())
            .args([what, &server.url(), &input, &output])
            .args(more)
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(300));
        Self {
            process: Process(child),
            input,
            output,
        }
    }

    /// The release binary with these pipelines, which say all but where `/metrics` is.
    pub(crate) fn forebay(
        server: &Server,
        pipelines: &[String],
        [input, output]: [&str; 2],
    ) -> Self {
        let port = free_port();
        let file = |(number, text): (usize, &String)| {
            let file = server.dir.join(format!("bench{port}-{number}.yaml"));
            let text = format!("{text}http: {{ listen: \"127.0.0.1:{port}\" }}\n");
            fs::write(&file, text).unwrap();
            file
        };
        let files: Vec<PathBuf> = pipelines.iter().enumerate().map(file).collect();
        let child = Command::new(env!("CARGO_BIN_EXE_forebay"))
            .arg("run")
            .args(&files)
            .env("FOREBAY_LOG", "warn")
            .spawn()
            .unwrap();
        let target = Self {
            process: Process(child),
            input: input.to_owned(),
            output: output.to_owned(),
        };
        wait_ready(port);
        target
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.0.id()
    }

    pub(crate) fn resident_mib(&self) -> f64 {
        status_mib(self.id(), "VmRSS")
    }

    /// The most that was ever resident.
    pub(crate) fn peak_mib(&self) -> f64 {
        status_mib(self.id(), "VmHWM")
    }
}

fn wait_ready(port: u16) {
    use std::io::{Read, Write};
    let start = Instant::now();
    loop {
        let ready = std::net::TcpStream::connect(("127.0.0.1", port))
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

/// The least that a worker on NATS can do: each payload as it came, or so many bytes for it.
pub(crate) fn echo(url: &str, input: &str, output: &str, answer: Option<usize>) {
    let answer = answer.map(|bytes| Bytes::from(vec![b'0'; bytes]));
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
            let payload = answer.clone().unwrap_or(message.payload);
            client.publish(output.to_owned(), payload).await.unwrap();
        }
    });
}
