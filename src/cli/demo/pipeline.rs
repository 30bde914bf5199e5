//! The pipeline that the demo runs, in this process.

use std::{
    env, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tokio_util::sync::CancellationToken;

use crate::{
    cli::{Exit, Failure, Globals, plans, run},
    config::{
        self, Plan,
        plan::{SinkPlan, SourcePlan},
    },
    engine::cpu::catalog::CpuCatalog,
    nats::ServerOptions,
    telemetry, threads,
};

/// What to run, and where.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    /// The pipeline file.
    pub(super) file: PathBuf,
    /// What `${NATS_URL}` in it stands for.
    pub(super) nats_url: String,
    /// Where `/metrics` and `/readyz` have to be, whatever the file says.
    pub(super) http: SocketAddr,
    /// Ends it, once everything in flight is settled.
    pub(super) stop: CancellationToken,
    /// What holds for every command: where ONNX Runtime is.
    pub(super) globals: Globals,
}

/// Runs the pipeline until its `stop`.
///
/// # Errors
/// The file is wrong, or the pipeline cannot start, or it fails.
pub(super) async fn serve(launch: Launch) -> Result<(), Failure> {
    let Launch {
        file,
        nats_url,
        http,
        stop,
        globals,
    } = launch;
    // Models are looked into, which takes its time.
    let mut plan = threads::apart("load", move || load(&file, &nats_url, &globals)).await??;
    plan.http = Some(http);
    let metrics = telemetry::metrics::install()
        .map_err(|error| Failure::failed(format!("the metrics cannot be set up: {error}")))?;
    Box::pin(run::serve(&[plan], metrics, stop))
        .await
        .map_err(Failure::from)
}

fn load(file: &Path, nats_url: &str, globals: &Globals) -> Result<Plan, Failure> {
    plans::load_runtime(globals)?;
    let text = fs::read_to_string(file).map_err(|error| {
        Failure::new(
            Exit::NoInput,
            format!("{} cannot be read: {error}", file.display()),
        )
    })?;
    let variable = |name: &str| match name {
        "NATS_URL" => Some(nats_url.to_owned()),
        _ => env::var(name).ok(),
    };
    let plan = config::load_text(file, &text, &variable, &mut CpuCatalog::new())
        .map_err(|errors| Failure::rendered(Exit::Config, errors.render_for(&io::stderr())))?;
    // A demo must never touch a server that is not its own.
    if servers(&plan).any(|server| server.urls != [nats_url]) {
        return Err(Failure::new(
            Exit::Config,
            format!(
                "{} names a NATS server of its own; for the demo write `url: \"${{NATS_URL}}\"` in its source, sink and dead_letter",
                file.display()
            ),
        ));
    }
    Ok(plan)
}

/// Every server that the pipeline talks to.
fn servers(plan: &Plan) -> impl Iterator<Item = &ServerOptions> {
    let source = match &plan.source {
        SourcePlan::Nats(server, _) | SourcePlan::JetStream(server, _) => Some(server),
        SourcePlan::File(_) => None,
    };
    let sinks = [Some(&plan.sink), plan.dead_letter.as_ref()];
    let sinks = sinks.into_iter().flatten().filter_map(|sink| match sink {
        SinkPlan::Nats(server, _) | SinkPlan::JetStream(server, _) => Some(server),
        SinkPlan::File(_) => None,
    });
    source.into_iter().chain(sinks)
}
