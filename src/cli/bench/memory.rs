//! Ends of a pipeline that are in memory: messages come by a timetable, results are timed and
//! dropped.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{drive::Drive, sample::Sample};
use crate::{
    message::{Home, Outcome},
    sink::{BoxFuture, Outgoing, Rejects, Sink, SinkError},
    source::{Incoming, Intake, Source, SourceError},
    telemetry::metrics::SinkMetrics,
};

/// Sends the messages of a sample, over and over.
pub(super) struct MemorySource {
    drive: Arc<Drive>,
    sample: Arc<Sample>,
}

impl MemorySource {
    pub(super) fn new(drive: Arc<Drive>, sample: Arc<Sample>) -> Self {
        Self { drive, sample }
    }

    fn settle(&self, home: &Home) {
        while let Some(settled) = home.next_settled() {
            if matches!(settled.outcome, Outcome::Retry { .. }) {
                self.drive.lost();
            }
        }
    }
}

impl Source for MemorySource {
    fn run(
        self: Box<Self>,
        mut intake: Intake,
        stop: CancellationToken,
    ) -> BoxFuture<Result<(), SourceError>> {
        Box::pin(async move {
            let home = Arc::clone(intake.home());
            intake.set_attached(true);
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    () = home.wait_settled() => self.settle(&home),
                    () = self.drive.wait() => {}
                }
                let (first, count) = self.drive.take(intake.room());
                for number in first..first + count {
                    let (subject, payload) = self.sample.message(number);
                    intake.push(Incoming {
                        ticket: number,
                        subject,
                        reply: None,
                        payload,
                        headers: None,
                        position: None,
                    });
                    if intake.is_full() {
                        intake.flush()?;
                    }
                }
                intake.flush()?;
            }
            intake.close();
            while home.in_flight().messages > 0 {
                home.wait_settled().await;
                self.settle(&home);
            }
            Ok(())
        })
    }
}

/// Where results or dead letters end.
pub(super) struct MemorySink {
    drive: Arc<Drive>,
}

impl MemorySink {
    pub(super) fn new(drive: Arc<Drive>) -> Self {
        Self { drive }
    }
}

/// The header of a dead letter that says why.
pub(super) const REASON: &str = "Forebay-Reason";

impl Sink for MemorySink {
    fn run(
        self: Box<Self>,
        mut outgoing: mpsc::Receiver<Vec<Outgoing>>,
        _rejects: Rejects,
        metrics: SinkMetrics,
    ) -> BoxFuture<Result<(), SinkError>> {
        Box::pin(async move {
            while let Some(block) = outgoing.recv().await {
                let now = Instant::now();
                let done = |next: &&Outgoing| next.outcome == Outcome::Done;
                let results = block.iter().filter(done);
                let times = results.map(|next| (next.message.ack.ticket(), next.message.received));
                self.drive.done(times, now);
                for next in block {
                    if next.outcome != Outcome::Done {
                        self.drive.rejected(reason(&next));
                    }
                    metrics.published(next.payload.len(), next.message.received, now);
                    next.message.ack.resolve(next.outcome);
                }
                metrics.confirmed(now.elapsed());
            }
            Ok(())
        })
    }
}

fn reason(letter: &Outgoing) -> &str {
    let mut headers = letter.headers.iter();
    headers
        .find(|(name, _)| name == REASON)
        .map_or("no reason is given", |(_, reason)| reason)
}

/// A subject that fits this pattern: where it has a wildcard, one of a hundred numbers.
pub(super) fn subject(pattern: &str, number: u64) -> Bytes {
    let token = (number % 100).to_string();
    let tokens = pattern.split('.').map(|part| match part {
        "*" | ">" => token.as_str(),
        part => part,
    });
    Bytes::from(tokens.collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_fit_their_pattern() {
        assert_eq!(subject("rows.in", 7), "rows.in");
        assert_eq!(subject("fruit.*.kg.>", 342), "fruit.42.kg.42");
    }
}
