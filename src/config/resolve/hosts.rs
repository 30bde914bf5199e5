//! Steps on the host: the fields that they read, and those that they make.

use super::{
    Resolver,
    fields::Fields,
    list::{HostItem, Item, Kind, StepList},
};
use crate::{
    config::{
        plan::HostPlan,
        raw::At,
        report::{Report, listed, nearest},
    },
    contract::{Field, Padding},
};

/// The column that says where others of the same step are padded.
const MASK: &str = "attention_mask";

/// Where nothing is said about fields, what the step reads is one.
pub(super) fn host_fields(item: &Item<'_>, host: &HostItem<'_>, fields: &mut Fields) {
    let input = item.raw.and_then(|raw| raw.input.as_ref());
    if let Some([name]) = input.map(|input| input.value.0.as_slice())
        && fields.find(&name.value).is_none()
    {
        let field = Field::new(&name.value, host.options.takes(), Vec::new());
        fields.list.push(field);
        fields.spans.push(None);
    }
}

impl Resolver<'_> {
    /// Adds the fields that steps on the host make.
    pub(super) fn hosts(&mut self, list: &StepList<'_>, fields: &mut Fields) {
        fields.used = vec![false; fields.list.len()];
        for (at, item) in list.items.iter().enumerate() {
            if let Kind::Host(host) = &item.kind {
                let made = self.host(list, at, item, host, fields);
                fields.complete &= made.is_some();
            }
        }
    }

    fn host(
        &mut self,
        list: &StepList<'_>,
        at: usize,
        item: &Item<'_>,
        host: &HostItem<'_>,
        fields: &mut Fields,
    ) -> Option<()> {
        self.check_host_when(item, host);
        let input = self.host_input(item, host, fields)?;
        let step = match host.options.load() {
            Ok(step) => step,
            Err(fault) => {
                let text = fault.to_string();
                // It begins with the key that is wrong.
                let key = text.split([' ', ':']).next().unwrap_or_default();
                let span = self.key_span(key.trim_matches('`'), item);
                self.report(Report::new(text).at(&span, ""));
                return None;
            }
        };
        let start = fields.list.len();
        Self::note_ids(step.highest_id(), host, start, fields);
        let gives = step.gives();
        let mask = gives.iter().position(|given| given.part == MASK);
        let fills = step.fills();
        for (at, given) in gives.into_iter().enumerate() {
            let name = match given.part {
                "" => host.output.to_owned(),
                part => format!("{}.{part}", host.output),
            };
            self.check_letters(&name, &host.output_span)?;
            if fields.find(&name).is_some() {
                self.report(
                    Report::new(format!("there is a field called `{name}` already"))
                        .at(
                            &host.output_span,
                            "this step's result would have the same name",
                        )
                        .help("give it a name of its own: `output: NAME`"),
                );
                return None;
            }
            let mut field = Field::new(name, given.dtype, given.shape);
            field.derived = true;
            field.padding = mask.zip(fills.get(at)).map(|(place, fill)| Padding {
                mask: start + place,
                fill: *fill,
            });
            fields.list.push(field);
            fields.spans.push(Some(host.output_span.clone()));
            fields.used.push(false);
            fields.units.push(None);
        }
        let name = &fields.list.get(input)?.name;
        let rest = list.items.get(at + 1..).unwrap_or_default();
        fields.hosts.push(HostPlan {
            options: host.options.clone(),
            input,
            outputs: start..fields.list.len(),
            last: !rest.iter().any(|item| reads(item, name)),
        });
        if let Some(used) = fields.used.get_mut(input) {
            *used = true;
        }
        Some(())
    }

    /// The place of the field that the step reads.
    fn host_input(
        &mut self,
        item: &Item<'_>,
        host: &HostItem<'_>,
        fields: &Fields,
    ) -> Option<usize> {
        let key = host.key;
        if let Some(span) = item.inputs_span() {
            self.report(
                Report::new(format!("`{key}` has one input, so it is written `input`"))
                    .at(&span, "")
                    .help("write `input: FIELD`"),
            );
            return None;
        }
        let written = item.raw.and_then(|raw| raw.input.as_ref());
        let Some(input) = written else {
            self.report(
                Report::new(format!("nothing feeds the step `{key}`"))
                    .at(&item.span, "")
                    .help("add `input: FIELD` beside it"),
            );
            return None;
        };
        let [name] = input.value.0.as_slice() else {
            self.report(
                Report::new(format!("`{key}` reads one field"))
                    .at(&input.span(), "")
                    .help("make a step for each field"),
            );
            return None;
        };
        let Some(place) = fields.find(&name.value) else {
            self.no_field(name, key, fields);
            return None;
        };
        let field = fields.list.get(place)?;
        if host.options.reads(field.dtype) && field.shape.is_empty() {
            return Some(place);
        }
        let takes = host.options.takes();
        let help = if field.derived {
            format!("a step makes `{}`: name a field that comes in", field.name)
        } else {
            format!(
                "declare it under `fields`: `{}: {{ dtype: {takes} }}`",
                field.name
            )
        };
        self.report(
            Report::new(format!(
                "`{key}` reads {takes}, and `{}` is {}{}",
                field.name,
                field.dtype,
                if field.shape.is_empty() {
                    ""
                } else {
                    " with a shape"
                }
            ))
            .at(&name.span(), "")
            .help(help),
        );
        None
    }

    fn no_field(&mut self, name: &At<String>, key: &str, fields: &Fields) {
        if !fields.complete {
            return;
        }
        let known = || fields.list.iter().map(|field| field.name.as_str());
        self.report(
            Report::new(format!("there is no field `{}`", name.value))
                .at(&name.span(), format!("there are {}", listed(known())))
                .maybe_help(nearest(&name.value, known()))
                .help(format!("`{key}` runs while rows are decoded, so it reads fields, and no results of other steps")),
        );
    }
}

/// Whether the step takes what is called so.
fn reads(item: &Item<'_>, name: &str) -> bool {
    let input = item.raw.and_then(|raw| raw.input.as_ref());
    let inputs = item.written_inputs().iter().map(|(_, feed)| feed);
    let mut names = inputs.chain(input).flat_map(|feed| &feed.value.0);
    names.any(|written| written.value == name)
}
