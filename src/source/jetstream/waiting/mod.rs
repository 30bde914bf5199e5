//! What was delivered and waits for credit; and the quarantine of what was delivered too often.
//!
//! A message that brings the process down takes everything with it that is in flight, and all of it
//! is delivered again, the culprit among the innocent. The broker counts their deliveries alike, and
//! nothing else survives a crash. So whatever was delivered twice and not acknowledged goes in
//! alone, one after another in the order of the stream. Then the culprit is known by its place: all
//! before it are settled, so in the next process it is the first. Only the first one, and only one
//! in the life of a process, is taken for a culprit when it has come more than `max_deliver` times;
//! the others have a trial, alone, however often they came.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use crate::{message::Lane, source::Incoming};

/// Trials that are remembered.
const TRIED_MAX: usize = 1 << 16;

/// A delivery whose turn it is.
#[derive(Debug)]
pub(super) enum Next {
    /// It may go in.
    In(Incoming),
    /// It came too often, and is not worked on any more.
    TooOften(Incoming),
}

/// Deliveries that are not let in yet.
#[derive(Debug)]
pub(super) struct Waiting {
    queue: VecDeque<Incoming>,
    /// By their place in the stream.
    quarantine: BTreeMap<u64, Incoming>,
    /// What the server has given up.
    lost: VecDeque<Incoming>,
    bytes: usize,
    max_deliver: u64,
    /// Nothing overtakes anything: a suspect goes in alone when it comes to its place.
    in_order: bool,
    /// How long the others wait for one in quarantine, and it for them. A bound, because a
    /// sink in trouble keeps messages in flight that no model works on.
    patience: Duration,
    /// Since when one waits for the others to settle, or they for it.
    since: Option<Instant>,
    /// One from the quarantine is in flight.
    alone: bool,
    /// By then all that was in flight in a process before this one has come again, so the first
    /// one is the first.
    complete: Instant,
    /// This process has found its culprit.
    found: bool,
    /// What came too often and had its trial here.
    tried: HashSet<u64>,
}

impl Waiting {
    pub(super) fn new(max_deliver: u64, patience: Duration, complete: Instant) -> Self {
        Self {
            queue: VecDeque::new(),
            quarantine: BTreeMap::new(),
            lost: VecDeque::new(),
            bytes: 0,
            max_deliver,
            in_order: false,
            patience,
            since: None,
            alone: false,
            complete,
            found: false,
            tried: HashSet::new(),
        }
    }

    /// Lets them in as they came, for a pipeline that keeps its results in order.
    pub(super) fn keep_order(&mut self) {
        self.in_order = true;
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.quarantine.len() + self.lost.len()
    }

    /// Bytes of their payloads.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether one is to go in alone now: then nothing more is asked for, so that the rest comes to
    /// its end.
    pub(super) fn is_quarantined(&self, now: Instant) -> bool {
        let first = self.quarantine.first_key_value();
        first.is_some_and(|(_, first)| !self.is_early(first, now))
    }

    /// Takes in a delivery.
    pub(super) fn push(&mut self, incoming: Incoming) {
        self.bytes += incoming.payload.len();
        if self.in_order || !self.is_suspect(&incoming) {
            self.queue.push_back(incoming);
        } else if let Some(other) = self.quarantine.insert(sequence(&incoming), incoming) {
            // Cannot be: what is here already is not taken in again. Nothing is lost if it does.
            self.queue.push_back(other);
        }
    }

    /// Takes in what the server has given up.
    pub(super) fn push_lost(&mut self, incoming: Incoming) {
        self.bytes += incoming.payload.len();
        self.lost.push_back(incoming);
    }

    fn is_suspect(&self, incoming: &Incoming) -> bool {
        Lane::of(delivered(incoming)) == Lane::Alone || self.is_too_often(incoming)
    }

    fn is_too_often(&self, incoming: &Incoming) -> bool {
        delivered(incoming) > self.max_deliver
    }

    /// Whether it is too early to take this one for the first.
    fn is_early(&self, incoming: &Incoming, now: Instant) -> bool {
        now < self.complete && self.is_guilty(incoming)
    }

    fn is_guilty(&self, incoming: &Incoming) -> bool {
        self.is_too_often(incoming) && (!self.found || self.tried.contains(&sequence(incoming)))
    }

    /// The next one while `in_flight` others are in the pipeline.
    pub(super) fn pop(&mut self, in_flight: usize, now: Instant) -> Option<Next> {
        if let Some(lost) = self.lost.pop_front() {
            self.bytes -= lost.payload.len();
            return Some(Next::TooOften(lost));
        }
        if in_flight == 0 {
            self.alone = false;
            self.since = None;
        }
        let first = self.quarantine.first_key_value().map(|(_, first)| first);
        let next = self.queue.front().or(first)?;
        let suspect = self.is_suspect(next);
        if self.is_early(next, now)
            || (self.alone || suspect)
                && in_flight > 0
                && now.duration_since(*self.since.get_or_insert(now)) < self.patience
        {
            return None;
        }
        self.since = None;
        let next = self
            .queue
            .pop_front()
            .or_else(|| Some(self.quarantine.pop_first()?.1))?;
        self.bytes -= next.payload.len();
        Some(self.judge(next, suspect))
    }

    fn judge(&mut self, next: Incoming, suspect: bool) -> Next {
        let guilty = self.is_guilty(&next);
        self.alone = suspect && !guilty;
        if !self.is_too_often(&next) {
            return Next::In(next);
        }
        if self.tried.len() >= TRIED_MAX {
            self.tried.clear();
        }
        let had_its_trial = !self.tried.insert(sequence(&next));
        if guilty {
            self.found |= !had_its_trial;
            return Next::TooOften(next);
        }
        Next::In(next)
    }

    /// All of them.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Incoming> + use<> {
        self.bytes = 0;
        let quarantine = std::mem::take(&mut self.quarantine);
        let lost = std::mem::take(&mut self.lost);
        std::mem::take(&mut self.queue)
            .into_iter()
            .chain(quarantine.into_values())
            .chain(lost)
    }

    /// Puts what waits into the order of the stream.
    pub(super) fn sort(&mut self) {
        self.queue.make_contiguous().sort_by_key(sequence);
    }
}

/// How often this was delivered.
pub(super) fn delivered(incoming: &Incoming) -> u64 {
    let position = incoming.position.as_ref();
    position.map_or(0, |position| position.delivered)
}

fn sequence(incoming: &Incoming) -> u64 {
    let position = incoming.position.as_ref();
    position.map_or(0, |position| position.sequence)
}

#[cfg(test)]
mod tests;
