//! A group becomes a graph that can run.

use super::{
    finish::{info, step_plan},
    group::{Feed, Group, GroupModel},
};
use crate::{
    config::plan::StepPlan,
    engine::{Accuracy, Device, ModelSource, StepSpec, When},
    graph::{self, GraphError, Value, proto},
};

/// A group as the engine and the plan need it.
pub(super) struct Finished {
    pub(super) spec: StepSpec,
    pub(super) plan: StepPlan,
    /// For each value, where it is among the outputs.
    pub(super) places: Vec<Option<usize>>,
}

impl Group {
    /// The graph with these of its values as outputs. `read` reads the model's file.
    ///
    /// # Errors
    /// The model cannot be put into a graph.
    pub(super) fn finish(
        mut self,
        wanted: &[usize],
        read: impl FnOnce(&ModelSource) -> Result<proto::Model, GraphError>,
    ) -> Result<Finished, GraphError> {
        let name = self.name();
        let rows = std::mem::take(&mut self.rows);
        let when = |shapes| {
            (!rows.conditions.is_empty()).then_some(When {
                conditions: rows.conditions,
                otherwise: rows.otherwise,
                shapes,
            })
        };
        let asked = self
            .model
            .as_ref()
            .map(|model| (model.device, model.accuracy));
        let (device, accuracy) = asked.unwrap_or((Device::Auto, Accuracy::OF_STEPS));
        let has_model = self.model.is_some();
        let plan = |inputs, (outputs, made)| {
            step_plan(name.clone(), has_model, device, inputs, outputs, made)
        };
        match self.model.take() {
            // As its file has it.
            Some(model) if self.steps == 0 && self.graph.is_empty() => {
                let (names, feeds): (Vec<_>, Vec<_>) = model.feeds.into_iter().unzip();
                let outside = feeds.into_iter().filter_map(|feed| match feed {
                    Feed::Outside(spec, _) => Some(spec),
                    Feed::Inside(_) => None,
                });
                let values = self.values.iter();
                let outputs = values.map(|it| (it.qualified.clone(), info(&it.name, &it.value)));
                let shapes = self.values.iter().map(|value| value.value.shape.clone());
                Ok(Finished {
                    places: (0..self.values.len()).map(Some).collect(),
                    plan: plan(names, outputs.unzip()),
                    spec: StepSpec {
                        source: model.source,
                        inputs: outside.collect(),
                        when: when(shapes.collect()),
                        accuracy,
                        device,
                    },
                })
            }
            model => {
                let path = match model {
                    Some(model) => self.insert(model, read)?,
                    None => name.clone().into(),
                };
                let (outputs, qualified, places) = self.outputs(wanted);
                let made = outputs.iter().map(|(name, value)| info(name, value));
                let made = made.collect();
                let (specs, inputs) = (self.imports.into_iter())
                    .map(|import| (import.spec, import.value.name))
                    .unzip();
                let shapes = outputs
                    .iter()
                    .map(|(_, value)| value.shape.clone())
                    .collect();
                let graph = graph::to_bytes(&self.graph.finish(&outputs));
                Ok(Finished {
                    spec: StepSpec {
                        source: ModelSource::built(path, graph),
                        inputs: specs,
                        when: when(shapes),
                        accuracy,
                        device,
                    },
                    plan: plan(inputs, (qualified, made)),
                    places,
                })
            }
        }
    }

    /// Puts the model into the graph, and gives the path of its file.
    fn insert(
        &mut self,
        model: GroupModel,
        read: impl FnOnce(&ModelSource) -> Result<proto::Model, GraphError>,
    ) -> Result<std::path::PathBuf, GraphError> {
        let mut feeds = Vec::with_capacity(model.feeds.len());
        for (name, feed) in model.feeds {
            let value = match feed {
                Feed::Inside(value) => value,
                Feed::Outside(spec, dtype) => self.import(&name, &spec.columns, dtype, &spec.shape),
            };
            feeds.push((name, value));
        }
        self.graph
            .insert(read(&model.source)?, &model.name, &feeds)?;
        Ok(model.source.path)
    }

    /// The wanted values with the names that they have as outputs, how they are called in the file,
    /// and where each value is among them.
    #[expect(
        clippy::type_complexity,
        reason = "three lists that are made in one go"
    )]
    fn outputs(
        &mut self,
        wanted: &[usize],
    ) -> (Vec<(String, Value)>, Vec<String>, Vec<Option<usize>>) {
        let mut places = vec![None; self.values.len()];
        let (mut outputs, mut qualified) = (Vec::new(), Vec::new());
        for (number, named) in self.values.iter().enumerate() {
            // A graph must have an output, also where nobody wants one.
            if !wanted.is_empty() && !wanted.contains(&number) {
                continue;
            }
            places[number] = Some(outputs.len());
            outputs.push((self.graph.fresh(&named.name), named.value.clone()));
            qualified.push(named.qualified.clone());
        }
        (outputs, qualified, places)
    }
}
