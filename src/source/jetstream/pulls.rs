//! What we have asked the consumer for and not got yet.
//!
//! A message does not say which request it answers, so the oldest is taken to be answered first.
//! When a request ends, the server says how much of it is left, which corrects the sum. What goes
//! wrong nevertheless is mended when the request's time is over.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How long the server keeps a request. Short: a request that it forgot is noticed then at the latest.
pub(super) const EXPIRES: Duration = Duration::from_secs(10);
/// How often the server says that it is there while there are no messages.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Pull {
    id: u64,
    messages: usize,
    bytes: usize,
    ends: Instant,
}

/// The requests under way.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    last_id: u64,
    open: VecDeque<Pull>,
}

impl Pulls {
    /// Notes a request and gives its number.
    pub(super) fn ask(&mut self, messages: usize, bytes: usize, now: Instant) -> u64 {
        self.last_id += 1;
        self.open.push_back(Pull {
            id: self.last_id,
            messages,
            bytes,
            ends: now + EXPIRES + GRACE,
        });
        self.last_id
    }

    /// Messages asked for and not here.
    pub(super) fn messages(&self) -> usize {
        self.open.iter().map(|pull| pull.messages).sum()
    }

    /// Bytes that may still come.
    pub(super) fn bytes(&self) -> usize {
        self.open.iter().map(|pull| pull.bytes).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// A message of this size came.
    pub(super) fn came(&mut self, bytes: usize) {
        if let Some(oldest) = self.open.front_mut() {
            oldest.messages -= 1;
            oldest.bytes = oldest.bytes.saturating_sub(bytes);
            if oldest.messages == 0 {
                self.open.pop_front();
            }
        }
    }

    /// The server has ended request `id` with `left` messages to go.
    pub(super) fn ended(&mut self, id: u64, left: Option<usize>) {
        let known = self.open.iter().position(|pull| pull.id == id);
        let believed = known
            .and_then(|index| self.open.remove(index))
            .map_or(0, |pull| pull.messages);
        let left = left.unwrap_or(believed);
        if left < believed {
            // Messages of this one were put down to another.
            if let Some(other) = self.open.front_mut() {
                other.messages += believed - left;
            }
        }
        let mut surplus = left.saturating_sub(believed);
        while surplus > 0
            && let Some(oldest) = self.open.front_mut()
        {
            let part = surplus.min(oldest.messages);
            oldest.messages -= part;
            surplus -= part;
            if oldest.messages == 0 {
                self.open.pop_front();
            }
        }
    }

    /// Forgets requests that the server must have ended by now.
    pub(super) fn expire(&mut self, now: Instant) {
        self.open.retain(|pull| pull.ends > now);
    }

    /// Forgets everything: the server has, too.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_answer_the_oldest_request() {
        let now = Instant::now();
        let mut pulls = Pulls::default();
        pulls.ask(2, 100, now);
        pulls.ask(3, 100, now);
        assert_eq!((pulls.messages(), pulls.bytes()), (5, 200));
        pulls.came(40);
        assert_eq!((pulls.messages(), pulls.bytes()), (4, 160));
        pulls.came(40);
        assert_eq!((pulls.messages(), pulls.bytes()), (3, 100));
        for _ in 0..4 {
            pulls.came(40);
        }
        assert!(pulls.is_empty(), "more than asked for does no harm");
    }

    #[test]
    fn the_servers_word_corrects_the_sum() {
        let now = Instant::now();
        let mut pulls = Pulls::default();
        let first = pulls.ask(5, 100, now);
        let second = pulls.ask(5, 100, now);
        // Six came: three of each, but five are put down to the first.
        (0..6).for_each(|_| pulls.came(1));
        pulls.ended(first, Some(2));
        assert_eq!(pulls.messages(), 2);
        pulls.ended(second, Some(2));
        assert_eq!(pulls.messages(), 0);

        let first = pulls.ask(5, 100, now);
        pulls.ask(5, 100, now);
        // Three came, all of the second.
        (0..3).for_each(|_| pulls.came(1));
        pulls.ended(first, Some(5));
        assert_eq!(pulls.messages(), 2);
    }

    #[test]
    fn time_ends_what_nobody_ended() {
        let now = Instant::now();
        let mut pulls = Pulls::default();
        pulls.ask(5, 100, now);
        pulls.expire(now + EXPIRES);
        assert_eq!(pulls.messages(), 5);
        pulls.expire(now + EXPIRES + GRACE);
        assert!(pulls.is_empty());
    }
}
