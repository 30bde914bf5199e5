//! The groups become graphs that can run.

use std::{collections::hash_map::Entry, mem};

use super::{Resolver, built::Finished, group::Group, known::Steps, models::Opened};
use crate::{
    block::Column,
    config::{node::Span, plan::StepPlan, report::Report},
    contract::Scalar,
    engine::{ColumnRef, Device, EngineSpec, ModelSource, OutputInfo, OutputRef},
    graph::{self, GraphBuilder, GraphError, Value, proto},
};

impl Resolver<'_> {
    /// The engine's part and the plan's, if every step could be resolved. `outputs` are what the
    /// pipeline writes, and what is held.
    pub(super) fn finish(
        &mut self,
        steps: Steps,
        outputs: &[OutputRef],
        max_rows: usize,
    ) -> Option<(EngineSpec, Vec<StepPlan>)> {
        if !steps.sound {
            return None;
        }
        let units: Vec<_> = steps.units().collect();
        let taken: Vec<OutputRef> = steps.groups.iter().flat_map(Group::takes).collect();
        let mut finished: Vec<Finished> = Vec::with_capacity(steps.groups.len());
        for (number, group) in steps.groups.into_iter().enumerate() {
            let wanted = outputs.iter().chain(&taken);
            let wanted: Vec<usize> = wanted
                .filter(|output| output.step == number)
                .map(|output| output.output)
                .collect();
            finished.push(self.finish_group(group, &wanted)?);
        }
        let places: Vec<_> = finished
            .iter_mut()
            .map(|group| mem::take(&mut group.places))
            .collect();
        let place = |at: OutputRef| {
            let output = (*places.get(at.step)?.get(at.output)?)?;
            Some(OutputRef { output, ..at })
        };
        let (mut specs, mut plans) = (Vec::new(), Vec::new());
        for mut group in finished {
            for column in group
                .spec
                .inputs
                .iter_mut()
                .flat_map(|input| &mut input.columns)
            {
                if let ColumnRef::Output(output) = column {
                    *output = place(*output)?;
                }
            }
            let conditions = group.spec.when.iter_mut();
            for condition in conditions.flat_map(|when| &mut when.conditions) {
                *condition = place(*condition)?;
            }
            specs.push(group.spec);
            plans.push(group.plan);
        }
        for (at, unit) in units {
            let found = place(at).map(|at| (plans.get_mut(at.step), at.output));
            if let Some((Some(StepPlan { units, .. }), output)) = found
                && let Some(of) = units.get_mut(output)
            {
                *of = Some(unit);
            }
        }
        let outputs = outputs
            .iter()
            .map(|output| place(*output))
            .collect::<Option<_>>()?;
        let spec = EngineSpec {
            steps: specs,
            outputs,
            state: None,
            max_rows,
        };
        Some((spec, plans))
    }

    /// The graph of a group, tried out where it was built here.
    fn finish_group(&mut self, group: Group, wanted: &[usize]) -> Option<Finished> {
        let span = group.span.clone();
        let finished = group.finish(wanted, |source| {
            let read = self.read.get(source).cloned();
            read.map_or_else(|| to_be_joined(source), Ok)
        });
        let finished = finished
            .map_err(|error| self.graph_error(&error, &span))
            .ok()?;
        self.check_otherwise(&finished, wanted, &span)?;
        if finished.spec.source.graph.is_some() {
            let inputs = finished.spec.inputs.iter();
            let shapes: Vec<_> = inputs.map(|input| input.shape.clone()).collect();
            let tried = self.catalog.outputs(&finished.spec.source, &shapes);
            if let Err(error) = tried {
                let label = "the graph of this step and those around it does not run";
                self.report(Report::new(error.message).at(&span, label));
                return None;
            }
        }
        Some(finished)
    }

    /// What stands in the other rows must be of the type of each result that is used.
    fn check_otherwise(&mut self, group: &Finished, wanted: &[usize], span: &Span) -> Option<()> {
        let Some(when) = &group.spec.when else {
            return Some(());
        };
        let otherwise = when.otherwise.as_ref();
        let places = wanted
            .iter()
            .filter_map(|number| *group.places.get(*number)?);
        let results = places.filter_map(|place| group.plan.made.get(place));
        let unfit = otherwise.and_then(|otherwise| {
            let odd = |info: &&OutputInfo| !Column::new(info.dtype).can_hold(otherwise);
            Some((otherwise, results.into_iter().find(odd)?))
        });
        let Some((otherwise, info)) = unfit else {
            return Some(());
        };
        self.report(
            Report::new(format!(
                "`otherwise: {otherwise}` cannot stand for `{}`, which is {}",
                info.name, info.dtype
            ))
            .at(span, "the result of this step")
            .help(format!(
                "write {}, or leave `otherwise` out: then it is null",
                if matches!(otherwise, Scalar::Float(_)) {
                    format!(
                        "a number that {} can hold, which is neither NaN nor infinite",
                        info.dtype
                    )
                } else {
                    "a value of that type".to_owned()
                }
            )),
        );
        None
    }

    /// A graph that steps can be written in and this model put into.
    pub(super) fn graph_around(&mut self, model: &Opened, span: &Span) -> Option<GraphBuilder> {
        let read = self.joinable(&model.source);
        let around = read.and_then(GraphBuilder::around);
        around.map_err(|error| self.graph_error(&error, span)).ok()
    }

    /// A model, so that it can be put into a graph; each is read once.
    pub(super) fn joinable(&mut self, source: &ModelSource) -> Result<&proto::Model, GraphError> {
        match self.read.entry(source.clone()) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(to_be_joined(source)?)),
        }
    }

    pub(super) fn graph_error(&mut self, error: &GraphError, span: &Span) {
        self.report(
            Report::new(error.what.clone())
                .at(span, "")
                .maybe_help(error.help.clone()),
        );
    }
}

/// The model in a file, or as it was changed.
pub(super) fn read(source: &ModelSource) -> Result<proto::Model, GraphError> {
    match &source.graph {
        Some(changed) => graph::parse(changed.clone()),
        None => graph::read(&source.path),
    }
}

/// The model in a file, so that it can be put into a graph: in operators that steps can be written
/// in too, and without maps.
fn to_be_joined(source: &ModelSource) -> Result<proto::Model, GraphError> {
    let mut model = read(source)?;
    graph::raise(&mut model)?;
    // The catalog has told the labels.
    graph::zipmap::unzip(&mut model);
    Ok(model)
}

/// A graph without the units of its outputs.
pub(super) fn step_plan(
    model: String,
    has_model: bool,
    device: Device,
    inputs: Vec<String>,
    outputs: Vec<String>,
    made: Vec<OutputInfo>,
) -> StepPlan {
    StepPlan {
        model,
        has_model,
        device,
        inputs,
        units: vec![None; outputs.len()],
        outputs,
        made,
    }
}

/// What a value is as an output of this name.
pub(super) fn info(name: &str, value: &Value) -> OutputInfo {
    OutputInfo {
        name: name.to_owned(),
        dtype: value.dtype,
        shape: value.shape.clone(),
        labels: value.labels.clone(),
    }
}
