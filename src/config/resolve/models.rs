//! The models that are named, and the steps that run them.

use std::{collections::BTreeMap, thread};

use super::Resolver;
use crate::{
    config::{
        node::Span,
        plan::Device,
        raw::{Model, Step},
        report::{Report, listed, nearest},
    },
    engine::{InputInfo, ModelSource},
};

/// A model that could be opened.
pub(super) struct Opened {
    pub(super) source: ModelSource,
    pub(super) inputs: Vec<InputInfo>,
    pub(super) declared: Vec<String>,
}

/// The models by name; `None` for one that could not be opened, which is reported.
pub(super) type Models = BTreeMap<String, Option<Opened>>;

/// One step as it is written, or as it goes without saying.
pub(super) struct StepItem<'a> {
    pub(super) name: &'a str,
    /// Where the step names its model.
    pub(super) span: Span,
    pub(super) raw: Option<&'a Step>,
    pub(super) written: &'a Model,
    /// `None` where the model could not be opened.
    pub(super) model: Option<&'a Opened>,
}

/// All steps. Incomplete where a step names no model that there is.
pub(super) struct StepList<'a> {
    pub(super) items: Vec<StepItem<'a>>,
    pub(super) complete: bool,
}

impl<'r> Resolver<'r> {
    pub(super) fn models(&mut self) -> Models {
        let raw = self.raw;
        if raw.models.value.0.is_empty() {
            self.report(
                Report::new("there is no model under `models`")
                    .at(&raw.models.span(), "")
                    .help("add one: `models: { NAME: { path: model.onnx } }`"),
            );
        }
        let open = |(name, model): &'r (_, Model)| {
            let name: &crate::config::raw::At<String> = name;
            (name.value.clone(), self.open(model))
        };
        raw.models.value.0.iter().map(open).collect()
    }

    fn open(&mut self, model: &Model) -> Option<Opened> {
        let path = self.existing(&model.path, "model file")?;
        let source = ModelSource::file(path);
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

    pub(super) fn step_list<'a>(&mut self, models: &'a Models) -> StepList<'a>
    where
        'r: 'a,
    {
        let raw = self.raw;
        let named = &raw.models.value.0;
        let mut list = StepList {
            items: Vec::new(),
            complete: true,
        };
        let Some(steps) = &raw.steps else {
            match named.as_slice() {
                [(name, written)] => list.items.push(StepItem {
                    name: &name.value,
                    span: name.span(),
                    raw: None,
                    written,
                    model: models.get(&name.value).and_then(Option::as_ref),
                }),
                [] => list.complete = false,
                [_, (second, _), ..] => {
                    list.complete = false;
                    self.report(
                        Report::new("`steps` is missing: with several models, it says which runs when")
                            .at(&second.span(), "the second model")
                            .help("add `steps:` with a line `- model: NAME` for each model, in the order they run"),
                    );
                }
            }
            return list;
        };
        for step in &steps.value {
            let name = &step.value.model;
            if let Some((_, written)) = named.iter().find(|(known, _)| known.value == name.value) {
                list.items.push(StepItem {
                    name: &name.value,
                    span: name.span(),
                    raw: Some(&step.value),
                    written,
                    model: models.get(&name.value).and_then(Option::as_ref),
                });
            } else {
                list.complete = false;
                if named.is_empty() {
                    continue;
                }
                let known = || named.iter().map(|(name, _)| name.value.as_str());
                self.report(
                    Report::new(format!("there is no model `{}`", name.value))
                        .at(&name.span(), format!("models: {}", listed(known())))
                        .maybe_help(nearest(&name.value, known())),
                );
            }
        }
        if steps.value.is_empty() {
            list.complete = false;
            self.report(Report::new("`steps` is empty").at(&steps.span(), "").help(
                "name a model: `- model: NAME`; or leave `steps` out where there is one model",
            ));
        }
        self.check_unused_models(&list);
        list
    }

    fn check_unused_models(&mut self, list: &StepList<'_>) {
        if !list.complete {
            return;
        }
        for (name, _) in &self.raw.models.value.0 {
            if list.items.iter().all(|step| step.name != name.value) {
                self.report(
                    Report::new(format!("no step runs the model `{}`", name.value))
                        .at(&name.span(), "")
                        .help("add a step for it, or remove it"),
                );
            }
        }
    }

    /// How many engine threads there are. Every thread runs every step, so the models must agree.
    pub(super) fn workers(&mut self, list: &StepList<'_>) -> usize {
        let mut written = list
            .items
            .iter()
            .filter_map(|step| step.written.workers.as_ref());
        let Some(first) = written.next() else {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            return (cores / 2).max(1);
        };
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

impl StepItem<'_> {
    pub(super) fn device(&self) -> Device {
        self.written.device.0
    }
}
