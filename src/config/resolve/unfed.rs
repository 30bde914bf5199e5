//! What is wrong with what feeds an input, or with a field that feeds none.

use super::{
    Resolver,
    fields::Fields,
    known::{Column, Steps},
    list::{Item, ModelItem},
    names::makes,
    shape::{converts, shown},
};
use crate::{
    config::{
        node::Span,
        raw::At,
        report::{Report, listed, nearest},
    },
    contract::Dtype,
    engine::{ColumnRef, InputInfo, OutputRef},
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
        let help = match (column.place, from) {
            (_, Dtype::Bytes) => {
                "bytes become numbers by a step that reads files: `image`, `audio` or `window`"
                    .to_owned()
            }
            (ColumnRef::Field(_), Dtype::String) if to != Dtype::String => format!(
                "declare `{name}` with `dtype: {to}` if it is a number; words become numbers by a step: `one_hot`, `ordinal`, `hash` or `text`"
            ),
            (ColumnRef::Field(_) | ColumnRef::State(_), _) => {
                format!("declare `{name}` with `dtype: {to}`")
            }
            (ColumnRef::Output(_), _) => format!("the step that makes it must give {to}"),
        };
        let label = match from {
            Dtype::Bytes => "bytes are no numbers".to_owned(),
            Dtype::String => "text is no number".to_owned(),
            _ => format!("{from} does not become {to} without loss"),
        };
        self.report(
            Report::new(format!(
                "`{name}` is {from} and cannot feed the input `{}`, which is {to}",
                input.name
            ))
            .at(span, label)
            .help(help),
        );
        None
    }

    pub(super) fn unknown_feed(&mut self, feed: &At<String>, fields: &Fields, steps: &Steps) {
        // The output may be known by name only, because its step could not be run.
        if let Some(report) = steps.ambiguous(&feed.value) {
            self.report(report.at(&feed.span(), ""));
            return;
        }
        if !fields.complete || !steps.opened || steps.is_known(&feed.value) {
            return;
        }
        if let Some(report) = self.too_early(&feed.value, &feed.span()) {
            self.report(report);
            return;
        }
        let outputs = steps.names();
        let known = || {
            let held = fields.state.iter().map(|value| value.name.as_str());
            let fields = fields.list.iter().map(|field| field.name.as_str());
            fields.chain(held).chain(outputs.iter().map(String::as_str))
        };
        let noun = if steps.known.is_empty() {
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

    pub(super) fn unfed(
        &mut self,
        item: &Item<'_>,
        step: &ModelItem<'_>,
        input: &InputInfo,
        fields: &Fields,
        steps: &Steps,
    ) {
        // `input` was meant to feed it, which is reported.
        let meant = item.raw.is_some_and(|raw| raw.input.is_some());
        if let Some(report) = steps.ambiguous(&input.name) {
            let label = format!("it would feed the input `{}`", input.name);
            self.report(report.at(&item.span, label));
            return;
        }
        if !fields.complete || meant || steps.is_known(&input.name) {
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

    /// The columns do not make what the input takes.
    pub(super) fn misfit(
        &mut self,
        input: &InputInfo,
        columns: &[Column],
        spans: &[Span],
        fields: &Fields,
        fault: &str,
    ) {
        let made = |column: &Column| match column.place {
            ColumnRef::Field(place) => fields.list.get(place).is_some_and(|field| field.derived),
            ColumnRef::Output(_) => true,
            ColumnRef::State(_) => false,
        };
        let held = |column: &&Column| matches!(column.place, ColumnRef::State(_));
        let help = match columns.iter().find(|column| made(column)) {
            None if let Some(held) = columns.iter().find(held) => format!(
                "give the state value `{}` the `shape` that the model takes, which is that of the output that it becomes",
                held.name
            ),
            Some(column) => format!(
                "a step makes `{}`: change what it says of the size or the shape, or name other columns",
                column.name
            ),
            None => "name as many fields as the model was trained with, in the same order; a field with several elements has a `shape`".to_owned(),
        };
        let first = spans.first().cloned().unwrap_or_default();
        let last = spans.last().cloned().unwrap_or_default();
        self.report(
            Report::new(format!("the input `{}` does not fit: {fault}", input.name))
                .at(&(first.start..last.end.max(first.end)), "")
                .help(help),
        );
    }

    /// Every field must be good for something, and every step. `wanted` are the outputs that are
    /// written, where that is known.
    pub(super) fn check_unused(
        &mut self,
        fields: &Fields,
        steps: &Steps,
        wanted: Option<&[OutputRef]>,
    ) -> bool {
        if !steps.sound {
            return true;
        }
        let before = self.reports.len();
        let passed: Vec<_> = self.passed_keys().into_iter().map(str::to_owned).collect();
        self.check_unused_state(fields, steps);
        for ((field, span), used) in fields.list.iter().zip(&fields.spans).zip(&steps.used) {
            if field.derived && passed.contains(&field.name) {
                self.report(
                    Report::new(format!(
                        "`pass` carries what came in, and a step makes `{}`",
                        field.name
                    ))
                    .at_written(span.as_ref(), "")
                    .help("remove it from `pass`"),
                );
            }
            if *used || field.derived || passed.contains(&field.name) {
                continue;
            }
            let report = Report::new(format!("nothing takes the field `{}`", field.name))
                .at_written(span.as_ref(), "")
                .help("feed it to a model or another step under `steps`, carry it into the result with `pass`, or remove it");
            self.report(report);
        }
        // Where what is written is wrong, it may be what was meant to take it.
        if wanted.is_none() && !steps.groups.is_empty() {
            return false;
        }
        // A step on the host makes all of its results; the first is what it is for.
        for host in &fields.hosts {
            let first = host.outputs.start;
            if let (Some(false), Some(field)) = (steps.used.get(first), fields.list.get(first)) {
                let span = fields.spans.get(first).cloned().flatten();
                let help = "name it in a model or another step behind, or remove this one";
                self.nothing_takes(&field.name, span.as_ref(), help);
            }
        }
        let wanted = wanted.unwrap_or_default();
        let raw = self.raw.steps.iter().flat_map(|steps| &steps.value);
        for step in raw.filter(|step| step.value.model.is_none()) {
            let results = steps.known.iter();
            let mut results = results
                .filter(|known| known.model.is_none() && makes(step, &known.name))
                .peekable();
            let Some(first) = results.peek().map(|known| known.name.clone()) else {
                continue;
            };
            if results.all(|known| !wanted.contains(&known.at) && !steps.taken.contains(&known.at))
            {
                let output = step
                    .value
                    .output
                    .as_ref()
                    .map_or_else(|| step.span(), At::span);
                let help = "name it where it is meant to go, in a step or under `encode`, or remove the step";
                self.nothing_takes(&first, Some(&output), help);
            }
        }
        self.reports.len() == before
    }

    fn nothing_takes(&mut self, name: &str, span: Option<&Span>, help: &str) {
        self.report(
            Report::new(format!("nothing takes `{name}`, which a step makes"))
                .at_written(span, "")
                .help(help),
        );
    }
}
