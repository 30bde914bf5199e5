//! What becomes of the weights that a row met: sums, base values, transforms and labels, in the order and the precision in
//! which ONNX Runtime computes them (`tree_ensemble_aggregator.h`, `ml_common.h` there).

/// How the weights of a row's leaves become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

/// What is done with all scores of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transform {
    None,
    Softmax,
    SoftmaxZero,
    Logistic,
}

/// A score, and whether any leaf gave it a weight: without one it counts as 0, whatever was added.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Score {
    pub(super) value: f32,
    pub(super) given: bool,
}

impl Score {
    fn get(self) -> f32 {
        if self.given { self.value } else { 0.0 }
    }

    fn set(&mut self, value: f32) {
        *self = Self { value, given: true };
    }
}

/// What a classifier knows of its classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Classes {
    /// What it calls each.
    pub(super) labels: Vec<i64>,
    /// There are two, and the weights are for one of them.
    pub(super) one_sided: bool,
    /// No weight is below zero.
    pub(super) positive: bool,
}

/// How the second score is made of a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Second {
    /// They sum up to 1.
    Rest,
    /// They sum up to 0.
    Opposite,
}

/// What is done behind the trees.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finish {
    pub(super) aggregate: Aggregate,
    pub(super) transform: Transform,
    pub(super) base: Vec<f32>,
    /// `None` for a regressor.
    pub(super) classes: Option<Classes>,
    pub(super) trees: usize,
}

impl Finish {
    /// The result of a regressor with a single target.
    pub(super) fn one(&self, score: f32) -> f32 {
        let base = self.base.first().copied().unwrap_or(0.0);
        match self.aggregate {
            Aggregate::Average => score / self.trees as f32 + base,
            Aggregate::Sum | Aggregate::Min | Aggregate::Max => score + base,
        }
    }

    /// The results of one row, and the label of a classifier.
    pub(super) fn many(&self, scores: &mut [Score], results: &mut [f32]) -> Option<i64> {
        let Some(classes) = &self.classes else {
            self.targets(scores);
            transformed(scores, self.transform, results);
            return None;
        };
        if let [first, second] = scores {
            return Some(self.two(classes, first, second, results));
        }
        for (score, base) in scores.iter_mut().zip(&self.base) {
            score.set(score.value + base);
        }
        let mut most: Option<(usize, f32)> = None;
        for (class, score) in scores.iter().enumerate().filter(|(_, score)| score.given) {
            if most.is_none_or(|(_, most)| score.value > most) {
                most = Some((class, score.value));
            }
        }
        transformed(scores, self.transform, results);
        let label = most.and_then(|(class, _)| classes.labels.get(class));
        Some(label.copied().unwrap_or(0))
    }

    /// The scores of a regressor.
    fn targets(&self, scores: &mut [Score]) {
        let count = self.trees as f32;
        for (target, score) in scores.iter_mut().enumerate() {
            let base = self.base.get(target).copied();
            score.value = match (self.aggregate, base) {
                (Aggregate::Sum, Some(base)) => score.value + base,
                (Aggregate::Sum, None) => score.value,
                (Aggregate::Average, Some(base)) => score.value / count + base,
                (Aggregate::Average, None) => score.value / count,
                (Aggregate::Min | Aggregate::Max, base) => base.unwrap_or(0.0) + score.get(),
            };
        }
    }

    /// Of two classes: the label, and both results.
    fn two(
        &self,
        classes: &Classes,
        first: &mut Score,
        second: &mut Score,
        results: &mut [f32],
    ) -> i64 {
        let mut both = true;
        match *self.base {
            [one, other] if !second.given => {
                second.value += other;
                first.value += one;
            }
            [_, other] => {
                second.set(other + first.value);
                first.value = -second.value;
            }
            [one] => {
                first.value += one;
                both = second.given;
            }
            _ => both = second.given,
        }
        let decides = if second.given {
            second.value
        } else {
            first.get()
        };
        let (above, made) = if classes.one_sided && classes.positive {
            (decides > 0.5, Second::Rest)
        } else {
            (decides > 0.0, Second::Opposite)
        };
        let label = if classes.one_sided {
            let label = classes.labels.get(usize::from(above));
            label.copied().unwrap_or(0)
        } else {
            i64::from(above)
        };
        if both {
            transformed(&mut [*first, *second], self.transform, results);
        } else if let [one, other] = results {
            let score = first.get();
            (*one, *other) = match (made, self.transform) {
                (_, Transform::Logistic) => (logistic(-score), logistic(score)),
                (Second::Rest, _) => (1.0 - score, score),
                (Second::Opposite, _) => (-score, score),
            };
        }
        label
    }
}

fn transformed(scores: &mut [Score], transform: Transform, results: &mut [f32]) {
    let largest = |scores: &[Score]| {
        let values = scores.iter().map(|score| score.get());
        values.fold(
            f32::MIN,
            |most, value| if value > most { value } else { most },
        )
    };
    match transform {
        Transform::None => {}
        Transform::Logistic => {
            for score in &mut *scores {
                score.set(logistic(score.get()));
            }
        }
        Transform::Softmax => {
            let most = largest(scores);
            let mut sum = 0.0;
            for score in &mut *scores {
                score.set((score.get() - most).exp());
                sum += score.value;
            }
            for score in &mut *scores {
                score.set(score.value / sum);
            }
        }
        Transform::SoftmaxZero => {
            let most = largest(scores);
            let (least, mut sum) = ((-most).exp(), 0.0);
            for score in &mut *scores {
                let value = score.get();
                // Zeros get no share.
                #[expect(clippy::manual_range_contains, reason = "NaN is on neither side")]
                if value > 0.000_000_1 || value < -0.000_000_1 {
                    score.set((value - most).exp());
                    sum += score.value;
                } else {
                    score.set(value * least);
                }
            }
            for score in &mut *scores {
                score.set(score.value / sum);
            }
        }
    }
    for (result, score) in results.iter_mut().zip(scores) {
        *result = score.get();
    }
}

fn logistic(value: f32) -> f32 {
    let positive = 1.0 / (1.0 + (-value.abs()).exp());
    if value < 0.0 {
        1.0 - positive
    } else {
        positive
    }
}
