//! The last of lowering: outputs get their places, buffers theirs in the arena.

use std::collections::HashMap;

use super::{
    Missing, Uncovered,
    arena::{self, Life},
    emit::{Emitter, buffer_of},
    pictures, pieces,
    value::{Home, Value},
};
use crate::engine::cuda::{
    launch::{Base, Spot},
    plan::{Place, Plan, Slot, Step},
};

/// Where the buffers of a plan are.
#[derive(Debug)]
struct Places {
    /// The output that a buffer is.
    outputs: HashMap<usize, usize>,
    /// Bytes into the arena, by buffer.
    offsets: HashMap<usize, usize>,
}

impl Places {
    fn of(&self, spot: Spot) -> Result<Place, Missing> {
        let offset = usize::try_from(spot.offset)
            .map_err(|_| Missing::new("way to read before the beginning of a value"))?;
        Ok(match spot.base {
            Base::Constant(index) => Place::Constant { index, offset },
            Base::Input(index) => Place::Input { index, offset },
            Base::Fault => Place::Fault,
            Base::Buffer(buffer) => match self.outputs.get(&buffer) {
                Some(index) => Place::Output {
                    index: *index,
                    offset,
                },
                None => Place::Arena(self.offsets.get(&buffer).copied().unwrap_or(0) + offset),
            },
        })
    }
}

impl Emitter {
    /// The plan; `outputs` are the graph's, by name.
    pub(super) fn finish(
        mut self,
        inputs: Vec<Slot>,
        outputs: Vec<(String, Value)>,
    ) -> Result<Plan, Uncovered> {
        let mut slots = Vec::with_capacity(outputs.len());
        let mut given: HashMap<usize, usize> = HashMap::new();
        for (index, (name, value)) in outputs.into_iter().enumerate() {
            let about = |missing: Missing| Uncovered {
                node: name.clone(),
                op: "output".to_owned(),
                missing: missing.0,
            };
            self.begin(format!("{name} (output)"));
            let buffer = self.output_buffer(&value, &given).map_err(about)?;
            given.insert(buffer, index);
            slots.push(Slot {
                element: value.element,
                dims: value.dims.clone(),
                labels: value.labels.clone(),
                name,
            });
        }
        self.laid_out(inputs, slots, given)
    }

    /// The buffer that becomes this output: the value's own where it fills one that is no other output, else one that
    /// it is copied to.
    fn output_buffer(
        &mut self,
        value: &Value,
        given: &HashMap<usize, usize>,
    ) -> Result<usize, Missing> {
        let bytes = value.len() * value.width();
        let whole = match value.home {
            Home::At(Spot { offset: 0, .. }, _) if value.is_dense() => buffer_of(value),
            _ => None,
        };
        let own = whole.filter(|buffer| {
            !given.contains_key(buffer) && self.buffers.get(*buffer) == Some(&bytes)
        });
        if let Some(own) = own {
            return Ok(own);
        }
        let copy = self.make(value.element, &value.dims);
        self.copy_into(value, &copy)?;
        buffer_of(&copy).ok_or_else(|| Missing::new("place for it"))
    }

    /// The buffers that are no outputs, each with the first and the last launch that touches it.
    fn lives(&self, steps: &[Step<Spot>], given: &HashMap<usize, usize>) -> Vec<(usize, Life)> {
        let mut lives: Vec<(usize, Life)> = Vec::new();
        let mut place_of: HashMap<usize, usize> = HashMap::new();
        for (step, work) in steps.iter().enumerate() {
            for spot in work.places() {
                let Base::Buffer(buffer) = spot.base else {
                    continue;
                };
                if given.contains_key(&buffer) {
                    continue;
                }
                let at = *place_of.entry(buffer).or_insert_with(|| {
                    let life = Life {
                        bytes: self.buffers.get(buffer).copied().unwrap_or(0),
                        first: step,
                        last: step,
                    };
                    lives.push((buffer, life));
                    lives.len() - 1
                });
                if let Some((_, life)) = lives.get_mut(at) {
                    life.last = step;
                }
            }
        }
        lives
    }

    fn laid_out(
        mut self,
        inputs: Vec<Slot>,
        outputs: Vec<Slot>,
        given: HashMap<usize, usize>,
    ) -> Result<Plan, Uncovered> {
        let drafts = std::mem::take(&mut self.drafts);
        let given_out = |buffer: usize| given.contains_key(&buffer);
        let drafts = pictures::convolved(&mut self, drafts, given_out)?;
        let steps = pieces::steps(drafts, self.products, given_out)?;
        let lives = self.lives(&steps, &given);
        let only: Vec<Life> = lives.iter().map(|(_, life)| *life).collect();
        let (offsets, arena) = arena::arrange(&only);
        let places = Places {
            outputs: given,
            offsets: (lives.iter().zip(offsets))
                .map(|((buffer, _), offset)| (*buffer, offset))
                .collect(),
        };
        let mut used = Used::default();
        let placed = steps.iter().map(|step| {
            step.moved(|spot| Ok(used.renumbered(places.of(*spot)?)))
                .map_err(|missing| about(step.node(), missing))
        });
        let steps = placed.collect::<Result<Vec<_>, _>>()?;
        let constants = (used.order.iter())
            .filter_map(|index| self.constants.get(*index).cloned())
            .collect();
        Ok(Plan {
            inputs,
            outputs,
            constants,
            arena,
            steps,
        })
    }
}

/// The constants that steps really read, in the order of their first use.
#[derive(Debug, Default)]
struct Used {
    order: Vec<usize>,
    places: HashMap<usize, usize>,
}

impl Used {
    fn renumbered(&mut self, place: Place) -> Place {
        let Place::Constant { index, offset } = place else {
            return place;
        };
        let order = &mut self.order;
        let index = *self.places.entry(index).or_insert_with(|| {
            order.push(index);
            order.len() - 1
        });
        Place::Constant { index, offset }
    }
}

pub(super) fn about(node: &str, missing: Missing) -> Uncovered {
    let (name, op) = node.rsplit_once(" (").unwrap_or((node, ""));
    Uncovered {
        node: name.to_owned(),
        op: op.trim_end_matches(')').to_owned(),
        missing: missing.0,
    }
}
