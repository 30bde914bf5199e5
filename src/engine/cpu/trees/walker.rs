//! Runs rows: through the trees, and what is done behind them.

use std::sync::Arc;

use super::{
    finish::{Aggregate, Score},
    forest::{Forest, LANES},
    meaning::Meaning,
    walk::{Sink, Table},
};

/// Trees with the memory that one thread needs to walk them.
#[derive(Debug)]
pub(super) struct Walker {
    pub(super) meaning: Arc<Meaning>,
    table: Table,
    scores: Vec<f32>,
    many: Vec<Score>,
}

/// Where the results of a run go.
#[derive(Debug)]
pub(super) struct Results<'a> {
    /// As many as targets for each row.
    pub(super) scores: &'a mut [f32],
    /// One for each row; of a regressor empty.
    pub(super) labels: &'a mut [i64],
}

impl Walker {
    pub(super) fn new(meaning: Arc<Meaning>) -> Self {
        Self {
            table: Table::new(&meaning.forest),
            scores: vec![0.0; Table::ROWS],
            many: vec![Score::default(); Table::ROWS * meaning.targets],
            meaning,
        }
    }

    /// Runs rows of `width` numbers each.
    ///
    /// # Errors
    /// The rows are too short, or do not fit the results; in words.
    pub(super) fn run(
        &mut self,
        (x, width): (&[f32], usize),
        rows: usize,
        results: Results<'_>,
    ) -> Result<(), String> {
        let meaning = Arc::clone(&self.meaning);
        let (targets, largest) = (meaning.targets, meaning.forest.largest);
        if largest >= width {
            return Err(format!(
                "its trees compare number {largest} of a row (the first is 0), and rows have {width}"
            ));
        }
        if rows * width != x.len() || rows * targets != results.scores.len() {
            return Err("rows and results are not as many".to_owned());
        }
        let mut labels = results.labels.chunks_mut(Table::ROWS);
        let rows_and_results = x
            .chunks(Table::ROWS * width)
            .zip(results.scores.chunks_mut(Table::ROWS * targets));
        for (x, scores) in rows_and_results {
            let rows = x.len() / width;
            let labels = labels.next().unwrap_or_default();
            let done = if targets == 1 {
                self.single(&meaning, (x, width), scores)
            } else {
                self.several(&meaning, (x, width), rows, (scores, labels))
            };
            done.ok_or("rows are shorter than what its trees compare")?;
        }
        Ok(())
    }

    fn single(&mut self, meaning: &Meaning, x: (&[f32], usize), results: &mut [f32]) -> Option<()> {
        let (finish, rows) = (&meaning.finish, results.len());
        let scores = self.scores.get_mut(..rows)?;
        let (table, forest) = (&mut self.table, &meaning.forest);
        match finish.aggregate {
            Aggregate::Sum | Aggregate::Average => {
                let mut sink = Single::new(scores, 0.0, |sum: f32, weight: f32| sum + weight);
                table.walk(forest, x, rows, &mut sink)?;
            }
            Aggregate::Min => {
                let less = |least: f32, weight: f32| if weight < least { weight } else { least };
                let mut sink = Single::new(scores, f32::INFINITY, less);
                table.walk(forest, x, rows, &mut sink)?;
            }
            Aggregate::Max => {
                let more = |most: f32, weight: f32| if weight > most { weight } else { most };
                let mut sink = Single::new(scores, f32::NEG_INFINITY, more);
                table.walk(forest, x, rows, &mut sink)?;
            }
        }
        for (result, score) in results.iter_mut().zip(scores) {
            *result = finish.one(*score);
        }
        Some(())
    }

    fn several(
        &mut self,
        meaning: &Meaning,
        x: (&[f32], usize),
        rows: usize,
        (results, labels): (&mut [f32], &mut [i64]),
    ) -> Option<()> {
        let targets = meaning.targets;
        let scores = self.many.get_mut(..rows * targets)?;
        scores.fill(Score::default());
        let mut sink = Several {
            forest: &meaning.forest,
            aggregate: meaning.finish.aggregate,
            targets,
            scores,
        };
        self.table.walk(&meaning.forest, x, rows, &mut sink)?;
        let scores = self.many.get_mut(..rows * targets)?;
        let mut labels = labels.iter_mut();
        let rows = scores.chunks_mut(targets).zip(results.chunks_mut(targets));
        for (scores, results) in rows {
            let label = meaning.finish.many(scores, results);
            if let (Some(label), Some(to)) = (label, labels.next()) {
                *to = label;
            }
        }
        Some(())
    }
}

/// A single score for each row.
struct Single<'a, F> {
    scores: &'a mut [f32],
    add: F,
}

impl<'a, F: Fn(f32, f32) -> f32> Single<'a, F> {
    fn new(scores: &'a mut [f32], from: f32, add: F) -> Self {
        scores.fill(from);
        Self { scores, add }
    }
}

impl<F: Fn(f32, f32) -> f32> Sink for Single<'_, F> {
    fn rows(&mut self, first: usize, leaves: &[f32; LANES]) {
        if let Some(scores) = self.scores.get_mut(first..first + LANES) {
            for (score, leaf) in scores.iter_mut().zip(leaves) {
                *score = (self.add)(*score, *leaf);
            }
        }
    }

    fn row(&mut self, row: usize, leaves: &[f32]) {
        if let Some(score) = self.scores.get_mut(row) {
            *score = leaves
                .iter()
                .fold(*score, |score, leaf| (self.add)(score, *leaf));
        }
    }
}

/// Scores of several targets or classes for each row.
struct Several<'a> {
    forest: &'a Forest,
    aggregate: Aggregate,
    targets: usize,
    scores: &'a mut [Score],
}

impl Several<'_> {
    fn add(&mut self, row: usize, leaf: f32) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is the leaf's number"
        )]
        let number = leaf as usize;
        let Some([from, to]) = self.forest.starts.get(number..number + 2) else {
            return;
        };
        let own = self.forest.weights.get(*from as usize..*to as usize);
        let first = row * self.targets;
        let scores = self.scores.get_mut(first..first + self.targets);
        let (Some(own), Some(scores)) = (own, scores) else {
            return;
        };
        for (target, weight) in own {
            if let Some(score) = scores.get_mut(*target as usize) {
                let value = score.value;
                score.value = match self.aggregate {
                    Aggregate::Sum | Aggregate::Average => value + weight,
                    Aggregate::Min if score.given && *weight >= value => value,
                    Aggregate::Max if score.given && *weight <= value => value,
                    Aggregate::Min | Aggregate::Max => *weight,
                };
                score.given = true;
            }
        }
    }
}

impl Sink for Several<'_> {
    fn rows(&mut self, first: usize, leaves: &[f32; LANES]) {
        for (lane, leaf) in leaves.iter().enumerate() {
            self.add(first + lane, *leaf);
        }
    }

    fn row(&mut self, row: usize, leaves: &[f32]) {
        for leaf in leaves {
            self.add(row, *leaf);
        }
    }
}
