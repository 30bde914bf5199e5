//! The models that are named, and how many engine threads run them.

use std::{collections::BTreeMap, path::PathBuf, thread};

use super::{
    Resolver,
    list::{Kind, StepList},
};
use crate::{
    config::{
        node::Span,
        raw::{At, Model, Named},
        report::Report,
    },
    contract::Scalar,
    engine::{InputInfo, ModelSource},
    graph,
};

/// A model that could be opened.
pub(super) struct Opened {
    pub(super) source: ModelSource,
    pub(super) inputs: Vec<InputInfo>,
    pub(super) declared: Vec<String>,
}

/// The models by name; `None` for one that could not be opened, which is reported.
pub(super) type Models = BTreeMap<String, Option<Opened>>;

impl<'r> Resolver<'r> {
    /// The models as they are written; none where the file has no such key.
    pub(super) fn named_models(&self) -> &'r [(At<String>, Model)] {
        let models: Option<&At<Named<Model>>> = self.raw.models.as_ref();
        models.map_or(&[], |models| models.value.0.as_slice())
    }

    pub(super) fn models(&mut self) -> Models {
        let raw = self.raw;
        if let Some(models) = &raw.models
            && models.value.0.is_empty()
        {
            self.report(
                Report::new("there is no model under `models`")
                    .at(&models.span(), "")
                    .help("add one: `models: { NAME: { path: model.onnx } }`, or leave `models` out where the steps need none"),
            );
        }
        if raw.models.is_none() && raw.steps.is_none() {
            self.report(
                Report::new("there is nothing to do: neither `models` nor `steps` is there")
                    .help("add a model: `models: { NAME: { path: model.onnx } }`"),
            );
        }
        let named = self.named_models();
        let open = |(name, model): &'r (At<String>, Model)| (name.value.clone(), self.open(model));
        named.iter().map(open).collect()
    }

    fn open(&mut self, model: &Model) -> Option<Opened> {
        // Features are wanted before there is a model to train on them.
        if self.is_without_models()
            && self.raw.fields.is_some()
            && !self.base.join(&model.path.value.0).exists()
        {
            return None;
        }
        let path = self.existing(&model.path, "model file")?;
        let source = self.adapted(model, path)?;
        let opened = self.catalog.inputs(&source).and_then(|inputs| {
            let declared = self.catalog.declared_outputs(&source)?;
            Ok(Opened {
                source: source.clone(),
                inputs,
                declared,
            })
        });
        opened
            .map_err(|error| self.report(Report::new(error.message).at(&model.path.span(), "")))
            .ok()
    }

    /// The model with the constants that the file gives it, and its batch dimensions in front.
    fn adapted(&mut self, model: &Model, path: PathBuf) -> Option<ModelSource> {
        let named = |named: Option<usize>| named.unwrap_or_default();
        let changes = named(model.constants.as_ref().map(|all| all.0.len()))
            + named(model.batch_axis.as_ref().map(|all| all.0.len()));
        if changes == 0 {
            return Some(ModelSource::file(path));
        }
        let mut read = graph::read(&path)
            .map_err(|error| self.graph_error(&error, &model.path.span()))
            .ok()?;
        let before = self.reports.len();
        for (name, axis) in model.batch_axis.iter().flat_map(|all| &all.0) {
            if let Err(error) = graph::batch_first(&mut read, &name.value, axis.value.0) {
                self.graph_error(&error, &axis.span());
            }
        }
        for (name, values) in model.constants.iter().flat_map(|all| &all.0) {
            let scalars = values.value.0.iter().map(|value| value.value.0.clone());
            let scalars: Vec<Scalar> = scalars.collect();
            if let Err(error) = graph::fix_input(&mut read, &name.value, &scalars) {
                self.graph_error(&error, &values.span());
            }
        }
        (self.reports.len() == before).then(|| ModelSource::built(path, graph::to_bytes(&read)))
    }

    pub(super) fn check_unused_models(&mut self, list: &StepList<'_>) {
        if !list.complete {
            return;
        }
        for (name, _) in self.named_models() {
            if list.models().all(|step| step.name != name.value) {
                self.report(
                    Report::new(format!("no step runs the model `{}`", name.value))
                        .at(&name.span(), "")
                        .help("add a step for it, or remove it"),
                );
            }
        }
    }

    /// Each run of a model has a name of its own, so that its outputs can be told from those of another.
    pub(super) fn check_runs(&mut self, list: &mut StepList<'_>) {
        let before = self.reports.len();
        let mut seen: Vec<(&str, Span)> = Vec::new();
        for item in &list.items {
            let Kind::Model(model) = &item.kind else {
                continue;
            };
            let name = item.raw.and_then(|raw| raw.name.as_ref());
            let span = name.map_or_else(|| item.span.clone(), At::span);
            let fault = if model.run.trim().is_empty() {
                Some("is empty")
            } else if model.run.contains(['[', ']']) && name.is_some() {
                Some("has brackets, which name elements")
            } else {
                None
            };
            if let Some(fault) = fault {
                let report = Report::new(format!("the name of a run {fault}"));
                self.report(report.at(&span, "").help("write `name: NAME`"));
            } else if let Some((_, first)) = seen.iter().find(|(run, _)| *run == model.run) {
                self.report(
                    Report::new(format!("two runs of models are called `{}`", model.run))
                        .at(&span, "")
                        .also(first, "the first")
                        .help(format!(
                            "give this one a name of its own: `- {{ model: {}, name: NAME, … }}`; its outputs are `NAME.output` then",
                            model.name
                        )),
                );
            }
            seen.push((model.run, span));
        }
        // Whoever names an output of theirs has no mistake of its own.
        list.complete &= self.reports.len() == before;
    }

    /// How many engine threads there are. Every thread runs every step, so the models must agree.
    pub(super) fn workers(&mut self, list: &StepList<'_>) -> usize {
        let mut written = list
            .models()
            .filter_map(|step| step.written.workers.as_ref());
        if let Some(state) = &self.raw.state {
            if let Some(several) = written.find(|workers| workers.value.0 != 1) {
                self.report(
                    Report::new("what is held between rows (`state`) is held by one engine")
                        .at(&several.span(), format!("{} here", several.value.0))
                        .also(&state.span(), "")
                        .help("write `workers: 1` or leave it out; for more, run several processes, each with subjects of its own"),
                );
            }
            return 1;
        }
        let most = list
            .models()
            .max_by_key(|model| model.device().gpus().len());
        let gpus = most.map_or(0, |model| model.device().gpus().len());
        let Some(first) = written.next() else {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            // While one batch is computed, another goes up or comes down.
            return (cores / 2).max(2 * gpus).max(1);
        };
        if let Some(most) = most.filter(|_| first.value.0 < gpus) {
            let workers = first.value.0;
            self.report(
                Report::new(format!(
                    "the model `{}` is to run on {gpus} GPUs, by fewer engines",
                    most.name
                ))
                .at(&first.span(), format!("{workers} here"))
                .help(format!(
                    "each engine runs on one of them: write `workers: {gpus}` or more, or leave it out"
                )),
            );
        }
        if let Some(other) = written.find(|other| other.value != first.value) {
            self.report(
                Report::new("the models do not agree about `workers`")
                    .at(&other.span(), format!("{} here", other.value.0))
                    .also(&first.span(), format!("{} here", first.value.0))
                    .help("every engine thread runs every step: write the same number, or write it once"),
            );
        }
        first.value.0
    }
}
