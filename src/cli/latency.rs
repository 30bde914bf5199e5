//! Percentiles of times, from counts in buckets that grow with the time: fixed memory, and the
//! answer is off by at most 1.6 %.

use std::time::Duration;

/// Buckets per doubling. 32 of them make one 1/32 wide, so that its middle is off by half of that.
const PER_DOUBLING: u64 = 32;
/// Nanoseconds below this have a bucket each.
const LINEAR: u64 = 2 * PER_DOUBLING;
/// Enough for every `u64` of nanoseconds.
const BUCKETS: usize = 59 * 32 + 64;

/// How many times were how long.
#[derive(Debug, Clone)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    longest: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            count: 0,
            longest: Duration::ZERO,
        }
    }
}

impl Latencies {
    /// Counts one time.
    pub fn record(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
        self.longest = self.longest.max(time);
    }

    /// How many times were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The time that this part (0 to 1) of all times does not exceed; `None` when there are none.
    pub fn percentile(&self, part: f64) -> Option<Duration> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a count is a count"
        )]
        let rank = ((part * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut below = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            below += count;
            if below >= rank {
                return Some(middle(index as u64).min(self.longest));
            }
        }
        None
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < LINEAR {
        return usize::try_from(nanos).unwrap_or_default();
    }
    let shift = u64::from(nanos.ilog2()) - u64::from(PER_DOUBLING.ilog2());
    // `nanos >> shift` is at least PER_DOUBLING and less than twice that.
    usize::try_from(shift * PER_DOUBLING + (nanos >> shift)).unwrap_or(BUCKETS - 1)
}

fn middle(bucket: u64) -> Duration {
    if bucket < LINEAR {
        return Duration::from_nanos(bucket);
    }
    let shift = bucket / PER_DOUBLING - 1;
    let lowest = (bucket - shift * PER_DOUBLING) << shift;
    Duration::from_nanos(lowest + ((1 << shift) >> 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(Latencies::default().percentile(0.5), None);
    }

    #[test]
    fn one_to_a_hundred() {
        let mut times = Latencies::default();
        for ms in 1..=100 {
            times.record(Duration::from_millis(ms));
        }
        let ms = |part| times.percentile(part).expect("some").as_secs_f64() * 1e3;
        assert!((ms(0.5) - 50.0).abs() < 1.0, "{}", ms(0.5));
        assert!((ms(0.99) - 99.0).abs() < 2.0, "{}", ms(0.99));
        assert!((ms(1.0) - 100.0).abs() < 2.0, "{}", ms(1.0));
        assert_eq!(times.count(), 100);
    }

    #[test]
    fn the_longest_time_there_is_has_a_bucket() {
        let mut times = Latencies::default();
        times.record(Duration::MAX);
        assert!(times.percentile(0.5).expect("one") > Duration::from_secs(1 << 33));
    }

    proptest! {
        #[test]
        fn buckets_grow_and_hold_what_is_in_them(nanos in 0..u64::MAX) {
            let middle = u64::try_from(middle(bucket(nanos) as u64).as_nanos()).expect("fits");
            let off = middle.abs_diff(nanos) as f64;
            prop_assert!(off <= nanos as f64 / 64.0 + 0.5, "{nanos} became {middle}");
            prop_assert!(bucket(nanos) <= bucket(nanos + 1));
        }

        #[test]
        fn percentiles_agree_with_sorting(
            mut nanos in prop::collection::vec(0..10_000_000_000_u64, 1..200),
            part in 0.01..1.0_f64,
        ) {
            let mut times = Latencies::default();
            for n in &nanos {
                times.record(Duration::from_nanos(*n));
            }
            nanos.sort_unstable();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let exact = nanos[((part * nanos.len() as f64).ceil() as usize).max(1) - 1] as f64;
            let said = times.percentile(part).expect("some").as_nanos() as f64;
            prop_assert!((said - exact).abs() <= exact / 50.0 + 1.0, "{said} for {exact}");
        }
    }
}
