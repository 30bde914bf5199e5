//! `forebay demo`: a real model scores real rows that stream through a real NATS server, and
//! everything is gone afterwards.

mod pipeline;
mod rows;
mod score;
mod scrape;
mod screen;
pub mod server;
#[cfg(test)]
mod tests;
mod traffic;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use async_nats::jetstream::stream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    Exit, Failure, Globals,
    send::Rate,
    server::{Broker, at, connect},
};
use pipeline::Launch;
use rows::Rows;
use score::Score;
use screen::Screen;
use server::OwnServer;
use traffic::{Plan, Traffic};

/// What `demo` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How long to send rows
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Rows in a time, like 1000/s [default: as fast as results come back]
    #[arg(long, value_name = "RATE")]
    pub rate: Option<Rate>,
    /// Rows that may be without a result at once
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=32_768))]
    pub window: u32,
    /// The pipeline; from JetStream's stream ROWS to JetStream, JSON rows to JSON results, `id`
    /// passed on. Its rows are the sample.jsonl beside it
    #[arg(
        long,
        value_name = "FILE",
        default_value = "pipelines/income/pipeline.yaml"
    )]
    pub pipeline: PathBuf,
    /// Where rows are published
    #[arg(long, value_name = "SUBJECT", default_value = "rows.income.ma")]
    pub subject: String,
    /// The field of a row that has its true label
    #[arg(long, value_name = "FIELD", default_value = "employed")]
    pub truth: String,
}

pub(super) fn examples() -> String {
    super::examples!(
        "forebay demo                       20 seconds, as fast as this machine goes",
        "forebay demo --seconds 60 --rate 1000/s",
        "forebay demo | cat                 a line every five seconds instead of a table",
    )
}

/// The most that a pipeline may take to be ready: loading a model, above all.
const READY_TIMEOUT: Duration = Duration::from_mins(1);
/// The most that a pipeline may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(35);

/// Runs the demo.
///
/// # Errors
/// Something it needs is not there, or the pipeline fails.
pub async fn demo(args: Args, globals: &Globals) -> Result<(), Failure> {
    let stop = super::stop_on_signal()?;
    let mut screen = Screen::new();
    play(&args, globals, &stop, &mut screen, pipeline::serve)
        .await
        .map(drop)
}

/// The demo, with the pipeline that `serve` runs.
async fn play<F>(
    args: &Args,
    globals: &Globals,
    stop: &CancellationToken,
    screen: &mut Screen,
    serve: impl FnOnce(Launch) -> F,
) -> Result<Score, Failure>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let start = Instant::now();
    let file = server::project_file(&args.pipeline).ok_or_else(|| {
        Failure::new(
            Exit::NoInput,
            format!(
                "{} is not here; run the demo in the project's folder, or name a pipeline with --pipeline",
                args.pipeline.display()
            ),
        )
    })?;
    let rows = Rows::load(&file.with_file_name("sample.jsonl"), &args.truth)?;
    let server = OwnServer::start()?;
    let broker = connect(&at(server.url()), "forebay demo").await?;
    create_streams(&broker).await?;
    let http = free_address()?;
    let launch = Launch {
        file: file.clone(),
        nats_url: server.url().to_owned(),
        http,
        stop: CancellationToken::new(),
        globals: globals.clone(),
    };
    let mut running = Running {
        stop: launch.stop.clone(),
        task: tokio::spawn(serve(launch)),
    };
    let plan = Plan {
        subject: args.subject.clone(),
        length: Duration::from_secs(args.seconds),
        rate: args.rate,
        window: args.window as usize,
        http,
    };
    running.ready(http, stop).await?;
    let hello = format!(
        "{} scores the rows of {}\nNATS is at {}, metrics are at http://{http}/metrics, while this runs",
        file.display(),
        file.with_file_name("sample.jsonl").display(),
        server.url(),
    );
    if screen.say(&hello)?.is_gone() {
        return Ok(Score::new());
    }
    let traffic = Traffic::start(&broker, &rows, plan).await?;
    let (score, numbers) = tokio::select! {
        played = traffic.play(stop, screen, start) => played?,
        failure = running.failure() => return Err(failure),
    };
    running.end().await?;
    drop(server);
    let text = format!(
        "{}\nmetrics were at http://{http}/metrics; nats-server and its folder are gone\n\n{}",
        screen::summary(&score, &numbers),
        next_steps(&file),
    );
    screen.end(&text)?;
    Ok(score)
}

/// The pipeline at work.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<(), Failure>>,
}

impl Running {
    /// Waits until the pipeline says that it is ready.
    async fn ready(&mut self, http: SocketAddr, stop: &CancellationToken) -> Result<(), Failure> {
        let ready = async {
            while !scrape::is_ready(http).await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            () = ready => Ok(()),
            failure = self.failure() => Err(failure),
            () = stop.cancelled() => Err(Failure::failed("stopped before the pipeline was ready")),
            () = tokio::time::sleep(READY_TIMEOUT) => Err(Failure::failed(format!(
                "the pipeline is not ready after {} s; http://{http}/readyz says why, and --log info says more",
                READY_TIMEOUT.as_secs()
            ))),
        }
    }

    /// Waits for the end that should not come by itself.
    async fn failure(&mut self) -> Failure {
        match (&mut self.task).await {
            Ok(Ok(())) => Failure::failed("the pipeline ended by itself: this is a bug"),
            Ok(Err(failure)) => failure,
            Err(panic) => Failure::new(
                Exit::Bug,
                format!("the pipeline panicked: {panic}; this is a bug"),
            ),
        }
    }

    /// Stops it, in order.
    async fn end(mut self) -> Result<(), Failure> {
        self.stop.cancel();
        match tokio::time::timeout(STOP_TIMEOUT, &mut self.task).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(panic)) => Err(Failure::new(
                Exit::Bug,
                format!("the pipeline panicked: {panic}; this is a bug"),
            )),
            Err(_) => Err(Failure::failed(format!(
                "the pipeline did not stop within {} s",
                STOP_TIMEOUT.as_secs()
            ))),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The streams that the income pipeline wants. Bounded: a demo must not fill a disk. Rows that are
/// still to be scored are never among those that go, as far fewer are on their way at once.
async fn create_streams(broker: &Broker) -> Result<(), Failure> {
    let jetstream = broker.jetstream();
    for (name, subject) in [
        ("ROWS", "rows.>"),
        ("SCORES", "scores.>"),
        ("DEAD", "dead.>"),
    ] {
        let config = stream::Config {
            name: name.to_owned(),
            subjects: vec![subject.to_owned()],
            max_bytes: 128 << 20,
            ..Default::default()
        };
        jetstream.create_stream(config).await.map_err(|error| {
            Failure::failed(format!("the stream {name} cannot be created: {error}"))
        })?;
    }
    Ok(())
}

/// An address that was free a moment ago.
fn free_address() -> Result<SocketAddr, Failure> {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| Failure::failed(format!("no port is free for the metrics: {error}")))
}

/// Commands that work as they stand, in the folder where we are.
fn next_steps(file: &Path) -> String {
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "forebay".to_owned());
    let examples = file
        .ancestors()
        .nth(2)
        .unwrap_or_else(|| Path::new("pipelines"));
    let [model, penguins] = ["digits/model.onnx", "penguins/pipeline.yaml"]
        .map(|path| examples.join(path).display().to_string());
    let file = file.display();
    [
        "Try next:".to_owned(),
        format!("  {program} check {file} --resolved   # everything the pipeline file means"),
        format!("  {program} new {model} -o -   # a pipeline file for a model; name yours"),
        format!("  {program} run {penguins}   # file to file, no server"),
    ]
    .join("\n")
}
