//! How many machines like this one carry a load. Pure.

use std::time::Duration;

use serde::Serialize;

use super::report::{Step, ms};

/// What is wanted, and what it takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Replicas {
    /// Rows a second.
    target_per_second: f64,
    /// That may not be passed by more than one row in a hundred.
    p99_ms: Option<f64>,
    /// How many; none where no load is light enough.
    machines: Option<u64>,
    /// What each of them then has to do, as a part of the most that it carries.
    load: Option<f64>,
    /// The lowest p99 that was measured at this load or a heavier one.
    expected_p99_ms: Option<f64>,
}

impl Replicas {
    /// `maximum` is the most that this machine carries, in rows a second; `steps` is what was seen
    /// at parts of it.
    pub(super) fn new(target: f64, p99: Option<Duration>, maximum: f64, steps: &[Step]) -> Self {
        let fits = |step: &&Step| p99.is_none_or(|limit| step.p99_ms <= ms(limit));
        let best = steps
            .iter()
            .filter(fits)
            .max_by(|one, other| one.load.total_cmp(&other.load));
        let count = best.map(|step| (target / (step.load * maximum)).ceil().max(1.0));
        let load = count.map(|count| target / count / maximum);
        let expected = load.and_then(|load| {
            // Where a heavier load was quicker, what made a lighter one slow was not the load.
            let above = steps.iter().filter(|step| step.load >= load - 1e-9);
            above.map(|step| step.p99_ms).min_by(f64::total_cmp)
        });
        Self {
            target_per_second: target,
            p99_ms: p99.map(ms),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count of machines"
            )]
            machines: count.map(|count| count as u64),
            load,
            expected_p99_ms: expected,
        }
    }

    /// In words.
    pub(super) fn words(&self) -> String {
        let wanted = format!("{} rows/s", super::report::grouped(self.target_per_second));
        let within = self
            .p99_ms
            .map_or_else(String::new, |limit| format!(" with p99 within {limit} ms"));
        let (Some(count), Some(load)) = (self.machines, self.load) else {
            return format!(
                "{wanted}{within}: no number of machines like this one does it, since p99 is longer at every load"
            );
        };
        let machines = if count == 1 {
            "1 machine like this one".to_owned()
        } else {
            format!("{count} machines like this one")
        };
        let p99 = self
            .expected_p99_ms
            .map_or_else(String::new, |p99| format!(", p99 about {p99:.2} ms"));
        format!(
            "{wanted}{within}: {machines}, each at {:.0} % of what it carries{p99}",
            load * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> Vec<Step> {
        let p99 = [1.0, 1.0, 2.0, 2.0, 3.0, 5.0, 8.0, 15.0, 40.0];
        let steps = p99.iter().enumerate();
        steps
            .map(|(place, p99)| Step::for_tests((place + 1) as f64 / 10.0, *p99))
            .collect()
    }

    fn replicas(target: f64, p99: Option<u64>) -> Replicas {
        Replicas::new(target, p99.map(Duration::from_millis), 10_000.0, &steps())
    }

    #[test]
    fn as_many_as_it_takes() {
        // 80 % of 10,000 is the highest load with 20 ms.
        let one = replicas(50_000.0, Some(20));
        assert_eq!(one.machines, Some(7));
        assert!(one.load.is_some_and(|load| (load - 5.0 / 7.0).abs() < 1e-9));
        assert_eq!(one.expected_p99_ms, Some(15.0));
        // A lighter load that happened to be slower changes nothing.
        let mut noisy = steps();
        noisy[6].p99_ms = 30.0;
        noisy[7].p99_ms = 12.0;
        let limit = Some(Duration::from_millis(20));
        let same = Replicas::new(50_000.0, limit, 10_000.0, &noisy);
        assert_eq!((same.machines, same.expected_p99_ms), (Some(7), Some(12.0)));
        // Without a limit, 90 %.
        assert_eq!(replicas(50_000.0, None).machines, Some(6));
        assert_eq!(replicas(9_000.0, None).machines, Some(1));
        assert_eq!(replicas(9_001.0, None).machines, Some(2));
        assert_eq!(replicas(1.0, Some(20)).machines, Some(1));
        insta::assert_snapshot!(
            [one.words(), replicas(9_000.0, None).words()].join("\n"),
            @r"
        50,000 rows/s with p99 within 20 ms: 7 machines like this one, each at 71 % of what it carries, p99 about 15.00 ms
        9,000 rows/s: 1 machine like this one, each at 90 % of what it carries, p99 about 40.00 ms
        "
        );
    }

    #[test]
    fn what_cannot_be_had_is_said() {
        let none = Replicas::new(10.0, Some(Duration::from_micros(10)), 10_000.0, &steps());
        assert_eq!(none.machines, None);
        insta::assert_snapshot!(none.words(), @"10 rows/s with p99 within 0.01 ms: no number of machines like this one does it, since p99 is longer at every load");
    }
}
