//! Many outcomes at once.

use std::sync::{Arc, PoisonError};

use super::{Ack, Credit, Home, Outcome, Settled};

impl Ack {
    /// Says what became of many messages. Whoever waits for that is woken once, behind the last.
    pub fn resolve_all(acks: impl IntoIterator<Item = (Self, Outcome)>) {
        let mut told = Told(Vec::new());
        for (mut ack, outcome) in acks {
            if let Some(home) = ack.home.take() {
                told.push(Settled {
                    ticket: ack.ticket,
                    outcome,
                    credit: Credit {
                        home,
                        bytes: ack.bytes,
                    },
                });
            }
            ack.leave_line();
        }
    }
}

/// Outcomes for one home that it does not know of yet: it does when this goes, whatever happens.
struct Told(Vec<Settled>);

impl Told {
    fn push(&mut self, settled: Settled) {
        let home = |settled: &Settled| Arc::as_ptr(&settled.credit.home);
        let other = (self.0.last()).is_some_and(|before| home(before) != home(&settled));
        if other {
            drop(std::mem::replace(self, Self(Vec::new())));
        }
        self.0.push(settled);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(last) = self.0.last() {
            let home = Arc::clone(&last.credit.home);
            home.come_home(self.0.drain(..));
        }
    }
}

impl Home {
    /// Keeps outcomes for the source, and wakes it.
    pub(super) fn come_home(&self, settled: impl IntoIterator<Item = Settled>) {
        let mut waiting = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(settled);
        drop(waiting);
        self.arrived.notify_one();
    }

    /// The next outcome, if one is there.
    pub fn next_settled(&self) -> Option<Settled> {
        let mut waiting = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.pop_front()
    }

    /// All outcomes that are there, the oldest first.
    pub fn all_settled(&self) -> std::collections::VecDeque<Settled> {
        std::mem::take(&mut *self.settled.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until at least one outcome may be there. Safe to cancel; may wake for nothing.
    pub async fn wait_settled(&self) {
        let none = (self.settled.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty();
        if none {
            self.arrived.notified().await;
        }
    }
}
