//! SIGTERM and Ctrl-C: the first drains, the second exits at once.

use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::threads;

/// Some senders say it twice (`timeout` signals the process and then its group): within this time
/// a second signal is an echo of the first.
const ECHO: Duration = Duration::from_millis(200);

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
        let mut before: Option<Instant> = None;
        loop {
            let (name, code) = tokio::select! {
                _ = terminate.recv() => ("SIGTERM", 128 + 15),
                _ = interrupt.recv() => ("SIGINT", 128 + 2),
            };
            if before.is_some_and(|before| before.elapsed() < ECHO) {
                continue;
            }
            if before.is_some() {
                tracing::warn!(signal = name, "second signal: leaving at once");
                threads::leave(code);
            }
            before = Some(Instant::now());
            tracing::info!(
                signal = name,
                "stopping: no new messages, finishing what is in flight (a second signal exits at once)"
            );
            stop.cancel();
        }
    })
}
