//! `when`: steps that run on some of the rows only.

use super::{
    Resolver,
    fields::Fields,
    group::Rows,
    known::{Column, Steps},
    list::{HostItem, Item, ModelItem, StepList},
    names::made_by,
};
use crate::{
    config::{raw::At, report::Report},
    contract::Dtype,
    engine::OutputRef,
    graph::{GraphBuilder, Value, formula::Checked},
};

impl Resolver<'_> {
    /// The rows that a model runs on: those that have what feeds its inputs.
    pub(super) fn rows_of_model(
        &mut self,
        list: &StepList<'_>,
        at: usize,
        item: &Item<'_>,
        step: &ModelItem<'_>,
        fields: &Fields,
        steps: &mut Steps,
    ) -> Option<Rows> {
        let inputs = step.opened.iter().flat_map(|model| &model.inputs);
        let names = inputs.flat_map(|input| match item.feeds(&input.name) {
            Some(feed) => feed
                .value
                .0
                .iter()
                .map(|name| name.value.as_str())
                .collect(),
            None => vec![input.name.as_str()],
        });
        let columns: Vec<Column> = names
            .filter_map(|name| steps.column(name, fields))
            .collect();
        let columns: Vec<&Column> = columns.iter().collect();
        self.rows(list, at, item, &columns, fields, steps)
    }

    /// The rows that a step runs on: those in which everything that it takes is there, and its own
    /// condition is true.
    pub(super) fn rows(
        &mut self,
        list: &StepList<'_>,
        at: usize,
        item: &Item<'_>,
        columns: &[&Column],
        fields: &Fields,
        steps: &mut Steps,
    ) -> Option<Rows> {
        let mut conditions = conditions_of(columns.iter().copied());
        let when = item.raw.and_then(|raw| raw.when.as_ref());
        let otherwise = item.raw.and_then(|raw| raw.otherwise.as_ref());
        if let Some(when) = when {
            let own = self.condition(list, at, when, fields, steps)?;
            for condition in own {
                if !conditions.contains(&condition) {
                    conditions.push(condition);
                }
            }
        } else if let Some(otherwise) = otherwise {
            self.report(
                Report::new("`otherwise` has no `when` beside it")
                    .at(&otherwise.span(), "")
                    .help("say for which rows the step runs: `when: \"score > 0.5\"`"),
            );
            return None;
        }
        Some(Rows {
            conditions,
            otherwise: otherwise.map(|otherwise| otherwise.value.0.clone()),
        })
    }

    /// The condition, as a value of a graph that runs before, and those that it hangs on itself.
    fn condition(
        &mut self,
        list: &StepList<'_>,
        at: usize,
        text: &At<String>,
        fields: &Fields,
        steps: &mut Steps,
    ) -> Option<Vec<OutputRef>> {
        let formula = self.parsed(text)?;
        let checked = self.checked(&formula, text, fields, steps)?;
        self.check_condition(&checked, text)?;
        let columns = steps.read_by(&checked, fields);
        let mut conditions = conditions_of(&columns);
        let known = steps
            .conditions
            .iter()
            .find(|(known, _)| *known == text.value);
        let own = if let Some((_, condition)) = known {
            *condition
        } else {
            let condition = self.make_condition(
                list,
                at,
                &checked,
                &columns,
                &conditions,
                text,
                fields,
                steps,
            )?;
            steps.conditions.push((text.value.clone(), condition));
            condition
        };
        conditions.push(own);
        Some(conditions)
    }

    /// A condition is one truth value for each row.
    fn check_condition(&mut self, checked: &Checked, text: &At<String>) -> Option<()> {
        let single = checked.shape().iter().all(|size| *size == 1);
        if checked.dtype() == Dtype::Bool && single {
            return Some(());
        }
        let found = match checked.shape() {
            [] => checked.dtype().to_string(),
            shape => format!("{} of shape {shape:?}", checked.dtype()),
        };
        self.report(
            Report::new("`when` wants one truth value for each row")
                .at(&text.span(), format!("this is {found}"))
                .help("compare it with something: `when: \"score > 0.5\"`"),
        );
        None
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "they are one thing, the place of a step"
    )]
    fn make_condition(
        &mut self,
        list: &StepList<'_>,
        at: usize,
        checked: &Checked,
        columns: &[Column],
        conditions: &[OutputRef],
        text: &At<String>,
        fields: &Fields,
        steps: &mut Steps,
    ) -> Option<OutputRef> {
        let all: Vec<&Column> = columns.iter().collect();
        let rows = Rows {
            conditions: conditions.to_vec(),
            otherwise: None,
        };
        let number = self.group_for(list, at, &all, rows, steps);
        let name = self.condition_name(fields, steps);
        let named = (name.as_str(), text);
        let single = |graph: &mut GraphBuilder, value: Value| graph.reshape(&value, &[]);
        let made = self.emit_formula(steps, number, checked, columns, named, single)?;
        Some(made.0)
    }

    /// What the next condition is called in metrics and graphs: as nothing in the file is.
    fn condition_name(&self, fields: &Fields, steps: &Steps) -> String {
        let first = steps.conditions.len() + 1;
        let taken = |name: &String| {
            let models = self.named_models().iter();
            let made = self.raw.steps.iter().flat_map(|steps| &steps.value);
            fields.find(name).is_some()
                || models.into_iter().any(|(model, _)| model.value == *name)
                || made.into_iter().any(|step| made_by(step) == name)
                || steps.groups.iter().any(|group| group.has(name))
        };
        let mut names = (first..).map(|number| format!("when_{number}"));
        names.find(|name| !taken(name)).unwrap_or_default()
    }

    /// Steps on the host run while rows are decoded, before anything is known of them.
    pub(super) fn check_host_when(&mut self, item: &Item<'_>, host: &HostItem<'_>) {
        let when = item.raw.and_then(|raw| raw.when.as_ref());
        if let Some(when) = when {
            self.report(
                Report::new(format!(
                    "`{}` runs on every row, and has no `when`",
                    host.key
                ))
                .at(&when.span(), "")
                .help("put the condition on the steps behind it"),
            );
            return;
        }
        let otherwise = item.raw.and_then(|raw| raw.otherwise.as_ref());
        if let Some(otherwise) = otherwise {
            self.report(
                Report::new(format!(
                    "`{}` runs on every row, and has no `otherwise`",
                    host.key
                ))
                .at(&otherwise.span(), "")
                .help("remove it: a field that may be missing has a `default`"),
            );
        }
    }
}

/// The conditions without which one of the columns is not there, each once.
fn conditions_of<'c>(columns: impl IntoIterator<Item = &'c Column>) -> Vec<OutputRef> {
    let mut conditions: Vec<OutputRef> = Vec::new();
    for condition in columns.into_iter().flat_map(|column| &column.conditions) {
        if !conditions.contains(condition) {
            conditions.push(*condition);
        }
    }
    conditions
}
