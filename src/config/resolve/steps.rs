//! The steps in order: models with what feeds each of their inputs. Names become indices.

use super::{
    Resolver,
    fields::Fields,
    group::{Feed, Group, GroupModel, fixed_rows},
    known::{Column, Steps},
    list::{Item, Kind, ModelItem, StepList},
    models::Opened,
    shape::{converts, row_shape, shown},
};
use crate::{
    config::{
        node::Span,
        raw::At,
        report::{Report, listed, nearest},
    },
    contract::Dtype,
    engine::{ColumnRef, InputInfo, InputSpec, OutputRef},
    graph::{GraphBuilder, Value, build::OPSET},
};

impl Resolver<'_> {
    pub(super) fn steps(&mut self, list: &StepList<'_>, fields: &Fields) -> Steps {
        let mut steps = Steps::new(fields, list.complete);
        for (at, item) in list.items.iter().enumerate() {
            let before = steps.known.len();
            let sound = match &item.kind {
                Kind::Model(model) => self.model_step(list, at, item, model, fields, &mut steps),
                Kind::Tensor(tensor) => {
                    self.tensor_step(list, at, item, tensor, fields, &mut steps)
                }
            };
            steps.sound &= sound.is_some();
            steps.last = before..steps.known.len();
        }
        steps
    }

    /// A new group for the step at this place, around the next model.
    pub(super) fn open_group(&mut self, list: &StepList<'_>, at: usize, steps: &mut Steps) {
        let model = list.next_model(at).and_then(|model| model.opened);
        let span = list.items.get(at).map(|item| item.span.clone());
        let span = span.unwrap_or_default();
        let alone = list
            .items
            .iter()
            .all(|item| matches!(item.kind, Kind::Model(_)));
        // A model alone is run as it is: no need to read it.
        let graph = match model {
            Some(model) if !alone => {
                let graph = self.graph_around(model, &span);
                steps.sound &= graph.is_some();
                graph
            }
            _ => None,
        };
        let rows = model.and_then(fixed_rows);
        steps.groups.push(Group::new(
            span,
            graph
                .unwrap_or_else(|| GraphBuilder::new(OPSET))
                .with_rows(rows),
        ));
    }

    fn model_step(
        &mut self,
        list: &StepList<'_>,
        at: usize,
        item: &Item<'_>,
        step: &ModelItem<'_>,
        fields: &Fields,
        steps: &mut Steps,
    ) -> Option<()> {
        if steps
            .groups
            .last()
            .is_none_or(|group| group.model.is_some())
        {
            self.open_group(list, at, steps);
        }
        let Some(model) = step.opened else {
            steps.opened = false;
            return None;
        };
        let known = self.check_input_names(item, step.name, model);
        let feeds: Vec<_> = model
            .inputs
            .iter()
            .map(|input| {
                // A wrong name in the file most likely stands for one that is not fed.
                if known || item.feeds(&input.name).is_some() {
                    self.input(item, step, input, fields, steps)
                } else {
                    None
                }
            })
            .collect();
        let feeds: Option<Vec<(Feed, Vec<usize>)>> = feeds.into_iter().collect();
        let Some(feeds) = feeds.filter(|_| known) else {
            learn_names(step, model, steps);
            return None;
        };
        let shapes: Vec<_> = feeds.iter().map(|(_, shape)| shape.clone()).collect();
        let outputs = match self.catalog.outputs(&model.source, &shapes) {
            Ok(outputs) => outputs,
            Err(error) => {
                self.report(Report::new(error.message).at(&item.span, ""));
                learn_names(step, model, steps);
                return None;
            }
        };
        let number = steps.groups.len() - 1;
        let group = steps.groups.last_mut()?;
        let names = model.inputs.iter().map(|input| input.name.clone());
        group.model = Some(GroupModel {
            name: step.name.to_owned(),
            device: step.device(),
            source: model.source.clone(),
            feeds: names.zip(feeds.into_iter().map(|(feed, _)| feed)).collect(),
        });
        for info in outputs {
            let value = Value {
                name: format!("{}/{}", step.name, info.name),
                dtype: info.dtype,
                shape: info.shape.clone(),
                labels: info.labels.clone(),
            };
            let group = steps.groups.last_mut()?;
            let qualified = format!("{}.{}", step.name, info.name);
            let output = group.add(&info.name, qualified, value);
            let at = OutputRef {
                step: number,
                output,
            };
            let name = info.name.clone();
            steps.learn(&name, Some(step.name), at, Some(info));
        }
        Some(())
    }

    fn check_input_names(&mut self, item: &Item<'_>, name: &str, model: &Opened) -> bool {
        let names = || model.inputs.iter().map(|input| input.name.as_str());
        let mut known = true;
        for (input, _) in item.written_inputs() {
            if names().all(|known| known != input.value) {
                known = false;
                self.report(
                    Report::new(format!("the model `{name}` has no input `{}`", input.value))
                        .at(&input.span(), format!("its inputs: {}", listed(names())))
                        .maybe_help(nearest(&input.value, names())),
                );
            }
        }
        known
    }

    /// What feeds this input, and the shape of one row of it.
    fn input(
        &mut self,
        item: &Item<'_>,
        step: &ModelItem<'_>,
        input: &InputInfo,
        fields: &Fields,
        steps: &mut Steps,
    ) -> Option<(Feed, Vec<usize>)> {
        let Some(feeds) = item.feeds(&input.name) else {
            let Some(column) = steps.column(&input.name, fields) else {
                self.unfed(item, step, input, fields, steps);
                return None;
            };
            let span = item.span.clone();
            steps.mark(&column);
            self.check_dtype(&input.name, &column, input, &span)?;
            return self.fit(input, &[column], &span, steps);
        };
        if feeds.value.0.is_empty() {
            self.unfed(item, step, input, fields, steps);
            return None;
        }
        let columns = self.columns(&feeds.value.0, fields, steps);
        let written: Vec<_> = (feeds.value.0.iter().zip(&columns))
            .filter_map(|(feed, column)| Some((feed, column.as_ref()?)))
            .collect();
        let mut sound = written.len() == columns.len();
        for (feed, column) in &written {
            sound &= self
                .check_dtype(&feed.value, column, input, &feed.span())
                .is_some();
        }
        let columns: Vec<Column> = columns.into_iter().flatten().collect();
        if sound {
            self.fit(input, &columns, &span_of(&feeds.value.0), steps)
        } else {
            None
        }
    }

    /// The columns of these names; `None` where there is none of a name, which is reported.
    pub(super) fn columns(
        &mut self,
        names: &[At<String>],
        fields: &Fields,
        steps: &mut Steps,
    ) -> Vec<Option<Column>> {
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            let column = steps.column(&name.value, fields);
            match &column {
                Some(column) => steps.mark(column),
                None => self.unknown_feed(name, fields, steps),
            }
            columns.push(column);
        }
        columns
    }

    fn fit(
        &mut self,
        input: &InputInfo,
        columns: &[Column],
        span: &Span,
        steps: &mut Steps,
    ) -> Option<(Feed, Vec<usize>)> {
        let shapes: Vec<_> = columns.iter().map(|column| column.shape.clone()).collect();
        let shape = match row_shape(input.row_dims(), &shapes) {
            Ok(shape) => shape,
            Err(fault) => {
                self.report(
                    Report::new(format!("the input `{}` does not fit: {fault}", input.name))
                        .at(span, "")
                        .help("name as many fields as the model was trained with, in the same order; a field with several elements has a `shape`"),
                );
                return None;
            }
        };
        let number = steps.groups.len().checked_sub(1)?;
        if columns.iter().all(|column| column.group() != Some(number)) {
            let spec = InputSpec {
                columns: columns.iter().map(|column| column.place).collect(),
                shape: shape.clone(),
            };
            return Some((Feed::Outside(spec, input.dtype), shape));
        }
        let group = steps.groups.last_mut()?;
        let value = group.bring_flat(columns, input.dtype, number)?;
        let value = group.graph.reshape(&value, &shape);
        Some((Feed::Inside(value), shape))
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
        // The output may be known by name only, because its step could not be run.
        if !fields.complete || !steps.opened || steps.find(&feed.value).is_some() {
            return;
        }
        let outputs = steps.names();
        let known = || {
            let fields = fields.list.iter().map(|field| field.name.as_str());
            fields.chain(outputs.iter().map(String::as_str))
        };
        let noun = if steps.known.is_empty() {
            "there is no field"
        } else {
            "there is no field or earlier output"
        };
        self.report(
            Report::new(format!("{noun} `{}`", feed.value))
                .at(&feed.span(), format!("there are {}", listed(known())))
                .maybe_help(
                    self.made_later(&feed.value)
                        .or_else(|| nearest(&feed.value, known())),
                ),
        );
    }

    /// Advice, where a step makes this name, but not before it is asked for.
    fn made_later(&self, name: &str) -> Option<String> {
        let steps = &self.raw.steps.as_ref()?.value;
        let maker = steps.iter().find(|step| {
            let output = step.value.output.as_ref();
            output.is_some_and(|output| {
                name.strip_prefix(output.value.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        })?;
        let line = self.text.get(..maker.span().start)?.lines().count().max(1);
        Some(format!(
            "a step makes `{name}` (line {line}), but only steps above can be used: move that step up; where each needs the other, there is a circle, and one of them must do without"
        ))
    }

    fn unfed(
        &mut self,
        item: &Item<'_>,
        step: &ModelItem<'_>,
        input: &InputInfo,
        fields: &Fields,
        steps: &Steps,
    ) {
        if !fields.complete || steps.find(&input.name).is_some() {
            return;
        }
        let names = || fields.list.iter().map(|field| field.name.as_str());
        let scalars = fields
            .list
            .iter()
            .all(|field| field.shape.is_empty() && converts(field.dtype, input.dtype));
        let alone = step.opened.is_some_and(|model| model.inputs.len() == 1);
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
            input.name, step.name
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

/// From the first name to the last.
pub(super) fn span_of(names: &[At<String>]) -> Span {
    let first = names.first().map(At::span).unwrap_or_default();
    let last = names.last().map(At::span).unwrap_or_default();
    first.start..last.end.max(first.end)
}

/// The outputs of a model that could not be run are known by name only.
fn learn_names(step: &ModelItem<'_>, model: &Opened, steps: &mut Steps) {
    let number = steps.groups.len().saturating_sub(1);
    for (output, name) in model.declared.iter().enumerate() {
        let at = OutputRef {
            step: number,
            output,
        };
        steps.learn(name, Some(step.name), at, None);
    }
}
