//! What is wrong with what feeds an input, or with a field that feeds none.

use super::{
    Resolver,
    fields::Fields,
    known::{Column, Steps},
    list::{Item, ModelItem},
    shape::{converts, shown},
};
use crate::{
    config::{
        node::Span,
        raw::At,
        report::{Report, listed, nearest},
    },
    contract::Dtype,
    engine::{ColumnRef, InputInfo},
};

impl Resolver<'_> {
    pub(super) fn check_dtype(
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

    pub(super) fn unknown_feed(&mut self, feed: &At<String>, fields: &Fields, steps: &Steps) {
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

    pub(super) fn unfed(
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
            // A step on the host makes all of its results, whatever is taken of them.
            if *used || field.derived || passed.contains(&field.name) {
                continue;
            }
            let report = Report::new(format!("nothing takes the field `{}`", field.name))
                .at_written(span.as_ref(), "")
                .help("feed it to a model or another step under `steps`, carry it into the result with `pass`, or remove it");
            self.report(report);
        }
    }
}
