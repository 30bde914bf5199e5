//! From the moments at which results were stored: how long until it goes on as before.

use std::time::{Duration, SystemTime};

/// Microseconds of Unix time; the servers and the tests share one clock.
pub(crate) type Moment = i64;

pub(crate) const MILLI: Moment = 1000;
/// Throughput is counted in so long steps.
const BUCKET: Moment = 100 * MILLI;
/// The throughput before a fault is the median of so many buckets, the one after it of three.
const BEFORE: Moment = 10;
const AFTER: Moment = 3;

pub(crate) fn now() -> Moment {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Moment::try_from(since.as_micros()).expect("a few centuries")
}

pub(crate) fn between(from: Moment, to: Moment) -> Duration {
    Duration::from_micros(u64::try_from(to - from).unwrap_or_default())
}

/// How long after `back` came the first result from which on results were stored at nine tenths of
/// the pace from before `fault`: in a bucket, and in the median of that and the next two. `None` where
/// they never were. `stored` is in order.
pub(crate) fn recovery(stored: &[Moment], fault: Moment, back: Moment) -> Option<Duration> {
    let before = median_pace(stored, fault - BEFORE * BUCKET, BEFORE);
    assert!(before > 0, "there was nothing before the fault");
    let last = *stored.last()?;
    let later = &stored[stored.partition_point(|&stored| stored < back)..];
    let mut starts = (later.iter()).take_while(|&&start| start + AFTER * BUCKET <= last);
    let as_before = |start, buckets| 10 * median_pace(stored, start, buckets) >= 9 * before;
    starts
        .find(|&&start| as_before(start, 1) && as_before(start, AFTER))
        .map(|&start| between(back, start))
}

/// The median of what was stored in each of `buckets` from `start` on.
fn median_pace(stored: &[Moment], start: Moment, buckets: Moment) -> usize {
    let until = |moment| stored.partition_point(|&stored| stored < moment);
    let counts = (0..buckets).map(|bucket| {
        let start = start + bucket * BUCKET;
        until(start + BUCKET) - until(start)
    });
    let mut counts: Vec<_> = counts.collect();
    counts.sort_unstable();
    counts[counts.len() / 2]
}

/// The longest time within `from..to` in which nothing was stored.
pub(crate) fn longest_pause(stored: &[Moment], from: Moment, to: Moment) -> Duration {
    let inside = stored.iter().copied().filter(|at| (from..to).contains(at));
    let mut moments: Vec<_> = inside.collect();
    moments.insert(0, from);
    moments.push(to);
    let pauses = moments.windows(2).map(|pair| between(pair[0], pair[1]));
    pauses.max().unwrap_or_default()
}

/// Of several durations: the one in the middle, and the longest.
pub(crate) fn median_and_worst(durations: &[Duration]) -> Option<(Duration, Duration)> {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let (lower, upper) = (
        sorted.get((sorted.len().max(1) - 1) / 2)?,
        sorted.get(sorted.len() / 2)?,
    );
    Some(((*lower + *upper) / 2, *sorted.last()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One each 5 ms for four seconds, without those in the gap.
    fn with_gap(gap: std::ops::Range<Moment>) -> Vec<Moment> {
        let moments = (0..800).map(|step| step * 5 * MILLI);
        moments.filter(|at| !gap.contains(&(at / MILLI))).collect()
    }

    #[test]
    fn recovery_is_counted_from_the_moment_it_is_back() {
        let stored = with_gap(1500..2400);
        let recovery = |back| recovery(&stored, 1500 * MILLI, back * MILLI);
        assert_eq!(recovery(2000), Some(Duration::from_millis(400)));
        assert_eq!(recovery(2400), Some(Duration::ZERO));
        assert_eq!(
            longest_pause(&stored, 0, 4000 * MILLI),
            Duration::from_millis(905)
        );
    }

    #[test]
    fn what_stays_slower_has_not_recovered() {
        let mut stored = with_gap(1500..2400);
        let mut turn = 0;
        stored.retain(|&at| {
            turn += 1;
            at < 1500 * MILLI || turn % 5 > 0
        });
        assert_eq!(recovery(&stored, 1500 * MILLI, 2000 * MILLI), None);
    }

    #[test]
    fn the_middle_and_the_longest() {
        let all = [5, 1, 9].map(Duration::from_secs);
        assert_eq!(median_and_worst(&all), Some((all[0], all[2])));
        let middle = Duration::from_secs(3);
        assert_eq!(median_and_worst(&all[..2]), Some((middle, all[0])));
        assert_eq!(median_and_worst(&[]), None);
    }
}
