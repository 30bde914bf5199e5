//! Whether waiting pays, tried out.

use std::time::Instant;

/// Whether waiting pays where there are several engines. Senders that wait for their answers before they
/// send more are the slower for it; so for some batches nobody waits, and what is done in a second is compared.
#[derive(Debug)]
pub(super) struct Trial {
    /// In the spell that is under way.
    pub(super) waiting: bool,
    batches: u32,
    rows: f64,
    began: Option<Instant>,
    spells: u32,
    /// Without waiting, and with.
    kinds: [Spells; 2],
}

/// Rows a second in spells of one kind: sums of 1, of them, and of their squares.
#[derive(Debug, Default, Clone, Copy)]
struct Spells {
    weight: f64,
    sum: f64,
    squares: f64,
}

impl Spells {
    /// What is left of a spell's weight after one more of its kind.
    const KEPT: f64 = 0.9;

    fn add(&mut self, rate: f64) {
        self.weight = Self::KEPT * self.weight + 1.0;
        self.sum = Self::KEPT * self.sum + rate;
        self.squares = Self::KEPT * self.squares + rate * rate;
    }

    fn mean(self) -> f64 {
        self.sum / self.weight
    }

    /// How far the mean may be off: a variance.
    fn doubt(self) -> f64 {
        let variance = self.squares / self.weight - self.mean().powi(2);
        variance.max(0.0) / (self.weight - 1.0)
    }
}

impl Trial {
    /// Least batches and rows of one kind, one after another. In rows, since batches of the worse kind may be
    /// much larger, and the time that they take is what is lost.
    const SPELL: (u32, f64) = (8, 64.0);
    /// So many spells at first are of both kinds by turns.
    const AT_FIRST: u32 = 8;
    /// Later one in so many is of the worse kind.
    const AGAIN: u32 = 16;

    pub(super) fn new() -> Self {
        Self {
            waiting: true,
            batches: 0,
            rows: 0.0,
            began: None,
            spells: 0,
            kinds: [Spells::default(); 2],
        }
    }

    pub(super) fn taken(&mut self, rows: usize, now: Instant) {
        let began = *self.began.get_or_insert(now);
        self.rows += rows as f64;
        self.batches += 1;
        if self.batches < Self::SPELL.0 || self.rows < Self::SPELL.1 {
            return;
        }
        let seconds = now.saturating_duration_since(began).as_secs_f64();
        if seconds > 0.0 {
            self.kinds[usize::from(self.waiting)].add(self.rows / seconds);
        }
        (self.batches, self.rows, self.began) = (0, 0.0, Some(now));
        self.spells += 1;
        self.waiting = if self.spells < Self::AT_FIRST {
            !self.waiting
        } else {
            self.pays() != self.spells.is_multiple_of(Self::AGAIN)
        };
    }

    /// Unless it is clear that less is done with it: what comes by itself varies too.
    fn pays(&self) -> bool {
        let [without, with] = self.kinds;
        let doubt = 2.0 * (without.doubt() + with.doubt()).sqrt();
        let less = without.mean() - with.mean();
        // Also where nothing was measured.
        !(less > doubt && less > 0.03 * without.mean())
    }
}
