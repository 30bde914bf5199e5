//! The steps in order: models with what feeds each of their inputs. Names become indices.

use super::{
    Resolver,
    fields::Fields,
    group::{Feed, Group, GroupModel, Rows, fixed_rows},
    known::{Column, Steps},
    list::{Item, Kind, ModelItem, StepList},
    models::Opened,
    shape::row_shape,
};
use crate::{
    config::{
        node::Span,
        raw::At,
        report::{Report, listed, nearest},
    },
    engine::{InputInfo, InputSpec, OutputRef},
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
                Kind::Formula(formula) => {
                    self.formula_step(list, at, item, formula, fields, &mut steps)
                }
                // Its results are fields.
                Kind::Host(_) => continue,
            };
            steps.sound &= sound.is_some();
            steps.last = before..steps.known.len();
        }
        steps
    }

    /// A new group for the step at this place, around the next model.
    pub(super) fn open_group(
        &mut self,
        list: &StepList<'_>,
        at: usize,
        rows: Rows,
        steps: &mut Steps,
    ) {
        let model = list.next_model(at).and_then(|model| model.opened);
        let span = list.items.get(at).map(|item| item.span.clone());
        let span = span.unwrap_or_default();
        let alone = list.items.iter().all(Item::is_alone);
        // A model alone is run as it is: no need to read it.
        let graph = match model {
            Some(model) if !alone => {
                let graph = self.graph_around(model, &span);
                steps.sound &= graph.is_some();
                graph
            }
            _ => None,
        };
        let graph = graph.unwrap_or_else(|| GraphBuilder::new(OPSET));
        let graph = graph.with_rows(model.and_then(fixed_rows));
        steps.groups.push(Group::new(span, rows, graph));
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
        let Some(rows) = self.rows_of_model(list, at, item, step, fields, steps) else {
            lose(step, steps);
            return None;
        };
        let joins = |group: &Group| group.model.is_none() && group.rows == rows;
        if !steps.groups.last().is_some_and(joins) {
            self.open_group(list, at, rows, steps);
        }
        let Some(model) = step.opened else {
            steps.opened = false;
            return None;
        };
        self.check_unit_names(step);
        let known = self.check_input_names(item, step.name, model);
        let sound = self.check_axes(item, model, fields).is_some();
        let inputs = model.inputs.iter();
        let feeds: Vec<_> = inputs
            .map(|input| {
                // A wrong name in the file most likely stands for one that is not fed.
                if sound && (known || item.feeds(&input.name).is_some()) {
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
        self.check_rows_apart(step, model, &shapes, item);
        let number = steps.groups.len() - 1;
        let group = steps.groups.last_mut()?;
        let names = model.inputs.iter().map(|input| input.name.clone());
        group.model = Some(GroupModel {
            name: step.run.to_owned(),
            device: step.device(),
            accuracy: step.accuracy(),
            source: model.source.clone(),
            feeds: names.zip(feeds.into_iter().map(|(feed, _)| feed)).collect(),
        });
        for info in outputs {
            let value = Value {
                name: format!("{}/{}", step.run, info.name),
                dtype: info.dtype,
                shape: info.shape.clone(),
                labels: info.labels.clone(),
            };
            let group = steps.groups.last_mut()?;
            let qualified = format!("{}.{}", step.run, info.name);
            let output = group.add(&info.name, qualified, value);
            let at = OutputRef {
                step: number,
                output,
            };
            let name = info.name.clone();
            let unit = self.output_unit(step, &info);
            // With a unit that cannot be read, whoever takes it has no mistake of its own.
            let info = unit.is_ok().then_some(info);
            steps.learn(&name, Some(step.run), at, info, unit.ok().flatten());
        }
        Some(())
    }

    /// Which rows come together is chance, so no result may hang on it.
    fn check_rows_apart(
        &mut self,
        step: &ModelItem<'_>,
        model: &Opened,
        shapes: &[Vec<usize>],
        item: &Item<'_>,
    ) {
        if self.raw.batch.max_rows.value.0 < 2 {
            return;
        }
        // What does not run is told by whoever needs it to.
        if let Ok(Some(what)) = self.catalog.mixes_rows(&model.source, shapes) {
            self.report(
                Report::new(format!("the model `{}` mixes the rows of a batch: {what}", step.name))
                    .at(&item.span, "which rows come together is chance")
                    .help("export it so that nothing is computed across the first dimension, which is the row: no softmax, mean or attention over it, and no layer in training mode")
                    .help("or run the rows one by one: `batch: { max_rows: 1 }`"),
            );
        }
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
            self.check_vocabulary(step, input, std::slice::from_ref(&column), &span, fields)?;
            return self.fit(step, input, &[column], &[span], fields, steps);
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
            let spans: Vec<Span> = feeds.value.0.iter().map(At::span).collect();
            self.check_vocabulary(step, input, &columns, &span_of(&feeds.value.0), fields)?;
            self.fit(step, input, &columns, &spans, fields, steps)
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
        step: &ModelItem<'_>,
        input: &InputInfo,
        columns: &[Column],
        spans: &[Span],
        fields: &Fields,
        steps: &mut Steps,
    ) -> Option<(Feed, Vec<usize>)> {
        let shapes: Vec<_> = columns.iter().map(|column| column.shape.clone()).collect();
        let shape = match row_shape(input.row_dims(), &shapes) {
            Ok(shape) => shape,
            Err(fault) => {
                self.misfit(input, columns, spans, fields, &fault);
                return None;
            }
        };
        let number = steps.groups.len().checked_sub(1)?;
        let conversions = self.conversions(step, input, columns, spans)?;
        for conversion in &conversions {
            steps.mark_place(conversion.by());
        }
        if conversions
            .iter()
            .any(|conversion| !conversion.is_nothing())
        {
            let group = steps.groups.last_mut()?;
            let value = group.converted(columns, &conversions, input.dtype, number)?;
            let value = group.graph.reshape(&value, &shape);
            return Some((Feed::Inside(value), shape));
        }
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
}

/// From the first name to the last.
pub(super) fn span_of(names: &[At<String>]) -> Span {
    let first = names.first().map(At::span).unwrap_or_default();
    let last = names.last().map(At::span).unwrap_or_default();
    first.start..last.end.max(first.end)
}

/// Whoever uses the outputs of a step with a mistake has none of its own.
fn lose(step: &ModelItem<'_>, steps: &mut Steps) {
    match step.opened {
        Some(model) => learn_names(step, model, steps),
        None => steps.opened = false,
    }
}

/// The outputs of a model that could not be run are known by name only.
fn learn_names(step: &ModelItem<'_>, model: &Opened, steps: &mut Steps) {
    let number = steps.groups.len().saturating_sub(1);
    for (output, name) in model.declared.iter().enumerate() {
        let at = OutputRef {
            step: number,
            output,
        };
        steps.learn(name, Some(step.run), at, None, None);
    }
}
