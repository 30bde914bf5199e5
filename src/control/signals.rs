//! SIGTERM and Ctrl-C: the first drains, the second exits at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `stop` at the first signal. At the second one ends the process with the shell's code
/// for that signal; what is in flight is delivered again by a JetStream source.
///
/// # Errors
/// The system refuses to install a signal handler.
pub fn listen(
    stop: CancellationToken,
) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let mut before = false;
        loop {
            let (name, code) = tokio::select! {
                _ = terminate.recv() => ("SIGTERM", 128 + 15),
                _ = interrupt.recv() => ("SIGINT", 128 + 2),
            };
            if before {
                tracing::warn!(signal = name, "second signal: leaving at once");
                std::process::exit(code);
            }
            before = true;
            tracing::info!(
                signal = name,
                "stopping: no new messages, finishing what is in flight (a second signal exits at once)"
            );
            stop.cancel();
        }
    })
}
