//! Tensor steps: what feeds them, and the nodes that they become.

use super::{
    Resolver,
    fields::Fields,
    group::{Rows, common_dtype},
    known::{Column, Steps},
    list::{Item, StepList, TensorItem},
    shape::{ROW_ELEMENTS_MAX, is_servable},
    steps::span_of,
};
use crate::{
    config::{
        node::Span,
        raw::{At, Feed},
        report::{Report, listed, nearest},
    },
    contract::Dtype,
    engine::{OutputInfo, OutputRef},
    graph::{Value, steps::Fault},
};

/// What feeds one input of a step.
struct Fed {
    columns: Vec<Column>,
    span: Span,
}

impl Resolver<'_> {
    pub(super) fn tensor_step(
        &mut self,
        list: &StepList<'_>,
        at: usize,
        item: &Item<'_>,
        step: &TensorItem<'_>,
        fields: &Fields,
        steps: &mut Steps,
    ) -> Option<()> {
        let Some(feds) = self.fed(item, step, fields, steps) else {
            // Whoever uses it has no mistake of its own.
            steps.opened = false;
            return None;
        };
        let columns: Vec<&Column> = feds.iter().flat_map(|fed| &fed.columns).collect();
        let Some(rows) = self.rows(list, at, item, &columns, fields, steps) else {
            steps.opened = false;
            return None;
        };
        let group = self.group_for(list, at, &columns, rows, steps);
        let outputs = self.emit(item, step, &feds, group, steps);
        let Some(outputs) = outputs else {
            steps.opened = false;
            return None;
        };
        for (part, value) in outputs {
            let name = match part {
                "" => step.output.to_owned(),
                part => format!("{}.{part}", step.output),
            };
            let named = self.check_name(&name, &step.output_span, fields, steps);
            if named.and(self.check_size(&name, &value, item)).is_none() {
                steps.opened = false;
                return None;
            }
            let info = OutputInfo {
                name: name.clone(),
                dtype: value.dtype,
                shape: value.shape.clone(),
                labels: value.labels.clone(),
            };
            let output = steps.groups.get_mut(group)?.add(&name, name.clone(), value);
            let at = OutputRef {
                step: group,
                output,
            };
            steps.learn(&name, None, at, Some(info), None);
        }
        Some(())
    }

    /// A row must not be larger than a field may be.
    fn check_size(&mut self, name: &str, value: &Value, item: &Item<'_>) -> Option<()> {
        if is_servable(&value.shape) {
            return Some(());
        }
        self.report(
            Report::new(format!(
                "one row of `{name}` is too large: {:?}",
                value.shape
            ))
            .at(&item.span, format!("at most {ROW_ELEMENTS_MAX} elements"))
            .help("make it smaller: every row of a batch takes as much memory"),
        );
        None
    }

    /// The group that the step belongs to: behind a model whose outputs it takes, else in front of
    /// the next model, so that each model has its own steps around it.
    pub(super) fn group_for(
        &mut self,
        list: &StepList<'_>,
        at: usize,
        columns: &[&Column],
        rows: Rows,
        steps: &mut Steps,
    ) -> usize {
        let last = steps.groups.len().checked_sub(1);
        let newest = columns.iter().filter_map(|column| column.group()).max();
        let joins = steps.groups.last().is_some_and(|group| {
            let place = group.model.is_none() || newest == last || list.next_model(at).is_none();
            place && group.rows == rows
        });
        if !joins {
            self.open_group(list, at, rows, steps);
        }
        steps.groups.len().saturating_sub(1)
    }

    /// The columns for each input of the step.
    fn fed(
        &mut self,
        item: &Item<'_>,
        step: &TensorItem<'_>,
        fields: &Fields,
        steps: &mut Steps,
    ) -> Option<Vec<Fed>> {
        let ports = step.step.ports();
        let raw = item.raw?;
        if let [_] = ports {
            if let Some(span) = item.inputs_span() {
                self.report(
                    Report::new(format!(
                        "`{}` has one input, so it is written `input`",
                        step.key
                    ))
                    .at(&span, "")
                    .help("write `input: NAME`, or `input: [A, B]` for columns side by side"),
                );
                return None;
            }
            let Some(feed) = &raw.input else {
                self.report(
                    Report::new(format!("nothing feeds the step `{}`", step.key))
                        .at(&item.span, "")
                        .help(
                            "add `input: NAME` beside it: a field, or an output of an earlier step",
                        ),
                );
                return None;
            };
            return Some(vec![self.fed_by(feed, fields, steps)?]);
        }
        if let Some(input) = &raw.input {
            self.report(
                Report::new(format!(
                    "`{}` has several inputs, so they are written `inputs`",
                    step.key
                ))
                .at(&input.span(), "")
                .help(format!(
                    "name what feeds each of {}",
                    listed(ports.iter().copied())
                )),
            );
            return None;
        }
        for (name, _) in item.written_inputs() {
            if !ports.contains(&name.value.as_str()) {
                self.report(
                    Report::new(format!("`{}` has no input `{}`", step.key, name.value))
                        .at(
                            &name.span(),
                            format!("its inputs: {}", listed(ports.iter().copied())),
                        )
                        .maybe_help(nearest(&name.value, ports.iter().copied())),
                );
                return None;
            }
        }
        let feds = ports
            .iter()
            .map(|port| self.port(port, item, step, fields, steps));
        feds.collect::<Vec<_>>().into_iter().collect()
    }

    fn port(
        &mut self,
        port: &str,
        item: &Item<'_>,
        step: &TensorItem<'_>,
        fields: &Fields,
        steps: &mut Steps,
    ) -> Option<Fed> {
        if let Some(feed) = item.feeds(port) {
            return self.fed_by(feed, fields, steps);
        }
        let Some(column) = steps.column(port, fields) else {
            if let Some(report) = steps.ambiguous(port) {
                let label = format!("it would feed the input `{port}`");
                self.report(report.at(&item.span, label));
                return None;
            }
            self.report(
                Report::new(format!(
                    "nothing feeds the input `{port}` of the step `{}`",
                    step.key
                ))
                .at(&item.span, "")
                .help(format!("write beside it: `inputs: {{ {port}: NAME }}`")),
            );
            return None;
        };
        steps.mark(&column);
        Some(Fed {
            columns: vec![column],
            span: item.span.clone(),
        })
    }

    fn fed_by(&mut self, feed: &Feed, fields: &Fields, steps: &mut Steps) -> Option<Fed> {
        let names: &[At<String>] = &feed.value.0;
        if names.is_empty() {
            self.report(
                Report::new("`input` is empty")
                    .at(&feed.span(), "")
                    .help("name what feeds the step"),
            );
            return None;
        }
        let columns = self.columns(names, fields, steps);
        let columns = columns.into_iter().collect::<Option<Vec<Column>>>()?;
        let mut raw = names.iter().zip(&columns);
        if let Some((name, _)) = raw.find(|(_, column)| column.dtype == Dtype::Bytes) {
            self.report(
                Report::new(format!(
                    "`{}` is bytes, and this step takes none",
                    name.value
                ))
                .at(&name.span(), "")
                .help(
                    "bytes become numbers by a step that reads files: `image`, `audio` or `window`",
                ),
            );
            return None;
        }
        Some(Fed {
            columns,
            span: span_of(names),
        })
    }

    /// Adds the step's nodes to the group.
    fn emit(
        &mut self,
        item: &Item<'_>,
        step: &TensorItem<'_>,
        feds: &[Fed],
        group: usize,
        steps: &mut Steps,
    ) -> Option<Vec<(&'static str, Value)>> {
        let graph = steps.groups.get_mut(group)?;
        graph.graph.begin_step(step.output);
        let mut values = Vec::with_capacity(feds.len());
        // Some steps take what is listed one by one; the others take it side by side.
        let width = |fed: &Fed| {
            if step.step.takes_list() {
                1
            } else {
                fed.columns.len()
            }
        };
        let parts = feds.iter().flat_map(|fed| {
            let parts = fed.columns.chunks(width(fed).max(1));
            parts.map(move |columns| (fed, columns))
        });
        for (fed, columns) in parts {
            let brought = common_dtype(columns)
                .and_then(|dtype| graph.bring(columns, dtype, step.output, group));
            match brought {
                Ok(value) => values.push(value),
                Err(why) => {
                    let text = columns.iter().any(|column| column.dtype == Dtype::String);
                    self.report(
                        Report::new(format!(
                            "the columns of `{}` cannot stand side by side: {why}",
                            step.output
                        ))
                        .at(&fed.span, "")
                        .maybe_help(text.then(|| "words become numbers by a step of their own: `one_hot` or `ordinal`".to_owned())),
                    );
                    return None;
                }
            }
        }
        match step.step.emit(&mut graph.graph, &values) {
            Ok(outputs) => {
                graph.steps += 1;
                Some(
                    outputs
                        .into_iter()
                        .map(|output| (output.part, output.value))
                        .collect(),
                )
            }
            Err(fault) => {
                let span = feds.first().map(|fed| fed.span.clone());
                self.fault(item, step, fault, &span.unwrap_or_default());
                None
            }
        }
    }

    fn fault(&mut self, item: &Item<'_>, step: &TensorItem<'_>, fault: Fault, input: &Span) {
        let report = match fault.key {
            None => Report::new(format!("the step `{}` {}", step.key, fault.what)).at(input, ""),
            Some(key) => {
                Report::new(format!("`{key}` {}", fault.what)).at(&self.key_span(key, item), "")
            }
        };
        self.report(report.maybe_help(fault.help));
    }

    /// Where a parameter stands among a step's; all of them, where it cannot be found.
    pub(super) fn key_span(&self, key: &str, item: &Item<'_>) -> Span {
        let parameters = &item.span;
        let text = self
            .text
            .get(parameters.start..item.end)
            .unwrap_or_default();
        let found = text.match_indices(key).find(|(at, _)| {
            let before = text[..*at].chars().next_back();
            let behind = text[at + key.len()..].trim_start();
            behind.starts_with(':') && !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
        });
        found.map_or(parameters.clone(), |(at, _)| {
            let start = parameters.start + at;
            start..start + key.len()
        })
    }
}
