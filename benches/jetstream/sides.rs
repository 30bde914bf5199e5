//! Who is measured, each in a process of its own: two bare loops, and forebay.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use forebay::{
    config,
    engine::cpu::{catalog::CpuCatalog, library},
    pipeline,
};
use tokio_util::sync::CancellationToken;

use crate::{
    allocations, bare,
    support::{Process, root},
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Api,
    ByHand,
    Forebay,
}

impl Side {
    pub(crate) const ALL: [Self; 3] = [Self::Api, Self::ByHand, Self::Forebay];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::ByHand => "by_hand",
            Self::Forebay => "forebay",
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Api => "bare loop, async-nats' JetStream API",
            Self::ByHand => "bare loop, by hand",
            Self::Forebay => "forebay",
        }
    }
}

/// Where to pull, and where to publish.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) url: String,
    pub(crate) stream: String,
    pub(crate) consumer: String,
    pub(crate) subject: String,
}

impl Job {
    fn args(&self) -> [&str; 4] {
        [&self.url, &self.stream, &self.consumer, &self.subject]
    }

    fn from_args(args: &[String]) -> Self {
        Self {
            url: args[0].clone(),
            stream: args[1].clone(),
            consumer: args[2].clone(),
            subject: args[3].clone(),
        }
    }

    fn pipeline(&self) -> String {
        let Self {
            url,
            stream,
            consumer,
            subject,
        } = self;
        let model = root().join("tests/data/models/sk_int64_clf/model.onnx");
        format!(
            "name: bench\nsource:\n  jetstream: {{ url: \"{url}\", stream: {stream}, consumer: {consumer} }}\nbatch: {{ max_rows: 1024 }}\nmodels:\n  tiny: {{ path: \"{}\", workers: 1 }}\nencode:\n  json: {{ pass: [id, site] }}\nsink:\n  jetstream: {{ url: \"{url}\", subject: {subject} }}\n",
            model.display()
        )
    }
}

/// Somebody at work.
pub(crate) struct Running(Process);

impl Running {
    /// The real program or the loop, as it is.
    pub(crate) fn start(side: Side, job: &Job, dir: &Path) -> Self {
        Self::spawn(side, job, dir, false)
    }

    /// The same, in a process that counts its allocations.
    pub(crate) fn counted(side: Side, job: &Job, dir: &Path) -> Self {
        Self::spawn(side, job, dir, true)
    }

    fn spawn(side: Side, job: &Job, dir: &Path, counted: bool) -> Self {
        let file = dir.join("bench.yaml");
        fs::write(&file, job.pipeline()).unwrap();
        let mut command = if side == Side::Forebay && !counted {
            let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
            command.arg("run").arg(&file).env("FOREBAY_LOG", "warn");
            command
        } else {
            let mut command = Command::new(std::env::current_exe().unwrap());
            let how = if counted { "counted" } else { "plain" };
            command.args(["side", how, side.name()]).args(job.args());
            command.arg(&file);
            command
        };
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Self(Process(child.unwrap()))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.0.id()
    }

    /// Allocations so far; only where they are counted.
    pub(crate) fn allocations(&mut self) -> u64 {
        let child = &mut self.0.0;
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        line.trim().parse().unwrap()
    }
}

/// In the process that [`Running`] started.
pub(crate) fn main(args: &[String]) {
    if args[0] == "counted" {
        allocations::answer();
    }
    let job = Job::from_args(&args[2..]);
    match Side::ALL.into_iter().find(|side| side.name() == args[1]) {
        Some(Side::Forebay) => in_process(Path::new(&args[6])),
        side => bare::main(side.unwrap(), &job),
    }
}

/// What `forebay run` does, less the signals and `/metrics`.
fn in_process(file: &Path) {
    library::init(None).unwrap();
    let plan = config::load(file, &mut CpuCatalog::new()).unwrap();
    forebay::telemetry::metrics::install().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let built = pipeline::build::build(&plan).await.unwrap();
        let running = pipeline::run(built.parts, CancellationToken::new());
        tokio::spawn(running).await.unwrap().unwrap();
    });
}
