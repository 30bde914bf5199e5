//! What a pipeline's engines and workers do, and how much more they could.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    fit::{Fit, Line},
    pace::Service,
    rate::Rate,
};

/// What was measured of a pipeline; shared by its workers and whoever asks.
#[derive(Debug)]
pub struct Meter {
    engines: f64,
    cores: f64,
    max_rows: f64,
    /// Rows a second that are planned for.
    planned: Option<f64>,
    measured: Mutex<Measured>,
}

#[derive(Debug)]
struct Measured {
    decode: Fit,
    engine: Fit,
    finish: Fit,
    /// Rows that were decoded.
    rows: Rate,
    /// Seconds for which engines were busy.
    busy: Rate,
    /// More comes than is planned for.
    over: bool,
}

/// What is known at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Rows a second that come, of the last ten seconds or so.
    pub rows_per_second: f64,
    /// The part of the engines' time in which they run something, of the last ten seconds or so.
    pub utilisation: f64,
    /// What a batch keeps an engine busy; `None` before it was measured.
    pub engine: Option<Line>,
    /// Rows a second that could come: what engines do in full batches, or what the cores do if workers
    /// have them all, whichever is less. `None` before it was measured.
    pub capacity: Option<f64>,
    /// Rows a second that are planned for.
    pub planned: Option<f64>,
    /// Whether more comes than is planned for.
    pub over: bool,
}

impl Load {
    /// Rows a second that could come besides.
    pub fn headroom(&self) -> Option<f64> {
        Some((self.capacity? - self.rows_per_second).max(0.0))
    }
}

/// What arrivals have come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Plan {
    /// More comes now than is planned for.
    Left {
        /// Rows a second.
        rows: f64,
        /// Rows a second.
        planned: f64,
    },
    /// As planned again.
    Kept {
        /// Rows a second.
        rows: f64,
        /// Rows a second.
        planned: f64,
    },
}

/// Seconds over which rates are taken.
const WINDOW: f64 = 10.0;
/// Rates are known after so many seconds; before, a few messages might look like a flood.
const KNOWN_AFTER: f64 = 3.0;
/// An episode is over when less than this of what is planned comes.
const CALM: f64 = 0.9;

impl Meter {
    /// For a pipeline with so many engines on so many cores.
    pub fn new(engines: usize, cores: usize, max_rows: usize, planned: Option<f64>) -> Self {
        Self {
            engines: engines as f64,
            cores: cores as f64,
            max_rows: max_rows as f64,
            planned,
            measured: Mutex::new(Measured {
                decode: Fit::default(),
                engine: Fit::default(),
                finish: Fit::default(),
                rows: Rate::over(WINDOW),
                busy: Rate::over(WINDOW),
                over: false,
            }),
        }
    }

    /// Rows were decoded. Says so where that is the first time, or the first time again, that more comes
    /// than is planned for, or no more.
    pub fn decoded(&self, rows: usize, took: Duration, now: Instant) -> Option<Plan> {
        let mut measured = self.lock();
        measured.decode.observe(rows, took.as_secs_f64());
        measured.rows.count(rows as f64, now);
        self.plan(&mut measured, now)
    }

    /// A batch took so long in the engine, and so long from then on until its results went to the sink. Gives
    /// what is known of batches by now.
    pub fn ran(
        &self,
        rows: usize,
        engine: Duration,
        finish: Duration,
        now: Instant,
    ) -> Option<Service> {
        let mut measured = self.lock();
        measured.engine.observe(rows, engine.as_secs_f64());
        measured.finish.observe(rows, finish.as_secs_f64());
        measured.busy.count(engine.as_secs_f64(), now);
        let (engine, finish) = (measured.engine.line()?, measured.finish.line()?);
        let whole = Line {
            fixed: engine.fixed + finish.fixed,
            per_row: engine.per_row + finish.per_row,
            spread: engine.spread,
        };
        Some(Service { engine, whole })
    }

    /// What is known at `now`. Where a plan was kept or left meanwhile, that is said too.
    pub fn load(&self, now: Instant) -> (Load, Option<Plan>) {
        let mut measured = self.lock();
        let plan = self.plan(&mut measured, now);
        let load = Load {
            rows_per_second: measured.rows.per_second(now),
            utilisation: (measured.busy.per_second(now) / self.engines).min(1.0),
            engine: measured.engine.line(),
            capacity: self.capacity(&measured),
            planned: self.planned,
            over: measured.over,
        };
        (load, plan)
    }

    fn capacity(&self, measured: &Measured) -> Option<f64> {
        let (engine, finish) = (measured.engine.line()?, measured.finish.line()?);
        let decode = measured.decode.line()?;
        let row = |line: Line| line.rows_per_second(self.max_rows).recip();
        let engines = self.engines / row(engine);
        let cores = self.cores / (row(engine) + row(finish) + row(decode));
        let least = engines.min(cores);
        least.is_finite().then_some(least)
    }

    fn plan(&self, measured: &mut Measured, now: Instant) -> Option<Plan> {
        let planned = self.planned?;
        if measured.rows.seconds() < KNOWN_AFTER {
            return None;
        }
        let rows = measured.rows.per_second(now);
        if !measured.over && rows > planned {
            measured.over = true;
            Some(Plan::Left { rows, planned })
        } else if measured.over && rows < CALM * planned {
            measured.over = false;
            Some(Plan::Kept { rows, planned })
        } else {
            None
        }
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        // A panic between two whole steps leaves the sums sound.
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A pipeline on two cores with one engine: 1 ms and 10 µs a row, of which a tenth is decoding.
    fn meter(planned: Option<f64>) -> Meter {
        Meter::new(1, 2, 100, planned)
    }

    /// So many batches of 50 rows a second, for so many seconds.
    fn work(meter: &Meter, from: Instant, seconds: u32, batches: u32) -> Vec<Plan> {
        let mut plans = Vec::new();
        for number in 0..seconds * batches {
            let now = from + Duration::from_secs(1) * number / batches;
            plans.extend(meter.decoded(50, MS / 10, now));
            let rows = 25 + 50 * (number as usize % 2);
            let took = MS + MS * u32::try_from(rows).expect("few") / 100;
            meter.ran(rows, took, MS / 10, now);
        }
        plans
    }

    #[test]
    fn what_is_used_and_what_is_left_is_told() {
        let (meter, start) = (meter(None), Instant::now());
        assert_eq!(meter.load(start).0.headroom(), None);
        work(&meter, start, 60, 100);
        let (load, _) = meter.load(start + Duration::from_mins(1));
        // 100 batches of 1.5 ms; 2 ms for 100 rows in a full one.
        assert!((load.utilisation - 0.15).abs() < 0.01, "{load:?}");
        assert!(
            (load.rows_per_second / 5000.0 - 1.0).abs() < 0.02,
            "{load:?}"
        );
        let capacity = load.capacity.expect("measured");
        assert!((capacity / 50_000.0 - 1.0).abs() < 0.05, "{load:?}");
        assert!(
            (load.headroom().expect("measured") / 45_000.0 - 1.0).abs() < 0.05,
            "{load:?}"
        );
        let later = meter.load(start + Duration::from_secs(160)).0;
        assert!(
            later.utilisation < 0.001 && later.rows_per_second < 10.0,
            "{later:?}"
        );
    }

    #[test]
    fn cores_are_a_limit_too() {
        // Eight engines have two cores only.
        let (meter, start) = (Meter::new(8, 2, 100, None), Instant::now());
        work(&meter, start, 60, 100);
        let capacity = meter.load(start).0.capacity.expect("measured");
        // 20 µs in the engine, 2 to decode, 1 or 2 behind it: two cores do twice 1 / 24 µs.
        assert!((70_000.0..95_000.0).contains(&capacity), "{capacity}");
    }

    #[test]
    fn a_plan_is_left_once_for_each_time() {
        let (meter, start) = (meter(Some(6000.0)), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(work(&meter, at(0), 60, 100), []);
        let left = work(&meter, at(60), 60, 200);
        assert!(
            matches!(left[..], [Plan::Left { planned, .. }] if planned.total_cmp(&6000.0).is_eq()),
            "{left:?}"
        );
        assert!(meter.load(at(120)).0.over);
        let kept = work(&meter, at(120), 60, 100);
        assert!(matches!(kept[..], [Plan::Kept { .. }]), "{kept:?}");
        let again = work(&meter, at(180), 30, 200);
        assert_eq!(again.len(), 1);
        // Nothing comes any more, and someone asks.
        assert!(matches!(meter.load(at(300)).1, Some(Plan::Kept { .. })));
    }

    #[test]
    fn a_burst_at_the_start_is_no_flood() {
        let (meter, start) = (meter(Some(100.0)), Instant::now());
        assert_eq!(work(&meter, start, 1, 100), []);
    }
}
