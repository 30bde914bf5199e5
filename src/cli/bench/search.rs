//! The search for the highest load that is sustained. Pure.

/// Two loads this close together are one.
const CLOSE: f64 = 1.04;
/// Where nothing was sustained yet, the next load is this part of the last one, and of that the one behind it, and so on: a
/// machine that others slow down may carry a fraction of what it did a moment ago.
const DOWN: f64 = 0.9;
/// Where everything was, it is this much of it.
const UP: f64 = 1.08;

/// What is known of the loads that were tried, in messages a second.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Search {
    sustained: Option<f64>,
    failed: Option<f64>,
    first: f64,
    left: u32,
    /// Loads that were not sustained.
    failures: i32,
}

impl Search {
    /// A search that begins with this load and tries so many at most.
    pub(super) fn new(first: f64, tries: u32) -> Self {
        Self {
            sustained: None,
            failed: None,
            first,
            left: tries,
            failures: 0,
        }
    }

    /// The load to try next; none where enough is known.
    pub(super) fn next(&self) -> Option<f64> {
        if self.left == 0 {
            return None;
        }
        match (self.sustained, self.failed) {
            (None, None) => Some(self.first),
            (None, Some(failed)) => Some(failed * DOWN.powi(self.failures)),
            (Some(sustained), None) => Some(sustained * UP),
            (Some(sustained), Some(failed)) if failed / sustained <= CLOSE => None,
            (Some(sustained), Some(failed)) => Some((sustained * failed).sqrt()),
        }
    }

    /// Takes down how a load went.
    pub(super) fn saw(&mut self, load: f64, sustained: bool) {
        self.left = self.left.saturating_sub(1);
        if sustained {
            self.sustained = Some(self.sustained.map_or(load, |known| known.max(load)));
        } else {
            self.failed = Some(self.failed.map_or(load, |known| known.min(load)));
            self.failures += 1;
        }
    }

    /// The highest load that was sustained.
    pub(super) fn found(&self) -> Option<f64> {
        self.sustained
    }
}

/// How much work waited at two times of a stretch, and how much came in between, in messages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Backlog {
    pub(super) early: f64,
    pub(super) late: f64,
    pub(super) offered: f64,
    /// Messages that run together: what waits goes up and down by so many at least.
    pub(super) batch: f64,
}

/// More than this part of what came in may not stay behind.
const BEHIND: f64 = 0.02;
/// Nor this one, whatever the size of a batch.
const BEHIND_MOST: f64 = 0.1;

impl Backlog {
    /// Whether the work was done as it came in. A queue that is there but does not grow is no
    /// overload.
    pub(super) fn is_steady(&self) -> bool {
        let allowed = BEHIND * self.offered + self.batch;
        self.late - self.early <= allowed.min(BEHIND_MOST * self.offered + 2.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Searches on a machine that carries so much.
    fn search(first: f64, carries: f64, tries: u32) -> (Option<f64>, Vec<f64>) {
        let (mut search, mut tried) = (Search::new(first, tries), Vec::new());
        while let Some(load) = search.next() {
            tried.push(load);
            search.saw(load, load <= carries);
        }
        (search.found(), tried)
    }

    #[test]
    fn from_above_and_from_below() {
        let (found, tried) = search(1000.0, 850.0, 10);
        assert_eq!(tried[..2], [1000.0, 900.0]);
        assert!(
            found.is_some_and(|found| (810.0..=850.0).contains(&found)),
            "{found:?}"
        );
        let (found, _) = search(1000.0, 1120.0, 10);
        assert!(
            found.is_some_and(|found| (1080.0..=1120.0).contains(&found)),
            "{found:?}"
        );
    }

    #[test]
    fn nothing_is_found_where_nothing_is_sustained() {
        let (found, tried) = search(1000.0, 1.0, 6);
        assert_eq!((found, tried.len()), (None, 6));
    }

    #[test]
    fn what_contradicts_ends_the_search() {
        let mut search = Search::new(100.0, 9);
        search.saw(100.0, true);
        search.saw(90.0, false);
        assert_eq!(search.next(), None);
        assert_eq!(search.found(), Some(100.0));
    }

    #[test]
    fn a_queue_may_stand_but_not_grow() {
        let backlog = |early, late| Backlog {
            early,
            late,
            offered: 1000.0,
            batch: 16.0,
        };
        assert!(backlog(500.0, 510.0).is_steady());
        assert!(backlog(500.0, 536.0).is_steady());
        assert!(!backlog(0.0, 37.0).is_steady());
        // A large batch is no excuse for falling behind.
        let large = Backlog {
            batch: 4096.0,
            ..backlog(0.0, 103.0)
        };
        assert!(!large.is_steady());
    }

    proptest! {
        #[test]
        fn what_is_found_is_sustained_and_close(first in 1.0..1e6_f64, part in 0.7..1.4_f64) {
            let carries = first * part;
            let (found, _) = search(first, carries, 20);
            let found = found.expect("something is sustained");
            prop_assert!(found <= carries && found * CLOSE * 1.001 >= carries, "{found} of {carries}");
        }
    }
}
