//! Who may go out when: of messages with the same key, the one that came first.
//!
//! A message takes its turn in the order of the source, and keeps it until it is settled. A result
//! whose turn has not come is parked here. Nothing waits for anything: whoever ends a turn sends
//! out what may follow.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc::{self, error::TrySendError};

/// Where a message stands among those with its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    key: u64,
    number: u64,
}

/// A message's place, given up when this is dropped.
pub struct Turn {
    line: Arc<dyn Line>,
    place: Place,
    lost: bool,
}

impl Turn {
    /// Where this is.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Gives the place up without a result, because the message was lost. Where it comes again,
    /// what follows it must not go out before it.
    pub fn lose(mut self) {
        self.lost = true;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.line.leave(self.place, self.lost);
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Turn").field(&self.place).finish()
    }
}

/// What a turn knows of where it was taken.
trait Line: Send + Sync {
    fn leave(&self, place: Place, lost: bool);
}

/// When the next result of a key may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// When the message before it is settled: for a sink that sends again what the broker did not
    /// confirm.
    Settled,
    /// When the one before it is on its way: for a sink that writes in the order it is given.
    Sent,
}

/// All turns of a pipeline, and the results of type `T` that wait for theirs.
///
/// A parked result holds its turn, and a turn holds this: so the channel stays open until the last
/// result is out.
#[derive(Debug)]
pub struct Turns<T> {
    state: Mutex<State<T>>,
    outgoing: mpsc::Sender<Vec<T>>,
    follow: Follow,
    /// Whether the source delivers again what is lost.
    comes_again: bool,
}

#[derive(Debug)]
struct State<T> {
    /// The number of the next turn; no number is given twice.
    next: u64,
    /// For each key the turns not given up yet, in order. No line is empty.
    lines: HashMap<u64, VecDeque<(u64, Stand<T>)>>,
    /// Keys that have lost a message. The pipeline is ending then, and the next process is given
    /// the lost message and all that follow it.
    broken: HashSet<u64>,
    /// What may go out now.
    ready: Vec<T>,
    /// What comes again, after a message that was lost.
    given_up: Vec<T>,
    /// Somebody is at it and takes what is put there meanwhile.
    sending: bool,
}

/// What is known about a message in a line.
#[derive(Debug)]
enum Stand<T> {
    /// It is being worked on.
    Working,
    /// Its result is here, and its turn is not.
    Parked(T),
    /// Its result is on its way.
    Out,
    /// It is settled, and somebody before it is not.
    Gone,
}

impl<T: Send + 'static> Turns<T> {
    /// No turns yet. Results go to `outgoing`, which has room for as many as there can be turns.
    pub fn new(outgoing: mpsc::Sender<Vec<T>>, follow: Follow, comes_again: bool) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                next: 0,
                lines: HashMap::new(),
                broken: HashSet::new(),
                ready: Vec::new(),
                given_up: Vec::new(),
                sending: false,
            }),
            outgoing,
            follow,
            comes_again,
        })
    }

    /// Takes a turn for each key, in this order.
    pub fn take(self: &Arc<Self>, keys: &[u64]) -> Vec<Turn> {
        let mut state = self.lock();
        let mut turn = |&key| {
            let number = state.next;
            state.next += 1;
            let line = state.lines.entry(key).or_default();
            line.push_back((number, Stand::Working));
            Turn {
                line: Arc::clone(self) as Arc<dyn Line>,
                place: Place { key, number },
                lost: false,
            }
        };
        keys.iter().map(&mut turn).collect()
    }

    /// Sends out the results whose turn it is, and parks the others. Each holds the turn of its
    /// place. Says whether anybody listens.
    pub fn offer(&self, results: impl IntoIterator<Item = (Place, T)>) -> bool {
        let mut state = self.lock();
        for (place, result) in results {
            state.park(place, result, self.follow);
        }
        self.send(state);
        !self.outgoing.is_closed()
    }

    /// Sends what is ready. Nothing is dropped under the lock, and nothing within another drop:
    /// dropping a result gives up its turn, which may let the next one out, and so on.
    fn send<'a>(&'a self, mut state: MutexGuard<'a, State<T>>) {
        if state.sending {
            return;
        }
        while !state.ready.is_empty() || !state.given_up.is_empty() {
            state.sending = true;
            let ready = mem::take(&mut state.ready);
            let given_up = mem::take(&mut state.given_up);
            drop(state);
            drop(given_up);
            if !ready.is_empty() {
                match self.outgoing.try_send(ready) {
                    Ok(()) => {}
                    // Nobody listens any more: the pipeline is ending.
                    Err(TrySendError::Closed(unsent)) => drop(unsent),
                    Err(TrySendError::Full(_)) => {
                        self.lock().sending = false;
                        unreachable!(
                            "each place in this channel is backed by a credit: this is a bug"
                        );
                    }
                }
            }
            state = self.lock();
        }
        state.sending = false;
    }
}

impl<T> Turns<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // A panic between two whole steps leaves the state sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Line for Turns<T> {
    fn leave(&self, place: Place, lost: bool) {
        let mut state = self.lock();
        if lost && self.comes_again {
            state.broken.insert(place.key);
        }
        state.set(place, Stand::Gone, self.follow);
        self.send(state);
    }
}

impl<T> State<T> {
    fn park(&mut self, place: Place, result: T, follow: Follow) {
        if let Some(result) = self.set(place, Stand::Parked(result), follow) {
            debug_assert!(false, "a result of a turn that is over");
            self.given_up.push(result);
        }
    }

    /// Says how it stands with a turn, and lets out what may follow. Gives a result back that has
    /// no place here.
    fn set(&mut self, place: Place, stand: Stand<T>, follow: Follow) -> Option<T> {
        let parked = |stand| match stand {
            Stand::Parked(result) => Some(result),
            _ => None,
        };
        let Some(line) = self.lines.get_mut(&place.key) else {
            return parked(stand);
        };
        let Ok(index) = line.binary_search_by_key(&place.number, |(number, _)| *number) else {
            return parked(stand);
        };
        let before = mem::replace(&mut line[index].1, stand);
        if index == 0 {
            self.advance(place.key, follow);
        }
        parked(before)
    }

    fn advance(&mut self, key: u64, follow: Follow) {
        let Some(line) = self.lines.get_mut(&key) else {
            return;
        };
        while let Some((_, stand)) = line.front_mut() {
            match stand {
                Stand::Working | Stand::Out => return,
                Stand::Gone => {}
                Stand::Parked(_) => {
                    let Stand::Parked(result) = mem::replace(stand, Stand::Out) else {
                        return;
                    };
                    if self.broken.contains(&key) {
                        // Its turn comes back when it is dropped.
                        self.given_up.push(result);
                        return;
                    }
                    self.ready.push(result);
                    if follow == Follow::Settled {
                        return;
                    }
                }
            }
            line.pop_front();
        }
        self.lines.remove(&key);
    }
}

#[cfg(test)]
mod tests;
