//! Texts that go to a device and come back, where they are numbers.

use std::{collections::HashMap, sync::Arc};

use super::plan::{Plan, Slot, label};
use crate::{engine::dictionary::Dictionary, graph::front::Keys};

/// The numbers of texts: those that a plan knows, and behind them what else came in with a batch.
#[derive(Debug)]
pub struct Texts {
    /// What the plan knows.
    known: Arc<Vec<String>>,
    places: Dictionary,
    /// What else this batch has.
    others: Vec<String>,
    place_of: HashMap<String, usize>,
}

impl Texts {
    /// Those of a plan; there are none where it takes no texts.
    pub(super) fn of(plan: &Plan) -> Self {
        let known = plan.inputs.iter().find_map(|slot| slot.labels.clone());
        let known = known.unwrap_or_default();
        Self {
            places: Dictionary::new(&Keys::Texts(known.to_vec())),
            known,
            others: Vec::new(),
            place_of: HashMap::new(),
        }
    }

    /// Whether they are those of this plan.
    pub(super) fn are_of(&self, plan: &Plan) -> bool {
        let known = plan.inputs.iter().find_map(|slot| slot.labels.as_ref());
        known.is_none_or(|known| *known == self.known)
    }

    /// What the plan knows.
    pub fn known(&self) -> &[String] {
        &self.known
    }

    /// Forgets what came in with the batch before.
    pub(super) fn begin(&mut self) {
        self.others.clear();
        self.place_of.clear();
    }

    fn number(&mut self, text: &str) -> usize {
        let known = self.places.text(text);
        if known < self.known.len() {
            return known;
        }
        let other = if let Some(place) = self.place_of.get(text) {
            *place
        } else {
            self.others.push(text.to_owned());
            let place = self.others.len() - 1;
            self.place_of.insert(text.to_owned(), place);
            place
        };
        self.known.len() + other
    }

    /// Writes the numbers of texts, little-endian, and gives the number of bytes.
    pub fn write<'t>(&mut self, texts: impl IntoIterator<Item = &'t str>, to: &mut [u8]) -> usize {
        let (cells, _) = to.as_chunks_mut::<8>();
        let mut written = 0;
        for (cell, text) in cells.iter_mut().zip(texts) {
            *cell = (self.number(text) as u64).to_le_bytes();
            written += cell.len();
        }
        written
    }

    /// The text that a number of this input or output stands for.
    pub fn text<'t>(&'t self, slot: &'t Slot, number: i64) -> Option<&'t str> {
        let labels = slot.labels.as_ref()?;
        let behind = usize::try_from(number)
            .ok()
            .filter(|_| *labels == self.known)
            .and_then(|number| number.checked_sub(labels.len()));
        match behind {
            Some(other) => self.others.get(other).map(String::as_str),
            None => label(labels, number).map(String::as_str),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tensor::Element;

    fn slot(labels: &[&str]) -> Slot {
        Slot {
            name: "x".to_owned(),
            element: Element::Int64,
            dims: vec![1],
            labels: Some(Arc::new(labels.iter().map(|it| (*it).to_owned()).collect())),
        }
    }

    #[test]
    fn what_no_plan_knows_comes_back_as_it_went() {
        let inputs = vec![slot(&["a", "b"])];
        let plan = Plan {
            inputs: inputs.clone(),
            outputs: Vec::new(),
            constants: Vec::new(),
            arena: 0,
            steps: Vec::new(),
        };
        let mut texts = Texts::of(&plan);
        for batch in [["b", "z", "a", "y", "z"], ["y", "y", "b", "", "z"]] {
            texts.begin();
            let mut bytes = [0; 41];
            assert_eq!(texts.write(batch, &mut bytes), 40);
            let numbers: Vec<i64> = (bytes.as_chunks().0.iter())
                .map(|cell| i64::from_le_bytes(*cell))
                .collect();
            let back: Vec<_> = (numbers.iter())
                .map(|number| texts.text(&inputs[0], *number).unwrap())
                .collect();
            assert_eq!(back, batch);
        }
        assert_eq!(texts.text(&inputs[0], 1), Some("b"));
        assert_eq!(texts.text(&inputs[0], 9), None);
        // A list of its own has nothing behind it.
        assert_eq!(texts.text(&slot(&["c"]), 2), None);
        assert_eq!(texts.text(&slot(&["c"]), -1), Some("c"));
    }
}
