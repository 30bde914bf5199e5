//! What was delivered and waits for credit; and the quarantine of what was delivered too often.
//!
//! A message that brings the process down takes everything with it that is in flight, and all of it
//! is delivered again, the culprit among the innocent: nothing but the number of deliveries tells
//! them apart from others. So whatever was delivered twice and not acknowledged goes in alone, with
//! nothing else in flight: then it harms nobody but itself. Which end of the quarantine goes first
//! changes with each delivery, so that those on both sides of a culprit get through, and only the
//! culprit comes to its last delivery.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use crate::{message::Lane, source::Incoming};

/// Deliveries that are not let in yet.
#[derive(Debug)]
pub(super) struct Waiting {
    queue: VecDeque<Incoming>,
    /// By how often they were delivered, and their place in the stream.
    quarantine: BTreeMap<(u64, u64), Incoming>,
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
}

impl Waiting {
    pub(super) fn new(max_deliver: u64, patience: Duration) -> Self {
        Self {
            queue: VecDeque::new(),
            quarantine: BTreeMap::new(),
            bytes: 0,
            max_deliver,
            in_order: false,
            patience,
            since: None,
            alone: false,
        }
    }

    /// Lets them in as they came, for a pipeline that keeps its results in order.
    pub(super) fn keep_order(&mut self) {
        self.in_order = true;
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.quarantine.len()
    }

    /// Bytes of their payloads.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether some wait to go in alone: then nothing more is asked for, so that the rest comes to
    /// its end.
    pub(super) fn is_quarantined(&self) -> bool {
        !self.quarantine.is_empty()
    }

    /// Takes in a delivery.
    pub(super) fn push(&mut self, incoming: Incoming) {
        self.bytes += incoming.payload.len();
        let suspect = self.suspicion(&incoming).filter(|_| !self.in_order);
        match suspect {
            Some(place) => {
                if let Some(other) = self.quarantine.insert(place, incoming) {
                    // Cannot be: one delivery comes once. Nothing is lost if it does.
                    self.queue.push_back(other);
                }
            }
            None => self.queue.push_back(incoming),
        }
    }

    /// How often a suspect was delivered, and its sequence. What was delivered too often is not
    /// worked on any more, so it harms nobody.
    fn suspicion(&self, incoming: &Incoming) -> Option<(u64, u64)> {
        let position = incoming.position.as_ref()?;
        let suspect = position.lane() == Lane::Alone && position.delivered <= self.max_deliver;
        suspect.then_some((position.delivered, position.sequence))
    }

    /// The next to be let in while `in_flight` others are.
    pub(super) fn pop(&mut self, in_flight: usize, now: Instant) -> Option<Incoming> {
        if in_flight == 0 {
            self.alone = false;
            self.since = None;
        }
        let suspect = match self.queue.front() {
            Some(front) => self.suspicion(front).is_some(),
            None => self.is_quarantined(),
        };
        if (self.alone || suspect)
            && in_flight > 0
            && now.duration_since(*self.since.get_or_insert(now)) < self.patience
        {
            return None;
        }
        self.since = None;
        self.alone = suspect;
        let next = self.queue.pop_front();
        let incoming = next.or_else(|| self.suspect())?;
        self.bytes -= incoming.payload.len();
        Some(incoming)
    }

    /// The one in quarantine whose turn it is: of those delivered least often, the first in the
    /// stream and the last in turns.
    fn suspect(&mut self) -> Option<Incoming> {
        let (&(delivered, first), _) = self.quarantine.first_key_value()?;
        let sequence = if delivered % 2 == 1 {
            first
        } else {
            let same = self
                .quarantine
                .range((delivered, 0)..=(delivered, u64::MAX));
            same.last().map_or(first, |(&(_, last), _)| last)
        };
        self.quarantine.remove(&(delivered, sequence))
    }

    /// All of them.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Incoming> + use<> {
        self.bytes = 0;
        let quarantine = std::mem::take(&mut self.quarantine);
        std::mem::take(&mut self.queue)
            .into_iter()
            .chain(quarantine.into_values())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::message::Position;

    const PATIENCE: Duration = Duration::from_secs(1);

    fn incoming(sequence: u64, delivered: u64) -> Incoming {
        Incoming {
            ticket: 0,
            subject: Bytes::new(),
            reply: None,
            payload: Bytes::from_static(b"four"),
            headers: None,
            position: Some(Arc::new(Position {
                stream: "IN".into(),
                incarnation: 1,
                sequence,
                delivered,
                again: true,
                kept: true,
            })),
        }
    }

    fn waiting(all: &[(u64, u64)]) -> Waiting {
        let mut waiting = Waiting::new(5, PATIENCE);
        for (sequence, delivered) in all {
            waiting.push(incoming(*sequence, *delivered));
        }
        waiting
    }

    fn sequence(incoming: Option<Incoming>) -> Option<u64> {
        Some(incoming?.position?.sequence)
    }

    #[test]
    fn suspects_wait_for_all_others_and_go_in_one_by_one() {
        let now = Instant::now();
        let mut waiting = waiting(&[(7, 3), (1, 1), (8, 3), (2, 2), (9, 6)]);
        assert_eq!((waiting.len(), waiting.bytes()), (5, 20));
        assert!(waiting.is_quarantined());
        let mut next = |in_flight| sequence(waiting.pop(in_flight, now));
        assert_eq!([next(0), next(1), next(2)], [Some(1), Some(2), Some(9)]);
        assert_eq!(next(3), None, "others are in flight");
        assert_eq!(next(0), Some(7));
        assert_eq!(next(1), None, "one at a time");
        assert_eq!([next(0), next(1)], [Some(8), None]);
        assert_eq!((waiting.len(), waiting.bytes()), (0, 0));
        waiting.push(incoming(10, 1));
        assert_eq!(
            sequence(waiting.pop(1, now)),
            None,
            "8 is still in flight, alone"
        );
        assert_eq!(sequence(waiting.pop(0, now)), Some(10));
    }

    #[test]
    fn nobody_waits_while_there_is_no_suspect() {
        let now = Instant::now();
        let mut waiting = waiting(&[(1, 1)]);
        assert_eq!(sequence(waiting.pop(5, now)), Some(1));
        assert_eq!(sequence(waiting.pop(6, now)), None);
        waiting.push(incoming(2, 2));
        assert_eq!(sequence(waiting.pop(6, now)), Some(2));
    }

    #[test]
    fn in_order_a_suspect_goes_alone_and_nothing_overtakes_it() {
        let now = Instant::now();
        let mut waiting = waiting(&[]);
        waiting.keep_order();
        for (sequence, delivered) in [(1, 2), (2, 4), (3, 3), (4, 1)] {
            waiting.push(incoming(sequence, delivered));
        }
        assert!(!waiting.is_quarantined(), "more is asked for");
        let mut next = |in_flight| sequence(waiting.pop(in_flight, now));
        assert_eq!([next(0), next(1)], [Some(1), None]);
        assert_eq!([next(0), next(1)], [Some(2), None]);
        assert_eq!([next(0), next(1)], [Some(3), None]);
        assert_eq!([next(0), next(1)], [Some(4), None]);
    }

    #[test]
    fn patience_ends() {
        let now = Instant::now();
        let mut waiting = waiting(&[(7, 3)]);
        assert_eq!(sequence(waiting.pop(1, now)), None);
        assert_eq!(sequence(waiting.pop(1, now + PATIENCE)), Some(7));
        waiting.push(incoming(8, 1));
        let later = now + PATIENCE;
        assert_eq!(sequence(waiting.pop(2, later)), None, "7 may be at work");
        assert_eq!(sequence(waiting.pop(2, later + PATIENCE)), Some(8));
        waiting.push(incoming(9, 1));
        assert_eq!(sequence(waiting.pop(3, later + PATIENCE)), Some(9));
    }

    /// A culprit among innocents: whoever goes in before it is done, the others come again.
    #[test]
    fn one_culprit_comes_to_its_last_delivery_alone() {
        for culprit in 1..=20 {
            let mut left: Vec<u64> = (1..=20).collect();
            for delivered in 3..=5 {
                let all: Vec<_> = left.iter().map(|n| (*n, delivered)).collect();
                let mut waiting = waiting(&all);
                while let Some(n) = sequence(waiting.pop(0, Instant::now())) {
                    if n == culprit {
                        break;
                    }
                    left.retain(|other| *other != n);
                }
            }
            assert_eq!(left, [culprit]);
        }
    }
}
