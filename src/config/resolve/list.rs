//! The steps as they are written, or as they go without saying.

use super::{
    Resolver,
    models::{Models, Opened},
};
use crate::{
    config::{
        node::Span,
        raw::{At, Feed, Model, Named, Step},
        report::{Report, listed, nearest},
    },
    engine::{Accuracy, Device},
    graph::{
        formula::Formula,
        steps::{NAMES, TensorStep},
    },
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
    Formula(FormulaItem<'a>),
    Host(HostItem<'a>),
}

/// Runs a model.
pub(super) struct ModelItem<'a> {
    pub(super) name: &'a str,
    /// What this run of it is called.
    pub(super) run: &'a str,
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

/// Becomes nodes of a graph too.
pub(super) struct FormulaItem<'a> {
    pub(super) text: &'a At<String>,
    /// `None` where it cannot be read, which is reported.
    pub(super) formula: Option<Formula>,
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

/// What a step says, before it is looked into.
enum Said<'a> {
    Model(&'a At<String>),
    Formula(&'a At<String>),
    Host(HostOptions),
    Tensor(&'a dyn TensorStep),
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
            _ => None,
        })
    }

    /// The first model that runs at this place or behind it.
    pub(super) fn next_model(&self, at: usize) -> Option<&ModelItem<'a>> {
        let rest = self.items.get(at..).unwrap_or_default();
        rest.iter().find_map(|item| match &item.kind {
            Kind::Model(model) => Some(model),
            _ => None,
        })
    }
}

impl<'a> Item<'a> {
    /// Whether a model is run as it is, as far as this step goes: it adds nothing to a graph.
    pub(super) fn is_alone(&self) -> bool {
        match &self.kind {
            _ if self.raw.is_some_and(|raw| raw.when.is_some()) => false,
            Kind::Model(model) => model.written.input_units.is_none(),
            Kind::Host(_) => true,
            Kind::Tensor(_) | Kind::Formula(_) => false,
        }
    }

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

    pub(super) fn accuracy(&self) -> Accuracy {
        Accuracy {
            precision: self.written.precision.0,
            tolerance: self.written.tolerance.map(|part| part.0),
            parity: self.written.parity.map(|one| one.0),
            ..Accuracy::default()
        }
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
        self.check_runs(&mut list);
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
                    run: &name.value,
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
        let mut found = Vec::new();
        let model = raw.model.as_ref();
        found.extend(model.map(|model| ("model", model.span(), Said::Model(model))));
        let formula = raw.formula.as_ref();
        found.extend(formula.map(|text| ("formula", text.span(), Said::Formula(text))));
        let hosts = raw.host_steps().into_iter();
        found.extend(hosts.map(|(key, host)| (key, host.span(), Said::Host(host.value))));
        let tensors = raw.tensor_steps().into_iter();
        found.extend(tensors.map(|(key, step)| (key, step.span(), Said::Tensor(step.value))));
        if found.len() > 1 {
            let names = listed(found.iter().map(|(key, ..)| *key));
            let mut report = Report::new(format!("one step does several things: {names}"));
            if let [(_, first, _), (_, second, _), ..] = found.as_slice() {
                report = report.at(second, "").also(first, "");
            }
            self.report(report.help("make each a step of its own, with a `-` in front"));
            return None;
        }
        let Some((key, span, said)) = found.pop() else {
            let hosts = [
                "model", "formula", "image", "text", "window", "audio", "hash",
            ];
            self.report(
                Report::new("the step does not say what it does")
                    .at(&step.span(), "")
                    .help("name a model, `- model: NAME`, or a step with its parameters, `- scale: { center: 40, scale: 10 }`")
                    .help(format!("the steps: {}", listed(hosts.into_iter().chain(NAMES.iter().copied())))),
            );
            return None;
        };
        let written = raw.output.as_ref();
        let output = written.map_or(key, |output| output.value.as_str());
        let output_span = written.map_or_else(|| span.clone(), At::span);
        self.check_other_keys(raw, &said);
        let kind = match said {
            Said::Model(model) => return self.model_item(raw, model, models),
            Said::Formula(text) => Kind::Formula(FormulaItem {
                text,
                formula: self.parsed(text),
                output,
                output_span,
            }),
            Said::Host(options) => Kind::Host(HostItem {
                key,
                options: options.beside(&self.base),
                output,
                output_span,
            }),
            Said::Tensor(step) => Kind::Tensor(TensorItem {
                key,
                step,
                output,
                output_span,
            }),
        };
        Some(Item {
            span,
            end: 0,
            raw: Some(raw),
            kind,
        })
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
        let opened = models.get(&name.value).and_then(Option::as_ref);
        self.check_model_keys(raw, opened);
        let named = self.named_models();
        if let Some((_, written)) = named.iter().find(|(known, _)| known.value == name.value) {
            return Some(Item {
                span: name.span(),
                end: 0,
                raw: Some(raw),
                kind: Kind::Model(ModelItem {
                    name: &name.value,
                    run: raw.name.as_ref().map_or(&name.value, |name| &name.value),
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

    /// Keys that mean something beside one kind of step only.
    fn check_other_keys(&mut self, raw: &Step, said: &Said<'_>) {
        if let (Some(name), false) = (&raw.name, matches!(said, Said::Model(_))) {
            self.report(
                Report::new("`name` is for a run of a `model`")
                    .at(&name.span(), "")
                    .help("what the result of this step is called is its `output`"),
            );
        }
        if let (Some(unit), false) = (&raw.unit, matches!(said, Said::Formula(_))) {
            self.report(
                Report::new("`unit` is for the result of a `formula`")
                    .at(&unit.span(), "")
                    .help("a field has its `unit` under `fields`, and a model has `input_units` and `output_units` under `models`"),
            );
        }
    }

    /// Keys that mean something beside the other steps only.
    fn check_model_keys(&mut self, raw: &Step, opened: Option<&Opened>) {
        if let Some(input) = &raw.input {
            let inputs = opened.map(|model| model.inputs.as_slice());
            let names = input.value.0.iter().map(|name| name.value.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            let help = match inputs {
                Some([only]) => format!("write `inputs: {{ {}: [{names}] }}`", only.name),
                _ => "write `inputs: { NAME: FIELD }`".to_owned(),
            };
            self.report(
                Report::new("a model has `inputs`, by name, and no `input`")
                    .at(&input.span(), "")
                    .help(help),
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
