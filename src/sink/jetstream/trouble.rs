//! Which subjects take no results now, and when to try them again.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use async_nats::Subject;

use super::Purpose;
use crate::{
    nats::backoff::{Backoff, Seldom},
    sink::Held,
};

/// A confirmation that is not here by then was lost, or the broker is in trouble.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(3);
/// Results sent to see whether the trouble is over, at first.
const PROBES: usize = 16;
/// What is sent while a stream has no leader is lost without a word: so nobody waits for long
/// before the next try. The word on an earlier try counts too.
const PROBED_WITHIN: Duration = Duration::from_millis(500);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// When the trouble is over, this much time is lost at most.
const PAUSE_MOST: Duration = Duration::from_millis(500);

/// The subjects whose results the broker does not store. Which stream takes a subject is not known
/// here, and a stream that is full says nothing about the others: so results of all other
/// subjects are sent meanwhile.
pub(super) struct Trouble {
    purpose: Purpose,
    /// The subjects, and why; empty while all is well.
    causes: HashMap<String, String>,
    failures: u64,
    phase: Phase,
    /// Results that the next probe may send.
    probes: usize,
    /// The place of the last result that was probed: the next probe goes on from there.
    last: u64,
    held: Held,
    backoff: Backoff,
    complaint: Seldom,
}

enum Phase {
    /// Nothing is sent to the subjects until then.
    Pause { until: Instant },
    /// A few results are with the broker since then, to see whether it stores them.
    Probe { since: Instant },
}

impl Trouble {
    /// None yet. Says in `held` when and why something cannot be stored.
    pub(super) fn new(purpose: Purpose, held: Held) -> Self {
        Self {
            purpose,
            causes: HashMap::new(),
            failures: 0,
            phase: Phase::Pause {
                until: Instant::now(),
            },
            probes: PROBES,
            last: 0,
            held,
            backoff: Backoff::new(PAUSE_FIRST, PAUSE_MOST),
            complaint: Seldom::default(),
        }
    }

    /// Whether there is none.
    pub(super) fn is_over(&self) -> bool {
        self.causes.is_empty()
    }

    /// Whether results to this subject are not stored now.
    pub(super) fn is_with(&self, subject: &Subject) -> bool {
        self.causes.contains_key(&**subject)
    }

    /// How long to wait for the confirmation of a result to this subject.
    pub(super) fn confirmed_within(&self, subject: &Subject) -> Duration {
        if self.is_with(subject) {
            PROBED_WITHIN
        } else {
            CONFIRMED_WITHIN
        }
    }

    /// A result to this subject, sent at `sent`, was not stored.
    pub(super) fn failed(&mut self, subject: &Subject, sent: Instant, cause: &str) {
        let first = self.causes.is_empty();
        self.causes.insert(subject.to_string(), cause.to_owned());
        let failures = match self.phase {
            _ if first => 1,
            // All that was sent in one go fails in one go; that is one failure.
            Phase::Pause { .. } => return,
            Phase::Probe { since } if sent < since => return,
            Phase::Probe { .. } => self.failures + 1,
        };
        if first {
            self.probes = PROBES;
        }
        self.failures = failures;
        self.phase = Phase::Pause {
            until: Instant::now() + self.backoff.wait(failures),
        };
        self.report(Some((subject, cause)));
        if self.complaint.happened(1).is_some() {
            tracing::warn!(
                subject = &**subject,
                cause,
                "{} are not being stored; they are held and sent again until they are",
                self.purpose.many()
            );
        }
    }

    /// The broker has given a definite word on a result to this subject, so its trouble is over.
    /// Says whether there was any: then what is held goes out again.
    pub(super) fn answered(&mut self, subject: &Subject) -> bool {
        let there_was = self.forget(subject);
        if there_was && self.causes.is_empty() {
            tracing::info!("{} are being stored again", self.purpose.many());
        }
        there_was
    }

    /// As [`Trouble::answered`], where there was no word: what was held may not be published at all.
    pub(super) fn forget(&mut self, subject: &Subject) -> bool {
        if self.causes.remove(&**subject).is_none() {
            return false;
        }
        // Where the trouble was common to many subjects, the others are soon found to be well too.
        self.failures = 0;
        self.probes = self.probes.saturating_mul(2);
        self.phase = Phase::Pause {
            until: Instant::now(),
        };
        let other = self.causes.iter().next();
        self.report(other.map(|(subject, cause)| (subject.as_str(), cause.as_str())));
        true
    }

    /// Nothing is held any more.
    pub(super) fn clear(&mut self) {
        if !self.causes.is_empty() {
            self.causes.clear();
            self.report(None);
        }
    }

    fn report(&self, why: Option<(&str, &str)>) {
        let what = self.purpose.many();
        self.held.set(
            why.map(|(subject, cause)| format!("{what} cannot be stored: `{subject}`: {cause}")),
        );
    }

    /// Whether it is time to probe, while there is any. `under_way`: whether any word on what was sent to the subjects
    /// is still to come.
    pub(super) fn is_due(&self, now: Instant, connected_again: bool, under_way: bool) -> bool {
        match self.phase {
            Phase::Pause { until } => connected_again || until <= now,
            // No probe is left to be answered: the client took none of them.
            Phase::Probe { .. } => !under_way,
        }
    }

    /// Which of `held`, in the order of their keys, to send as probes now. Every subject gets its
    /// turn, however many results are held for the others.
    pub(super) fn probe(&mut self, now: Instant, mut held: Vec<(u64, Subject)>) -> Vec<u64> {
        let each = (self.probes / self.causes.len().max(1)).max(1);
        let start = held.partition_point(|(key, _)| place(*key) <= self.last);
        held.rotate_left(start);
        let mut taken: HashMap<&str, usize> = HashMap::new();
        let mut keys = Vec::new();
        for (key, subject) in &held {
            if keys.len() == self.probes {
                break;
            }
            let taken = taken.entry(subject).or_default();
            if *taken < each {
                *taken += 1;
                self.last = place(*key);
                keys.push(*key);
            }
        }
        self.phase = Phase::Probe { since: now };
        // More than this only for as long as it helps.
        self.probes = PROBES;
        keys
    }
}

/// The place in the table: what keys are in the order of.
fn place(key: u64) -> u64 {
    key & u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(subjects: &[&str]) -> (Trouble, Held) {
        let held = Held::default();
        let mut trouble = Trouble::new(Purpose::Result, held.clone());
        for subject in subjects {
            trouble.failed(&Subject::from(*subject), Instant::now(), "full");
        }
        (trouble, held)
    }

    /// `count` results for each of these subjects.
    fn results(subjects: &[(&str, usize)]) -> Vec<(u64, Subject)> {
        let all = subjects
            .iter()
            .flat_map(|(subject, count)| std::iter::repeat_n(Subject::from(*subject), *count));
        // The upper half of a key has nothing to do with its place.
        (0u64..).map(|n| (!n << 32) | n).zip(all).collect()
    }

    #[test]
    fn every_subject_is_probed_however_many_results_others_hold() {
        let (mut trouble, _) = trouble(&["a", "b"]);
        let held = results(&[("a", 1000), ("b", 1)]);
        let last = held[1000].0;
        let probed = trouble.probe(Instant::now(), held);
        assert_eq!(probed.len(), PROBES / 2 + 1);
        assert!(probed.contains(&last));
    }

    #[test]
    fn probes_go_on_where_the_last_ones_ended() {
        let names: Vec<_> = (0..50).map(|n| format!("s{n}")).collect();
        let subjects: Vec<_> = names.iter().map(String::as_str).collect();
        let (mut trouble, _) = trouble(&subjects);
        let held = results(&subjects.iter().map(|name| (*name, 1)).collect::<Vec<_>>());
        let mut seen: Vec<_> = (0..4)
            .flat_map(|_| trouble.probe(Instant::now(), held.clone()))
            .collect();
        assert_eq!(seen.len(), 4 * PROBES);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 50, "all had their turn");
    }

    #[test]
    fn what_helps_is_done_more_and_at_once() {
        let names: Vec<_> = (0..100).map(|n| format!("s{n}")).collect();
        let subjects: Vec<_> = names.iter().map(String::as_str).collect();
        let (mut trouble, _) = trouble(&subjects);
        let held = results(&subjects.iter().map(|name| (*name, 1)).collect::<Vec<_>>());
        assert_eq!(trouble.probe(Instant::now(), held.clone()).len(), PROBES);
        assert!(trouble.answered(&"s0".into()));
        assert!(!trouble.answered(&"s0".into()));
        assert!(trouble.is_due(Instant::now(), false, true));
        let more = trouble.probe(Instant::now(), held.clone()).len();
        assert_eq!(more, 2 * PROBES);
        assert_eq!(trouble.probe(Instant::now(), held).len(), PROBES);
    }

    #[test]
    fn the_reason_names_a_subject_that_is_still_in_trouble() {
        let (mut trouble, held) = trouble(&["out.a", "out.b"]);
        insta::assert_snapshot!(held.reason().expect("a reason"), @"results cannot be stored: `out.a`: full");
        trouble.answered(&"out.a".into());
        insta::assert_snapshot!(held.reason().expect("a reason"), @"results cannot be stored: `out.b`: full");
        trouble.answered(&"out.b".into());
        assert_eq!(held.reason(), None);
        assert!(trouble.is_over());
    }
}
