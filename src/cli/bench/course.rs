//! The course of a benchmark: warm up, one message alone, more and more in flight, the highest load
//! that is sustained, and then parts of it.

use std::{sync::Arc, time::Duration};

use crate::telemetry::metrics::Handle;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    drive::{Drive, Load, Seen, Standing},
    report::{Step, grouped},
    search::{Backlog, Search},
    stages::Sums,
};
use crate::cli::{Exit, Failure};

/// Parts of the whole time.
mod share {
    pub(super) const WARM: f64 = 0.03;
    pub(super) const ALONE: f64 = 0.04;
    /// Of each number in flight.
    pub(super) const CLIMB: f64 = 0.02;
    pub(super) const FLOOD: f64 = 0.09;
    /// Of each load that is tried.
    pub(super) const TRY: f64 = 0.05;
    /// Of each part of the maximum.
    pub(super) const STEP: f64 = 0.045;
}
/// Numbers in flight, each so many times the one before.
const CLIMB: u64 = 4;
/// It climbs on while this much more goes through.
const GAIN: f64 = 1.05;
/// Loads that are tried to find the maximum.
const TRIES: u32 = 6;
/// What is measured in the end, in tenths of the maximum.
const TENTHS: std::ops::RangeInclusive<u32> = 1..=9;
/// Messages that should be seen at each.
const SEEN_LEAST: f64 = 20.0;
/// How often it is looked at whether a stretch is over.
const LOOK: Duration = Duration::from_millis(1);
/// With nothing settled for so long, something is wrong.
const STUCK_AFTER: Duration = Duration::from_mins(1);

/// What was found out.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) alone: Seen,
    pub(super) alone_time: Duration,
    /// Messages a second.
    pub(super) flood: f64,
    pub(super) flood_time: Duration,
    pub(super) sums: Sums,
    pub(super) maximum: f64,
    pub(super) steps: Vec<Step>,
    pub(super) rows_a_message: f64,
    pub(super) rejected_percent: f64,
    pub(super) first_reject: Option<String>,
}

/// A stretch that is over.
struct Ran {
    seen: Seen,
    /// How it stood half-way, and at the end of the time.
    half: Standing,
    end: Standing,
    /// Until everything was settled.
    all: Duration,
}

impl Ran {
    /// Messages that came out in a second, the rejected among them.
    fn per_second(&self) -> f64 {
        let done = self.end.done + self.end.rejected;
        done as f64 / self.end.after.as_secs_f64().max(1e-9)
    }
}

/// Runs stretches of load.
pub(super) struct Course {
    drive: Arc<Drive>,
    metrics: Handle,
    /// The pipeline, which should not end before we do.
    running: JoinHandle<Result<(), Failure>>,
    stop: CancellationToken,
    time: Duration,
    most_in_flight: u64,
    bar: ProgressBar,
}

impl Course {
    /// A course that takes about this long.
    pub(super) fn new(
        drive: Arc<Drive>,
        metrics: Handle,
        running: JoinHandle<Result<(), Failure>>,
        stop: CancellationToken,
        (time, most_in_flight): (Duration, usize),
    ) -> Self {
        let whole = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        // On anything but a terminal the bar hides itself.
        let bar = ProgressBar::with_draw_target(Some(whole), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}") {
            bar.set_style(style);
        }
        Self {
            drive,
            metrics,
            running,
            stop,
            time,
            most_in_flight: most_in_flight.max(1) as u64,
            bar,
        }
    }

    /// Runs it all, and takes the bar away.
    ///
    /// # Errors
    /// The pipeline failed, every message is rejected, no load is sustained, or Ctrl-C.
    pub(super) async fn run(&mut self) -> Result<Found, Failure> {
        let found = self.all().await;
        self.bar.finish_and_clear();
        found
    }

    async fn all(&mut self) -> Result<Found, Failure> {
        self.bar.set_message("warming up");
        let warm = self.flood(CLIMB, share::WARM).await?;
        not_all_rejected(&warm.seen)?;
        self.bar.set_message("one message at a time");
        let alone = self.flood(1, share::ALONE).await?;
        let in_flight = self.climb(&alone).await?;
        let before = self.sums();
        let flood = self.flood(in_flight, share::FLOOD).await?;
        let sums = self.sums() - before;
        let settled = (flood.seen.done + flood.seen.rejected).max(1) as f64;
        let rows_a_message = sums.rows / (flood.seen.done.max(1) as f64);
        let batch = sums.rows / sums.batches.max(1.0) / rows_a_message.max(1e-9);
        let maximum = self.maximum(flood.per_second(), in_flight, batch).await?;
        let mut steps = Vec::new();
        for tenth in TENTHS {
            let load = f64::from(tenth) / 10.0;
            let rate = load * maximum;
            self.bar
                .set_message(format!("at {}0 %: {} messages/s", tenth, grouped(rate)));
            let ran = self
                .stretch(Load {
                    rate: Some(rate),
                    in_flight: self.most_in_flight,
                    time: self.step_time(rate),
                    all: true,
                })
                .await?;
            steps.push(Step::new((load, rate), &ran.seen, ran.all, rows_a_message));
        }
        Ok(Found {
            alone_time: alone.all,
            alone: alone.seen,
            flood: flood.seen.done as f64 / settled * flood.per_second(),
            flood_time: flood.all,
            sums,
            maximum,
            steps,
            rows_a_message,
            rejected_percent: flood.seen.rejected as f64 / settled * 100.0,
            first_reject: flood.seen.first_reject.or(warm.seen.first_reject),
        })
    }

    /// For how long a part of the maximum is measured: long enough to see some messages, but no
    /// longer than a quarter of the whole.
    fn step_time(&self, rate: f64) -> Duration {
        let enough = Duration::try_from_secs_f64(SEEN_LEAST / rate).unwrap_or(Duration::MAX);
        let usual = self.time.mul_f64(share::STEP);
        usual.max(enough.min(self.time / 4))
    }

    /// Finds the number in flight with which most goes through. One that takes longer to settle
    /// than a stretch is too many.
    async fn climb(&mut self, alone: &Ran) -> Result<u64, Failure> {
        let (mut best, mut most) = (1, alone.per_second());
        let mut next = CLIMB;
        while next <= self.most_in_flight {
            self.bar
                .set_message(format!("{} messages in flight", grouped(next as f64)));
            let ran = self.flood(next, share::CLIMB).await?;
            let rate = ran.per_second();
            if rate < most * GAIN && next > 16 * best {
                break;
            }
            if rate > most {
                (best, most) = (next, rate);
            }
            let settles_in = next as f64 / rate.max(1e-9);
            if settles_in > self.time.as_secs_f64() * share::CLIMB {
                break;
            }
            next *= CLIMB;
        }
        Ok(best)
    }

    /// Finds the most that is sustained, in messages a second.
    async fn maximum(&mut self, flood: f64, in_flight: u64, batch: f64) -> Result<f64, Failure> {
        let mut search = Search::new(flood, TRIES);
        while let Some(rate) = search.next() {
            self.bar
                .set_message(format!("is it sustained? {} messages/s", grouped(rate)));
            let ran = self
                .stretch(Load {
                    rate: Some(rate),
                    in_flight: (in_flight * CLIMB).min(self.most_in_flight),
                    time: self.time.mul_f64(share::TRY),
                    all: false,
                })
                .await?;
            let waiting = |at: Standing| (at.due.saturating_sub(at.done + at.rejected)) as f64;
            let backlog = Backlog {
                early: waiting(ran.half),
                late: waiting(ran.end),
                offered: (ran.end.due - ran.half.due) as f64,
                batch,
            };
            search.saw(rate, backlog.is_steady());
        }
        search.found().ok_or_else(|| {
            Failure::failed(format!(
                "no load was sustained, from {} messages/s down: is the machine busy with something else? A longer --time is steadier",
                grouped(flood)
            ))
        })
    }

    async fn flood(&mut self, in_flight: u64, share: f64) -> Result<Ran, Failure> {
        self.stretch(Load {
            rate: None,
            in_flight: in_flight.min(self.most_in_flight),
            time: self.time.mul_f64(share),
            all: false,
        })
        .await
    }

    async fn stretch(&mut self, load: Load) -> Result<Ran, Failure> {
        self.drive.begin(load);
        self.pass(load.time / 2).await?;
        let half = self.drive.standing();
        self.pass(load.time.saturating_sub(half.after)).await?;
        let end = self.drive.standing();
        self.drive.stop_sending();
        let (mut known, mut idle) = (end, Duration::ZERO);
        while !self.drive.is_settled() {
            self.pass(LOOK).await?;
            let now = self.drive.standing();
            idle = if now.done == known.done && now.rejected == known.rejected {
                idle + LOOK
            } else {
                Duration::ZERO
            };
            known = now;
            if idle > STUCK_AFTER {
                return Err(Failure::failed(format!(
                    "{} messages are in the pipeline, and none was settled for a minute",
                    now.sent - now.done - now.rejected
                )));
            }
        }
        let all = self.drive.standing().after;
        let seen = self.drive.take_seen();
        self.bar
            .inc(u64::try_from(load.time.as_millis()).unwrap_or_default());
        if seen.lost > 0 {
            return Err(Failure::failed(format!(
                "the pipeline gave {} messages back; the log says why: --log warn",
                seen.lost
            )));
        }
        Ok(Ran {
            seen,
            half,
            end,
            all,
        })
    }

    /// Waits until the pipeline has ended, which was told to: its engines must be gone before the process goes, or they would
    /// be taken down while the libraries that they need end.
    pub(super) async fn finish(self) {
        // What it ended with was said, or does not matter any more.
        if !self.running.is_finished() {
            drop(self.running.await);
        }
    }

    /// Waits, unless the pipeline ends or somebody stops us.
    async fn pass(&mut self, time: Duration) -> Result<(), Failure> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Failure::failed("stopped before the end")),
            ended = &mut self.running => Err(match ended {
                Ok(Ok(())) => Failure::new(Exit::Bug, "the pipeline ended by itself; this is a bug in forebay"),
                Ok(Err(failure)) => failure,
                Err(error) => Failure::new(Exit::Bug, format!("{error}; this is a bug in forebay")),
            }),
            () = sleep(time) => Ok(()),
        }
    }

    fn sums(&self) -> Sums {
        Sums::now(&self.metrics.render())
    }
}

fn not_all_rejected(seen: &Seen) -> Result<(), Failure> {
    match &seen.first_reject {
        Some(first) if seen.done == 0 => Err(Failure::failed(format!(
            "every message is rejected; the first: {first}"
        ))),
        _ => Ok(()),
    }
}
