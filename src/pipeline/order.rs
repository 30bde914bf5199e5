//! Results of one key leave in the order of the source, whatever overtakes what in between.
//!
//! Blocks are numbered by the source and decoded by several workers at once. A block that is
//! decoded before its turn waits here until those before it are, and then each of its messages
//! takes its turn. What happens to them afterwards may take any course: their results go by turns.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
};

use tokio::sync::mpsc;

use super::worker::Desk;
use crate::{
    batch::Queued,
    decode::key::OrderBy,
    sink::Outgoing,
    turns::{Follow, Turns},
};

/// How results are kept in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Which messages have the same key.
    pub by: OrderBy,
    /// What the sink needs.
    pub follow: Follow,
    /// Whether the source delivers again what is lost.
    pub comes_again: bool,
    /// Whether something is held between the rows of a key, so that they are also run in order.
    pub stateful: bool,
}

/// What became of a block in decoding.
enum Decoded {
    /// Its messages go on.
    Keyed(Keyed),
    /// All its messages were rejected.
    Nothing,
    /// The decoder panicked.
    Lost,
}

/// A decoded block and the key of each of its messages.
pub(super) struct Keyed {
    pub(super) queued: Queued,
    pub(super) keys: Vec<u64>,
}

/// The order of one pipeline.
pub(super) struct Ordering {
    pub(super) by: OrderBy,
    /// The engine is told the keys, and runs the rows in the order of the door.
    pub(super) stateful: bool,
    /// It was said that keys are dropped since there are too many.
    pub(super) told: AtomicBool,
    turns: Arc<Turns<Outgoing>>,
    comes_again: bool,
    door: Mutex<Door>,
}

/// Lets blocks through by their numbers.
#[derive(Default)]
struct Door {
    next: u64,
    /// Decoded before their turn.
    early: BTreeMap<u64, Decoded>,
    /// A block was lost. It comes again, and those behind it must do so too.
    closed: bool,
}

impl Ordering {
    pub(super) fn new(order: Order, outgoing: mpsc::Sender<Vec<Outgoing>>) -> Self {
        Self {
            by: order.by,
            stateful: order.stateful,
            told: AtomicBool::new(false),
            turns: Turns::new(outgoing, order.follow, order.comes_again),
            comes_again: order.comes_again,
            door: Mutex::default(),
        }
    }

    /// The entry of a block that is about to be decoded.
    pub(super) fn entry<'a>(&'a self, number: u64, desk: &'a Desk) -> Entry<'a> {
        Entry {
            ordering: self,
            desk,
            number,
            block: Some(Decoded::Lost),
        }
    }

    /// Sends out the results whose turn it is. Says whether anybody listens.
    pub(super) fn offer(&self, results: Vec<Outgoing>) -> bool {
        self.turns.offer(results.into_iter().map(|result| {
            let Some(place) = result.message.ack.place() else {
                unreachable!("it took its turn at the door: this is a bug");
            };
            (place, result)
        }))
    }

    /// Gives `push` the blocks that may go on now that this one is decoded, by their numbers. It is
    /// called under the lock: another worker's blocks must not come in between.
    fn admit(&self, number: u64, block: Decoded, mut push: impl FnMut(Queued)) {
        let mut given_up = BTreeMap::new();
        // A panic between two whole steps leaves the state sound.
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        door.early.insert(number, block);
        while !door.closed {
            let next = door.next;
            let Some(block) = door.early.remove(&next) else {
                break;
            };
            door.next += 1;
            match block {
                Decoded::Keyed(keyed) => push(self.take_turns(keyed)),
                Decoded::Nothing => {}
                Decoded::Lost => door.closed = self.comes_again,
            }
        }
        if door.closed {
            given_up = std::mem::take(&mut door.early);
        }
        drop(door);
        drop(given_up);
    }

    fn take_turns(&self, Keyed { mut queued, keys }: Keyed) -> Queued {
        let turns = self.turns.take(&keys);
        for (record, turn) in queued.block.records.iter_mut().zip(turns) {
            record.message.ack.keep_turn(turn);
        }
        queued
    }
}

/// A block on its way through the door. It arrives there however its decoding ends: others wait
/// behind it.
pub(super) struct Entry<'a> {
    ordering: &'a Ordering,
    desk: &'a Desk,
    number: u64,
    block: Option<Decoded>,
}

impl Entry<'_> {
    /// It is decoded; `None` where nothing is left of it.
    pub(super) fn decoded(mut self, keyed: Option<Keyed>) {
        self.block = Some(keyed.map_or(Decoded::Nothing, Decoded::Keyed));
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            // Several may come free at once. Who pushes them asks for work next, as ever.
            (self.ordering).admit(self.number, block, |queued| self.desk.push(queued));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        block::{Block, Layout, Record, Table},
        message::Message,
    };

    /// A decoded block of messages with this key; each payload is the block's number.
    fn block(number: u64, messages: usize) -> Keyed {
        let records = (0..messages).map(|_| Record {
            message: Message::of(Bytes::from(number.to_string())),
            rows: 0,
            layout: Layout::One,
        });
        Keyed {
            queued: Queued {
                block: Block {
                    records: records.collect(),
                    table: Table::default(),
                },
                since: Instant::now(),
            },
            keys: vec![7; messages],
        }
    }

    proptest! {
        /// Blocks are decoded in any order, and some have nothing left: the others are let through
        /// by their numbers, all of them, and their messages take their turns in that order.
        #[test]
        fn blocks_go_through_by_number(
            (sizes, order) in prop::collection::vec(0usize..4, 1..40).prop_flat_map(|sizes| {
                let numbers: Vec<u64> = (0..).take(sizes.len()).collect();
                (Just(sizes), Just(numbers).prop_shuffle())
            })
        ) {
            let (sender, mut outgoing) = mpsc::channel(1000);
            let order_by = Order {
                by: OrderBy::Token(0),
                follow: Follow::Sent,
                comes_again: true,
                stateful: false,
            };
            let ordering = Ordering::new(order_by, sender);
            let mut admitted = Vec::new();
            for number in order {
                let size = sizes[usize::try_from(number).expect("small")];
                let decoded = match size {
                    0 => Decoded::Nothing,
                    _ => Decoded::Keyed(block(number, size)),
                };
                ordering.admit(number, decoded, |queued| admitted.push(queued));
            }
            prop_assert_eq!(admitted.len(), sizes.iter().filter(|size| **size > 0).count());
            // The last block's results come first, and leave last.
            for queued in admitted.into_iter().rev() {
                let results = queued.block.records.into_iter().map(|record| Outgoing {
                    payload: record.message.payload.clone(),
                    headers: Vec::new(),
                    message: record.message,
                    outcome: crate::message::Outcome::Done,
                });
                ordering.offer(results.collect());
            }
            let mut seen = Vec::new();
            while let Ok(results) = outgoing.try_recv() {
                seen.extend(results.iter().map(|result| {
                    std::str::from_utf8(&result.payload).expect("text").parse::<usize>().expect("a number")
                }));
            }
            let expected: Vec<_> = sizes.iter().enumerate().flat_map(|(number, &size)| vec![number; size]).collect();
            prop_assert_eq!(seen, expected);
        }
    }

    #[test]
    fn nothing_goes_on_behind_a_lost_block_that_comes_again() {
        for (comes_again, admitted) in [(true, 1), (false, 3)] {
            let (sender, _outgoing) = mpsc::channel(1000);
            let order = Order {
                by: OrderBy::Token(0),
                follow: Follow::Sent,
                comes_again,
                stateful: false,
            };
            let ordering = Ordering::new(order, sender);
            let mut count = 0;
            let mut admit = |number, block| ordering.admit(number, block, |_| count += 1);
            admit(2, Decoded::Keyed(block(2, 1)));
            admit(1, Decoded::Lost);
            admit(0, Decoded::Keyed(block(0, 1)));
            admit(3, Decoded::Keyed(block(3, 1)));
            assert_eq!(count, admitted);
        }
    }
}
