//! Results of one key leave in the order of the source, whatever overtakes what in between.
//!
//! Blocks are numbered by the source and decoded by several workers at once. A block that is
//! decoded before its turn waits here until those before it are, and then each of its messages
//! takes its turn. What happens to them afterwards may take any course: their results go by turns.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
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
}

/// A decoded block and the key of each of its messages.
pub(super) struct Keyed {
    pub(super) queued: Queued,
    pub(super) keys: Vec<u64>,
}

/// The order of one pipeline.
pub(super) struct Ordering {
    pub(super) by: OrderBy,
    turns: Arc<Turns<Outgoing>>,
    door: Mutex<Door>,
}

/// Lets blocks through by their numbers.
#[derive(Default)]
struct Door {
    next: u64,
    /// Decoded before their turn. `None` is a block of which nothing is left.
    early: BTreeMap<u64, Option<Keyed>>,
}

impl Ordering {
    pub(super) fn new(order: Order, outgoing: mpsc::Sender<Vec<Outgoing>>) -> Self {
        Self {
            by: order.by,
            turns: Turns::new(outgoing, order.follow, order.comes_again),
            door: Mutex::default(),
        }
    }

    /// The entry of a block that is about to be decoded.
    pub(super) fn entry<'a>(&'a self, number: u64, desk: &'a Desk) -> Entry<'a> {
        Entry {
            ordering: self,
            desk,
            block: Some((number, None)),
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

    /// Gives the blocks that may go on now that this one is decoded.
    fn admit(&self, number: u64, block: Option<Keyed>) -> Vec<Queued> {
        // A panic between two whole steps leaves the state sound.
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        door.early.insert(number, block);
        let mut admitted = Vec::new();
        loop {
            let next = door.next;
            let Some(block) = door.early.remove(&next) else {
                return admitted;
            };
            door.next += 1;
            if let Some(Keyed { mut queued, keys }) = block {
                let turns = self.turns.take(&keys);
                for (record, turn) in queued.block.records.iter_mut().zip(turns) {
                    record.message.ack.keep_turn(turn);
                }
                admitted.push(queued);
            }
        }
    }
}

/// A block on its way through the door. It is let through however its decoding ends: others wait
/// behind it.
pub(super) struct Entry<'a> {
    ordering: &'a Ordering,
    desk: &'a Desk,
    block: Option<(u64, Option<Keyed>)>,
}

impl Entry<'_> {
    /// It is decoded; `None` where nothing is left of it.
    pub(super) fn decoded(mut self, keyed: Option<Keyed>) {
        if let Some((_, block)) = &mut self.block {
            *block = keyed;
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if let Some((number, block)) = self.block.take() {
            // Several may come free at once. Who pushes them asks for work next, as ever.
            for queued in self.ordering.admit(number, block) {
                self.desk.push(queued);
            }
        }
    }
}
