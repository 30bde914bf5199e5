//! What feeds each model input: names become indices.

use super::{
    Resolver,
    fields::Fields,
    models::{Opened, StepItem, StepList},
    shape::{converts, row_shape, shown},
};
use crate::{
    config::{
        node::Span,
        plan::StepPlan,
        raw::At,
        report::{Report, listed, nearest},
    },
    contract::Dtype,
    engine::{ColumnRef, EngineSpec, InputInfo, InputSpec, OutputInfo, OutputRef, StepSpec},
};

/// All steps, as far as they could be resolved.
pub(super) struct Steps {
    pub(super) list: Vec<ResolvedStep>,
    /// Fields that a model takes.
    pub(super) used: Vec<bool>,
    /// Nothing was wrong: what is not used is not used.
    pub(super) sound: bool,
}

pub(super) struct ResolvedStep {
    pub(super) plan: StepPlan,
    /// `None` where something that the run needs was wrong.
    spec: Option<StepSpec>,
    /// What really comes out; `None` where the model could not be run.
    pub(super) outputs: Option<Vec<OutputInfo>>,
    /// Whether `plan.outputs` can be relied on.
    pub(super) opened: bool,
}

/// A column that was found.
struct Column {
    place: ColumnRef,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl Steps {
    /// The engine's part and the plan's, if every step could be resolved.
    pub(super) fn into_spec(
        self,
        outputs: Vec<OutputRef>,
        max_rows: usize,
    ) -> Option<(EngineSpec, Vec<StepPlan>)> {
        let (mut specs, mut plans) = (Vec::new(), Vec::new());
        for step in self.list {
            specs.push(step.spec?);
            plans.push(step.plan);
        }
        let spec = EngineSpec {
            steps: specs,
            outputs,
            max_rows,
        };
        Some((spec, plans))
    }

    /// Finds `output` or `model.output`; the latest step wins.
    pub(super) fn find(&self, name: &str) -> Option<OutputRef> {
        let steps = || self.list.iter().enumerate().rev();
        let position = |step: &ResolvedStep, output: &str| {
            step.plan.outputs.iter().position(|known| known == output)
        };
        let plain = steps().find_map(|(at, step)| Some((at, position(step, name)?)));
        let found = plain.or_else(|| {
            steps().find_map(|(at, step)| {
                let output = name.strip_prefix(&step.plan.model)?.strip_prefix('.')?;
                Some((at, position(step, output)?))
            })
        });
        found.map(|(step, output)| OutputRef { step, output })
    }

    /// What really comes out there, where it is known.
    pub(super) fn info(&self, at: OutputRef) -> Option<&OutputInfo> {
        self.list.get(at.step)?.outputs.as_ref()?.get(at.output)
    }

    /// Every name that `find` takes, the last step's plain ones first.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (at, step) in self.list.iter().enumerate().rev() {
            for output in &step.plan.outputs {
                names.push(if at + 1 == self.list.len() {
                    output.clone()
                } else {
                    format!("{}.{output}", step.plan.model)
                });
            }
        }
        names
    }

    /// Whether every output's name is known.
    pub(super) fn all_opened(&self) -> bool {
        !self.list.is_empty() && self.list.iter().all(|step| step.opened)
    }
}

impl Resolver<'_> {
    pub(super) fn steps(&mut self, list: &StepList<'_>, fields: &Fields) -> Steps {
        let mut steps = Steps {
            list: Vec::new(),
            used: vec![false; fields.list.len()],
            sound: list.complete && fields.complete,
        };
        for item in &list.items {
            let step = self.step(item, fields, &mut steps);
            steps.sound &= step.opened && step.spec.is_some();
            steps.list.push(step);
        }
        steps
    }

    fn step(&mut self, item: &StepItem<'_>, fields: &Fields, steps: &mut Steps) -> ResolvedStep {
        let mut step = ResolvedStep {
            plan: StepPlan {
                model: item.name.to_owned(),
                device: item.device(),
                inputs: Vec::new(),
                outputs: Vec::new(),
            },
            spec: None,
            outputs: None,
            opened: false,
        };
        let Some(model) = item.model else {
            return step;
        };
        step.opened = true;
        step.plan.inputs = model
            .inputs
            .iter()
            .map(|input| input.name.clone())
            .collect();
        step.plan.outputs.clone_from(&model.declared);
        let known = self.check_input_names(item, model);
        let inputs: Vec<_> = model
            .inputs
            .iter()
            .map(|input| {
                // A wrong name in the file most likely stands for one that is not fed.
                if known || item.feeds(&input.name).is_some() {
                    self.input(item, input, fields, steps)
                } else {
                    None
                }
            })
            .collect();
        let inputs: Option<Vec<InputSpec>> = inputs.into_iter().collect();
        let Some(inputs) = inputs.filter(|_| known) else {
            return step;
        };
        let shapes: Vec<_> = inputs.iter().map(|input| input.shape.clone()).collect();
        match self.catalog.outputs(&model.source, &shapes) {
            Ok(outputs) => {
                step.plan.outputs = outputs.iter().map(|output| output.name.clone()).collect();
                step.outputs = Some(outputs);
                step.spec = Some(StepSpec {
                    source: model.source.clone(),
                    inputs,
                });
            }
            Err(error) => self.report(Report::new(error.message).at(&item.span, "")),
        }
        step
    }

    fn check_input_names(&mut self, item: &StepItem<'_>, model: &Opened) -> bool {
        let names = || model.inputs.iter().map(|input| input.name.as_str());
        let written = item.raw.and_then(|raw| raw.inputs.as_ref());
        let mut known = true;
        for (name, _) in written
            .map(|inputs| inputs.0.as_slice())
            .unwrap_or_default()
        {
            if names().all(|input| input != name.value) {
                known = false;
                self.report(
                    Report::new(format!(
                        "the model `{}` has no input `{}`",
                        item.name, name.value
                    ))
                    .at(&name.span(), format!("its inputs: {}", listed(names())))
                    .maybe_help(nearest(&name.value, names())),
                );
            }
        }
        known
    }

    fn input(
        &mut self,
        item: &StepItem<'_>,
        input: &InputInfo,
        fields: &Fields,
        steps: &mut Steps,
    ) -> Option<InputSpec> {
        let Some(feeds) = item.feeds(&input.name) else {
            let Some(column) = find(&input.name, fields, steps) else {
                self.unfed(item, input, fields, steps);
                return None;
            };
            let span = item.span.clone();
            mark(&column, steps);
            self.check_dtype(&input.name, &column, input, &span)?;
            return self.fit(input, vec![column], &span);
        };
        let mut columns = Vec::with_capacity(feeds.0.len());
        let mut sound = !feeds.0.is_empty();
        if feeds.0.is_empty() {
            self.unfed(item, input, fields, steps);
        }
        for feed in &feeds.0 {
            let Some(column) = find(&feed.value, fields, steps) else {
                self.unknown_feed(feed, fields, steps);
                sound = false;
                continue;
            };
            mark(&column, steps);
            sound &= self
                .check_dtype(&feed.value, &column, input, &feed.span())
                .is_some();
            columns.push(column);
        }
        let first = feeds.0.first()?.span();
        let last = feeds.0.last()?.span();
        let span = first.start..last.end.max(first.end);
        if sound {
            self.fit(input, columns, &span)
        } else {
            None
        }
    }

    fn fit(&mut self, input: &InputInfo, columns: Vec<Column>, span: &Span) -> Option<InputSpec> {
        let shapes: Vec<_> = columns.iter().map(|column| column.shape.clone()).collect();
        match row_shape(input.row_dims(), &shapes) {
            Ok(shape) => Some(InputSpec {
                columns: columns.into_iter().map(|column| column.place).collect(),
                shape,
            }),
            Err(fault) => {
                self.report(
                    Report::new(format!("the input `{}` does not fit: {fault}", input.name))
                        .at(span, "")
                        .help("name as many fields as the model was trained with, in the same order; a field with several elements has a `shape`"),
                );
                None
            }
        }
    }

    fn check_dtype(
        &mut self,
        name: &str,
        column: &Column,
        input: &InputInfo,
        span: &Span,
    ) -> Option<()> {
        let (from, to) = (column.dtype, input.dtype);
        if converts(from, to) {
            return Some(());
        }
        let help = match column.place {
            ColumnRef::Field(_) => format!("declare `{name}` with `dtype: {to}`"),
            ColumnRef::Output(_) => {
                "only a model can change the type of another's output".to_owned()
            }
        };
        self.report(
            Report::new(format!(
                "`{name}` is {from} and cannot feed the input `{}`, which is {to}",
                input.name
            ))
            .at(span, format!("{from} does not become {to} without loss"))
            .help(help),
        );
        None
    }

    fn unknown_feed(&mut self, feed: &At<String>, fields: &Fields, steps: &Steps) {
        if !fields.complete || !steps.list.iter().all(|step| step.opened) {
            return;
        }
        // The output may be known by name only, because its step could not be run.
        if steps.find(&feed.value).is_some() {
            return;
        }
        let outputs = steps.names();
        let known = || {
            let fields = fields.list.iter().map(|field| field.name.as_str());
            fields.chain(outputs.iter().map(String::as_str))
        };
        let noun = if steps.list.is_empty() {
            "there is no field"
        } else {
            "there is no field or earlier output"
        };
        self.report(
            Report::new(format!("{noun} `{}`", feed.value))
                .at(&feed.span(), format!("there are {}", listed(known())))
                .maybe_help(nearest(&feed.value, known())),
        );
    }

    fn unfed(&mut self, item: &StepItem<'_>, input: &InputInfo, fields: &Fields, steps: &Steps) {
        if !fields.complete || steps.find(&input.name).is_some() {
            return;
        }
        let names = || fields.list.iter().map(|field| field.name.as_str());
        let scalars = fields
            .list
            .iter()
            .all(|field| field.shape.is_empty() && converts(field.dtype, input.dtype));
        let alone = item.model.is_some_and(|model| model.inputs.len() == 1);
        let help = if alone && scalars && input.dtype != Dtype::String && !fields.list.is_empty() {
            let columns: Vec<_> = names().collect();
            format!(
                "write in the step: `inputs: {{ {}: [{}] }}`",
                input.name,
                columns.join(", ")
            )
        } else if let Some(near) = nearest(&input.name, names()) {
            format!(
                "{near} write in the step: `inputs: {{ {}: FIELD }}`",
                input.name
            )
        } else {
            format!(
                "write in the step: `inputs: {{ {}: FIELD }}`; there are {}",
                input.name,
                listed(names())
            )
        };
        let title = format!(
            "nothing feeds the input `{}` of the model `{}`",
            input.name, item.name
        );
        let label = format!(
            "`{}` is {} {}",
            input.name,
            input.dtype,
            shown(input.row_dims())
        );
        self.report(Report::new(title).at(&item.span, label).help(help));
    }

    /// Every field must be good for something.
    pub(super) fn check_unused(&mut self, fields: &Fields, steps: &Steps) {
        if !steps.sound {
            return;
        }
        let passed: Vec<_> = self.passed_keys().into_iter().map(str::to_owned).collect();
        for ((field, span), used) in fields.list.iter().zip(&fields.spans).zip(&steps.used) {
            if *used || passed.contains(&field.name) {
                continue;
            }
            let report = Report::new(format!("no model input takes the field `{}`", field.name))
                .at_written(span.as_ref(), "")
                .help("feed it to a model under `steps`, carry it into the result with `pass`, or remove it");
            self.report(report);
        }
    }
}

fn mark(column: &Column, steps: &mut Steps) {
    if let ColumnRef::Field(field) = column.place
        && let Some(used) = steps.used.get_mut(field)
    {
        *used = true;
    }
}

/// A field of this name, or else an output of an earlier step.
fn find(name: &str, fields: &Fields, steps: &Steps) -> Option<Column> {
    if let Some(place) = fields.find(name) {
        let field = &fields.list[place];
        return Some(Column {
            place: ColumnRef::Field(place),
            dtype: field.dtype,
            shape: field.shape.clone(),
        });
    }
    let output = steps.find(name)?;
    let info = steps.info(output)?;
    Some(Column {
        place: ColumnRef::Output(output),
        dtype: info.dtype,
        shape: info.shape.clone(),
    })
}
