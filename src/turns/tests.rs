use proptest::prelude::*;

use super::*;

/// A result: its number and the turn it holds.
struct Made {
    key: u64,
    number: usize,
    turn: Option<Turn>,
}

struct Bench {
    turns: Arc<Turns<Made>>,
    outgoing: mpsc::Receiver<Vec<Made>>,
    /// What a sink has and has not confirmed.
    sent: Vec<Made>,
    seen: Vec<(u64, usize)>,
}

impl Bench {
    fn new(follow: Follow, comes_again: bool, capacity: usize) -> Self {
        let (sender, outgoing) = mpsc::channel(capacity);
        Self {
            turns: Turns::new(sender, follow, comes_again),
            outgoing,
            sent: Vec::new(),
            seen: Vec::new(),
        }
    }

    fn take(&self, keys: &[u64]) -> Vec<Made> {
        let turns = self.turns.take(keys);
        turns
            .into_iter()
            .zip(keys)
            .enumerate()
            .map(|(number, (turn, &key))| Made {
                key,
                number,
                turn: Some(turn),
            })
            .collect()
    }

    fn offer(&self, made: Vec<Made>) {
        let with_place = made.into_iter().map(|made| {
            let place = made.turn.as_ref().expect("it has its turn").place();
            (place, made)
        });
        self.turns.offer(with_place);
    }

    fn receive(&mut self) {
        while let Ok(block) = self.outgoing.try_recv() {
            for made in block {
                self.seen.push((made.key, made.number));
                self.sent.push(made);
            }
        }
    }
}

/// What happens to the next message.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Result,
    Reject,
    Lose,
}

fn fates() -> impl Strategy<Value = Vec<(u64, Fate, u32, u32)>> {
    let fate = prop_oneof![
        8 => Just(Fate::Result),
        2 => Just(Fate::Reject),
        1 => Just(Fate::Lose),
    ];
    prop::collection::vec((0u64..4, fate, any::<u32>(), any::<u32>()), 1..80)
}

proptest! {
    /// Whatever is ready when, confirmed when, rejected or lost: the results of a key go out in
    /// the order of their turns, nothing stays parked, and with `Settled` no two of a key are
    /// under way at once.
    #[test]
    fn each_key_keeps_its_order(
        messages in fates(),
        batch in 1usize..5,
        settled in any::<bool>(),
        comes_again in any::<bool>(),
    ) {
        let follow = if settled { Follow::Settled } else { Follow::Sent };
        let mut bench = Bench::new(follow, comes_again, messages.len());
        let keys: Vec<u64> = messages.iter().map(|(key, ..)| *key).collect();
        let mut working = bench.take(&keys);
        // They become ready in any order.
        working.sort_by_key(|made| messages[made.number].2);
        let mut confirm = messages.iter().map(|message| message.3 as usize);
        while !working.is_empty() || !bench.sent.is_empty() {
            let rest = working.split_off(batch.min(working.len()));
            let now = mem::replace(&mut working, rest);
            let mut results = Vec::new();
            for mut made in now {
                match messages[made.number].1 {
                    Fate::Result => results.push(made),
                    Fate::Reject => drop(made),
                    Fate::Lose => made.turn.take().expect("its turn").lose(),
                }
            }
            bench.offer(results);
            bench.receive();
            if settled {
                let under_way: HashSet<_> = bench.sent.iter().map(|made| made.key).collect();
                prop_assert_eq!(under_way.len(), bench.sent.len());
            }
            // Some are confirmed, in any order.
            let mut count = confirm.next().unwrap_or(1) % 3;
            if working.is_empty() {
                count += 1;
            }
            for _ in 0..count.min(bench.sent.len()) {
                let index = confirm.next().unwrap_or(0) % bench.sent.len();
                drop(bench.sent.swap_remove(index));
            }
            bench.receive();
        }
        let state = bench.turns.lock();
        prop_assert!(state.lines.is_empty(), "nothing is parked: {:?}", state.lines.keys());
        drop(state);
        for key in 0..4 {
            let seen: Vec<_> = bench.seen.iter().filter(|(of, _)| *of == key).map(|(_, n)| *n).collect();
            prop_assert!(seen.is_sorted(), "{seen:?}");
            let results = messages.iter().enumerate().filter(|(_, message)| {
                message.0 == key && matches!(message.1, Fate::Result)
            });
            let results: Vec<_> = results.map(|(number, _)| number).collect();
            let lost = messages.iter().position(|message| message.0 == key && matches!(message.1, Fate::Lose));
            match lost.filter(|_| comes_again) {
                None => prop_assert_eq!(seen, results, "nothing is missing"),
                // What went out before the loss was known is a beginning.
                Some(_) => prop_assert!(results.starts_with(&seen)),
            }
        }
        drop(bench.turns);
        prop_assert!(matches!(bench.outgoing.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
    }
}

#[test]
fn a_closed_channel_drops_a_long_line_without_recursion() {
    const LONG: usize = 200_000;
    let mut bench = Bench::new(Follow::Settled, true, LONG);
    let mut line = bench.take(&vec![7; LONG]);
    let first = line.remove(0);
    bench.offer(line);
    bench.outgoing.close();
    drop(first);
    assert!(bench.turns.lock().lines.is_empty());
    assert_eq!(Arc::strong_count(&bench.turns), 1);
}

#[test]
fn what_follows_a_lost_message_waits_for_it_to_come_again() {
    let mut bench = Bench::new(Follow::Settled, true, 8);
    let mut line = bench.take(&[1, 1, 2]);
    let (other, second, mut first) = (line.pop(), line.pop(), line.pop().expect("three"));
    bench.offer(second.into_iter().collect());
    first.turn.take().expect("its turn").lose();
    bench.offer(other.into_iter().collect());
    bench.receive();
    assert_eq!(bench.seen, [(2, 2)], "the other key goes on");
    let later = bench.take(&[1]);
    bench.offer(later);
    bench.receive();
    assert_eq!(bench.seen.len(), 1, "the key stays closed");
}
