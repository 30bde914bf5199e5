//! The steps as they are written, or as they go without saying.

use super::{
    Resolver,
    models::{Models, Opened},
};
use crate::{
    config::{
        node::Span,
        plan::Device,
        raw::{At, Feed, Model, Named, Step},
        report::{Report, listed, nearest},
    },
    graph::steps::{NAMES, TensorStep},
    host::HostOptions,
};

/// One step.
pub(super) struct Item<'a> {
    /// Where the step says what it does.
    pub(super) span: Span,
    /// Where the next step begins, or the file ends.
    pub(super) end: usize,
    pub(super) raw: Option<&'a Step>,
    pub(super) kind: Kind<'a>,
}

/// What a step does.
pub(super) enum Kind<'a> {
    Model(ModelItem<'a>),
    Tensor(TensorItem<'a>),
    Host(HostItem<'a>),
}

/// Runs a model.
pub(super) struct ModelItem<'a> {
    pub(super) name: &'a str,
    pub(super) written: &'a Model,
    /// `None` where the model could not be opened.
    pub(super) opened: Option<&'a Opened>,
}

/// Becomes nodes of a graph.
pub(super) struct TensorItem<'a> {
    pub(super) key: &'static str,
    pub(super) step: &'a dyn TensorStep,
    /// What its result is called.
    pub(super) output: &'a str,
    pub(super) output_span: Span,
}

/// Runs on the host, while rows are decoded.
pub(super) struct HostItem<'a> {
    pub(super) key: &'static str,
    pub(super) options: HostOptions,
    /// What its result is called.
    pub(super) output: &'a str,
    pub(super) output_span: Span,
}

/// All steps. Incomplete where one does nothing that there is.
pub(super) struct StepList<'a> {
    pub(super) items: Vec<Item<'a>>,
    pub(super) complete: bool,
}

impl<'a> StepList<'a> {
    /// The steps that run models.
    pub(super) fn models(&self) -> impl Iterator<Item = &ModelItem<'a>> {
        self.items.iter().filter_map(|item| match &item.kind {
            Kind::Model(model) => Some(model),
            Kind::Tensor(_) | Kind::Host(_) => None,
        })
    }

    /// The first model that runs at this place or behind it.
    pub(super) fn next_model(&self, at: usize) -> Option<&ModelItem<'a>> {
        let rest = self.items.get(at..).unwrap_or_default();
        rest.iter().find_map(|item| match &item.kind {
            Kind::Model(model) => Some(model),
            Kind::Tensor(_) | Kind::Host(_) => None,
        })
    }
}

impl<'a> Item<'a> {
    fn inputs(&self) -> Option<&'a At<Named<Feed>>> {
        self.raw?.inputs.as_ref()
    }

    /// The inputs that the step names, with what feeds them.
    pub(super) fn written_inputs(&self) -> &'a [(At<String>, Feed)] {
        self.inputs()
            .map(|inputs| inputs.value.0.as_slice())
            .unwrap_or_default()
    }

    /// What the file says feeds this input of a model, or of a step with several.
    pub(super) fn feeds(&self, input: &str) -> Option<&'a Feed> {
        let mut inputs = self.written_inputs().iter();
        let (_, feeds) = inputs.find(|(name, _)| name.value == input)?;
        Some(feeds)
    }

    /// Where `inputs` stands.
    pub(super) fn inputs_span(&self) -> Option<Span> {
        self.inputs().map(At::span)
    }
}

impl ModelItem<'_> {
    pub(super) fn device(&self) -> Device {
        self.written.device.0
    }
}

impl<'r> Resolver<'r> {
    pub(super) fn step_list<'a>(&mut self, models: &'a Models) -> StepList<'a>
    where
        'r: 'a,
    {
        let mut list = StepList {
            items: Vec::new(),
            complete: true,
        };
        let Some(steps) = &self.raw.steps else {
            self.unwritten(models, &mut list);
            return list;
        };
        for (at, step) in steps.value.iter().enumerate() {
            let next = steps.value.get(at + 1).map(|next| next.span().start);
            match self.item(step, models) {
                Some(item) => list.items.push(Item {
                    end: next.unwrap_or(self.text.len()),
                    ..item
                }),
                None => list.complete = false,
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

    /// With one model and no steps, the model is the step.
    fn unwritten<'a>(&mut self, models: &'a Models, list: &mut StepList<'a>)
    where
        'r: 'a,
    {
        match self.named_models() {
            [(name, written)] => list.items.push(Item {
                span: name.span(),
                end: 0,
                raw: None,
                kind: Kind::Model(ModelItem {
                    name: &name.value,
                    written,
                    opened: models.get(&name.value).and_then(Option::as_ref),
                }),
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
    }

    fn item<'a>(&mut self, step: &'r At<Step>, models: &'a Models) -> Option<Item<'a>>
    where
        'r: 'a,
    {
        let raw = &step.value;
        let tensor = raw.tensor_steps();
        let host = raw.host_steps();
        match (&raw.model, tensor.as_slice(), host.as_slice()) {
            (Some(model), [], []) => self.model_item(raw, model, models),
            (None, [], [(key, options)]) => {
                let output = raw.output.as_ref();
                Some(Item {
                    span: options.span(),
                    end: 0,
                    raw: Some(raw),
                    kind: Kind::Host(HostItem {
                        key,
                        options: options.value.clone().beside(&self.base),
                        output: output.map_or(*key, |output| output.value.as_str()),
                        output_span: output.map_or_else(|| options.span(), At::span),
                    }),
                })
            }
            (None, [(key, parameters)], []) => {
                let output = raw.output.as_ref();
                Some(Item {
                    span: parameters.span(),
                    end: 0,
                    raw: Some(raw),
                    kind: Kind::Tensor(TensorItem {
                        key,
                        step: parameters.value,
                        output: output.map_or(*key, |output| output.value.as_str()),
                        output_span: output.map_or_else(|| parameters.span(), At::span),
                    }),
                })
            }
            (None, [], []) => {
                self.report(
                    Report::new("the step does not say what it does")
                        .at(&step.span(), "")
                        .help("name a model, `- model: NAME`, or a step with its parameters, `- scale: { center: 40, scale: 10 }`")
                        .help(format!("the steps: {}", listed(["image", "text", "window", "audio"].into_iter().chain(NAMES.iter().copied())))),
                );
                None
            }
            (model, tensor, host) => {
                let model = model.as_ref().map(|model| ("model", model.span()));
                let tensor = tensor.iter().map(|(key, step)| (*key, step.span()));
                let host = host.iter().map(|(key, step)| (*key, step.span()));
                let all: Vec<_> = model.into_iter().chain(host).chain(tensor).collect();
                let names = listed(all.iter().map(|(key, _)| *key));
                let mut report = Report::new(format!("one step does several things: {names}"));
                if let [first, second, ..] = all.as_slice() {
                    report = report.at(&second.1, "").also(&first.1, "");
                }
                self.report(report.help("make each a step of its own, with a `-` in front"));
                None
            }
        }
    }

    fn model_item<'a>(
        &mut self,
        raw: &'r Step,
        name: &'r At<String>,
        models: &'a Models,
    ) -> Option<Item<'a>>
    where
        'r: 'a,
    {
        self.check_model_keys(raw);
        let named = self.named_models();
        if let Some((_, written)) = named.iter().find(|(known, _)| known.value == name.value) {
            return Some(Item {
                span: name.span(),
                end: 0,
                raw: Some(raw),
                kind: Kind::Model(ModelItem {
                    name: &name.value,
                    written,
                    opened: models.get(&name.value).and_then(Option::as_ref),
                }),
            });
        }
        if self.raw.models.is_none() {
            self.report(
                Report::new(format!(
                    "there is no model `{}`: `models` is missing",
                    name.value
                ))
                .at(&name.span(), "")
                .help(format!(
                    "add `models: {{ {}: {{ path: model.onnx }} }}`",
                    name.value
                )),
            );
        } else if !named.is_empty() {
            let known = || named.iter().map(|(name, _)| name.value.as_str());
            self.report(
                Report::new(format!("there is no model `{}`", name.value))
                    .at(&name.span(), format!("models: {}", listed(known())))
                    .maybe_help(nearest(&name.value, known())),
            );
        }
        None
    }

    /// Keys that mean something beside the other steps only.
    fn check_model_keys(&mut self, raw: &Step) {
        if let Some(input) = &raw.input {
            self.report(
                Report::new("a model has `inputs`, by name, and no `input`")
                    .at(&input.span(), "")
                    .help("write `inputs: { NAME: FIELD }`"),
            );
        }
        if let Some(output) = &raw.output {
            self.report(
                Report::new("the outputs of a model have the names that the model gives them")
                    .at(&output.span(), "`output` is for the other steps")
                    .help("name them where they are used: `output` or `model.output`; `encode` can give them other keys"),
            );
        }
    }
}
