//! The pipeline that the demo runs, in this process.

use std::{net::SocketAddr, path::PathBuf};

use tokio_util::sync::CancellationToken;

use crate::cli::{Failure, Globals};

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
    Err(Failure::failed(format!(
        "{} cannot be run: pipelines are not in this build yet",
        launch.file.display()
    )))
}
