//! Many outcomes at once.

use std::sync::Arc;

use super::{Ack, Credit, Home, Outcome, Settled};

impl Ack {
    /// Says what became of many messages. Whoever waits for that is woken once, behind the last.
    pub fn resolve_all(acks: impl IntoIterator<Item = (Self, Outcome)>) {
        let mut told = Told(None);
        for (mut ack, outcome) in acks {
            if let Some(home) = ack.home.take() {
                let settled = Settled {
                    ticket: ack.ticket,
                    outcome,
                    credit: Credit {
                        home: Arc::clone(&home),
                        bytes: ack.bytes,
                    },
                };
                home.settled.push(settled);
                told.later(home);
            }
            ack.leave_line();
        }
    }
}

/// Where outcomes have come home that nobody was woken for: done when this goes, whatever happens.
struct Told(Option<Arc<Home>>);

impl Told {
    fn later(&mut self, home: Arc<Home>) {
        match &self.0 {
            Some(before) if Arc::ptr_eq(before, &home) => {}
            _ => drop(std::mem::replace(self, Self(Some(home)))),
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(home) = &self.0 {
            home.arrived.notify_one();
        }
    }
}
