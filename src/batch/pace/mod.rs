//! How long a batch may wait for company, and where to cut it, so that rows are done within a target. Pure.
//!
//! A row that comes just after a batch has left waits for the next one, and then for its run. With a
//! period `p` between batches, `rate * p` rows in each, and a run of `fixed + per_row * rows`, the
//! slowest row takes `p + fixed + per_row * rate * p`: that is to be within the target, which gives the
//! longest period and with it the largest batch.

mod company;
mod trial;

use std::time::{Duration, Instant};

use self::{
    company::{Company, Gap},
    trial::Trial,
};
use super::{fit::Line, rate::Rate};

/// What is known of the engines.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Service {
    /// What a run keeps an engine busy.
    pub engine: Line,
    /// What passes between the start of a run and its results going to the sink.
    pub whole: Line,
}

/// What a free engine should do with the rows that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Run so many of them at most.
    Go {
        /// Where the batch is to be cut.
        rows: usize,
    },
    /// Wait until then, or until more come.
    Wait(Instant),
}

/// Chooses, from what it saw.
#[derive(Debug)]
pub struct Pace {
    /// In seconds.
    target: f64,
    max_rows: usize,
    engines: f64,
    service: Option<Service>,
    rate: Rate,
    gap: Gap,
    /// Rows that came while a free engine waited, and for how long it did.
    company: Company,
    /// A free engine waits since then.
    waits: Option<Instant>,
    trial: Option<Trial>,
}

/// What is planned for, as a part of the target: clocks, threads and neighbours take the rest.
const PLANNED: f64 = 0.9;
/// Deviations by which a run may take longer than expected: of a hundred, one takes longer.
const DEVIATIONS: f64 = 2.33;
/// A batch is large enough when its fixed part is no more than this of what its run takes.
const FIXED_SHARE: f64 = 0.1;
/// Where less than this of what comes at all times comes while an engine waits, senders wait for it too.
const COMES: f64 = 0.5;
/// Batches are large enough for so much more than comes now.
const RESERVE: f64 = 1.1;

impl Pace {
    /// For rows to be done within `target` of being read.
    pub fn new(target: Duration, max_rows: usize, engines: usize) -> Self {
        let target = target.as_secs_f64();
        Self {
            target,
            max_rows,
            engines: engines as f64,
            service: None,
            rate: Rate::over((20.0 * target).clamp(0.2, 10.0)),
            gap: Gap::default(),
            company: Company::default(),
            waits: None,
            trial: (engines > 1).then(Trial::new),
        }
    }

    /// What is known of the engines by now.
    pub fn learn(&mut self, service: Option<Service>) {
        self.service = service;
    }

    /// Rows came.
    pub fn arrived(&mut self, rows: usize, now: Instant) {
        self.rate.count(rows as f64, now);
        if let Some(gap) = self.gap.arrived(now) {
            self.company.forget(gap / (20.0 * self.target).max(1.0));
        }
        if let Some(since) = &mut self.waits {
            self.company.rows += rows as f64;
            self.company.seconds += now.saturating_duration_since(*since).as_secs_f64();
            *since = now;
        }
    }

    /// An engine is free, and waits for company for the rows that are there.
    pub fn waits(&mut self, now: Instant) {
        self.waits.get_or_insert(now);
    }

    /// A batch of so many rows was taken.
    pub fn taken(&mut self, rows: usize, now: Instant) {
        if let Some(trial) = &mut self.trial {
            trial.taken(rows, now);
        }
        if let Some(since) = self.waits.take() {
            self.company.seconds += now.saturating_duration_since(since).as_secs_f64();
        }
    }

    /// What a free engine should do with `rows` rows, of which the oldest was read at `read`.
    pub fn choose(&self, rows: usize, read: Instant, now: Instant) -> Choice {
        let all = Choice::Go {
            rows: self.max_rows,
        };
        let Some(service) = self.service else {
            return all;
        };
        let age = now.saturating_duration_since(read).as_secs_f64();
        let cut = self.cut(service, age);
        let Some(cut) = cut else {
            return all;
        };
        let go = Choice::Go { rows: cut };
        if rows >= cut.min(enough(service.engine))
            || self.trial.as_ref().is_some_and(|trial| !trial.waiting)
        {
            return go;
        }
        let wait = self.wait(service, rows as f64, age, now);
        // Less than one row is expected: nothing to wait for.
        let rate = self.rate.per_second(now);
        let company = self.company.rate(rate);
        if wait <= 0.0 || wait * company < 1.0 || company < COMES * rate {
            return go;
        }
        Choice::Wait(now + Duration::from_secs_f64(wait))
    }

    /// Where a batch ends whose oldest row has this age; `None` where nothing can make it, and only
    /// throughput counts.
    fn cut(&self, service: Service, age: f64) -> Option<usize> {
        let (goal, whole) = (self.goal(), careful(service.whole));
        if age + whole.seconds(1.0) > goal {
            return None;
        }
        // The batch after this one has its oldest row from when this one began.
        let run = self.period(whole)?;
        let periodic = rows_within(whole, run);
        let oldest = rows_within(whole, goal - age);
        let least = self.keeps_up(service.engine)?;
        let rows = periodic.min(oldest).max(least);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped"
        )]
        let rows = rows.clamp(1.0, self.max_rows as f64) as usize;
        Some(rows)
    }

    /// How long a batch may wait from now on, in seconds.
    fn wait(&self, service: Service, rows: f64, age: f64, now: Instant) -> f64 {
        let whole = careful(service.whole);
        let rate = self.rate.per_second(now);
        // More may come than expected.
        let likely = rows + DEVIATIONS * (rows + 1.0).sqrt();
        let rest = self.goal() - age - whole.seconds(likely);
        let oldest = rest / whole.per_row.mul_add(rate, 1.0);
        let period = self.period(whole).unwrap_or(0.0) - age;
        oldest.min(period).min(self.gap.patience(now))
    }

    fn goal(&self) -> f64 {
        PLANNED * self.target
    }

    /// The longest time between two batches that keeps the target; `None` where there is none.
    fn period(&self, whole: Line) -> Option<f64> {
        let rate = self.rate.mean();
        let period = (self.goal() - whole.fixed) / (1.0 + whole.per_row * rate / self.engines);
        (period > whole.seconds(1.0)).then_some(period)
    }

    /// The smallest batch with which the engines do what comes; `None` where none is large enough.
    fn keeps_up(&self, engine: Line) -> Option<f64> {
        let rate = RESERVE * self.rate.mean();
        let spare = self.engines - rate * engine.per_row;
        let least = rate * engine.fixed / spare;
        (spare > 0.0 && least <= self.max_rows as f64).then_some(least)
    }
}

/// A run that takes longer than expected.
fn careful(line: Line) -> Line {
    let longer = 1.0 + DEVIATIONS * line.spread.min(0.5);
    Line {
        fixed: line.fixed * longer,
        per_row: line.per_row * longer,
        ..line
    }
}

fn rows_within(line: Line, seconds: f64) -> f64 {
    (seconds - line.fixed) / line.per_row
}

/// Rows from which on a larger batch makes a row hardly cheaper.
fn enough(engine: Line) -> usize {
    let rows = engine.fixed * (1.0 / FIXED_SHARE - 1.0) / engine.per_row;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it saturates; NaN is 0"
    )]
    let rows = rows.ceil() as usize;
    rows.max(1)
}

#[cfg(test)]
mod tests;
