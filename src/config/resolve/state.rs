//! `state`: what is held of a row for the next one with the same key.

use super::{Resolver, fields::Fields, known::Steps, list::Item, models::Opened, shape::shown};
use crate::{
    block::Column,
    config::{
        node::Span,
        raw::{At, StateValue as Raw},
        report::{Report, listed, nearest},
    },
    contract::{Dtype, Scalar},
    decode::key::OrderBy,
    engine::{
        Dim, OutputInfo, OutputRef,
        state::{StateSpec, StateValue as Spec},
    },
};

/// A value that is held, as far as the file says.
pub(super) struct StateValue {
    pub(super) name: String,
    /// Where its name is written.
    span: Span,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    initial: Scalar,
    from: At<String>,
}

impl<'r> Resolver<'r> {
    /// The names of the values, before anything else is known of them.
    pub(super) fn state_names(&self) -> impl Iterator<Item = &'r str> + use<'r> {
        let values = self
            .raw
            .state
            .iter()
            .flat_map(|state| &state.value.values.value.0);
        values.map(|(name, _)| name.value.as_str())
    }

    /// The values that are held.
    pub(super) fn state_values(&mut self, fields: &Fields) -> Vec<StateValue> {
        let Some(state) = &self.raw.state else {
            return Vec::new();
        };
        let values = &state.value.values;
        if values.value.0.is_empty() {
            self.report(
                Report::new("`state` holds nothing: `values` is empty")
                    .at(&values.span(), "")
                    .help("name a value and the output that it becomes, `total: { from: sum }`, or leave `state` out"),
            );
        }
        if self.raw.order_by.is_none() {
            self.report(
                Report::new("`state` needs `order_by`: something is held for each key of it")
                    .at(&state.span(), "")
                    .help("name a field, `order_by: device`, or a token of the subject, `order_by: \"{2}\"`: a row sees what is held of the row before with the same key"),
            );
        }
        let values = values.value.0.iter();
        values
            .map(|(name, raw)| self.state_value(name, &raw.value, fields))
            .collect()
    }

    fn state_value(&mut self, name: &At<String>, raw: &Raw, fields: &Fields) -> StateValue {
        if self.check_letters(&name.value, &name.span()).is_some()
            && let Some(place) = fields.find(&name.value)
        {
            let mut report =
                Report::new(format!("there is a field called `{}` already", name.value))
                    .at(&name.span(), "the state value would have the same name");
            if let Some(Some(field)) = fields.spans.get(place) {
                report = report.also(field, "the field");
            }
            self.report(report.help("give the state value another name"));
        }
        let mut dtype = raw.dtype.as_ref().map_or(Dtype::F32, |dtype| dtype.value.0);
        if matches!(dtype, Dtype::String | Dtype::Bytes) {
            let span = raw.dtype.as_ref().map(At::span).unwrap_or_default();
            self.report(
                Report::new(format!(
                    "the state value `{}` cannot be {dtype}",
                    name.value
                ))
                .at(&span, "")
                .help("hold numbers or truth values"),
            );
            dtype = Dtype::F32;
        }
        let shape = raw.shape.as_ref().map(|shape| self.sizes(shape));
        let none = match dtype {
            Dtype::Bool => Scalar::Bool(false),
            _ => Scalar::Integer(0),
        };
        let initial = raw
            .initial
            .as_ref()
            .map_or(none, |initial| initial.value.0.clone());
        if let Some(written) = &raw.initial
            && !Column::new(dtype).can_hold(&initial)
        {
            self.report(
                Report::new(format!(
                    "`initial: {initial}` cannot be the value of `{}`, which is {dtype}",
                    name.value
                ))
                .at(&written.span(), "")
                .help("write a value of that type"),
            );
        }
        StateValue {
            name: name.value.clone(),
            span: name.span(),
            dtype,
            shape: shape.unwrap_or_default(),
            initial,
            from: raw.from.clone(),
        }
    }

    /// The output that each value becomes; none at all where one could not be found.
    pub(super) fn state_sources(&mut self, fields: &Fields, steps: &mut Steps) -> Vec<OutputRef> {
        // What a model gives is not there.
        if self.is_without_models() {
            return Vec::new();
        }
        let before = self.reports.len();
        // Where it is missing, that is reported, and no mistake of the field that it would name.
        steps.sound &= self.raw.state.is_none() || self.raw.order_by.is_some();
        let values = fields.state.iter();
        let sources: Vec<_> = values
            .map(|value| self.state_source(value, fields, steps))
            .collect();
        steps.sound &= self.reports.len() == before;
        let sources: Option<Vec<OutputRef>> = sources.into_iter().collect();
        steps.sound &= sources.is_some();
        sources.unwrap_or_default()
    }

    fn state_source(
        &mut self,
        value: &StateValue,
        fields: &Fields,
        steps: &mut Steps,
    ) -> Option<OutputRef> {
        if fields.find(&value.name).is_none() && steps.find(&value.name).is_some() {
            self.report(
                Report::new(format!(
                    "there is an output called `{}`, and a state value",
                    value.name
                ))
                .at(&value.span, "the state value")
                .help("give the state value another name: steps could not tell them apart"),
            );
        }
        let from = &value.from;
        let Some(at) = steps.find(&from.value) else {
            self.unknown_source(value, fields, steps);
            return None;
        };
        steps.mark_place(Some(crate::engine::ColumnRef::Output(at)));
        let OutputInfo { dtype, shape, .. } = steps.info(at)?;
        if (*dtype, shape) == (value.dtype, &value.shape) {
            return Some(at);
        }
        let report = Report::new(format!(
            "the state value `{}` cannot become `{}`",
            value.name, from.value
        ))
        .at(
            &value.span,
            format!("this is {} {:?}", value.dtype, value.shape),
        )
        .also(&from.span(), format!("this is {dtype} {shape:?}"));
        let report = match dtype {
            Dtype::String | Dtype::Bytes => report.help("hold numbers or truth values"),
            _ => report.help(format!(
                "write `{}: {{ from: {}, dtype: {dtype}, shape: {shape:?} }}`, or give another output",
                value.name, from.value
            )),
        };
        self.report(report);
        None
    }

    fn unknown_source(&mut self, value: &StateValue, fields: &Fields, steps: &Steps) {
        let from = &value.from;
        if fields.find(&from.value).is_some() || fields.holds(&from.value) {
            // A step may have wanted the same name, which is reported.
            if !steps.sound {
                return;
            }
            let what = match fields.find(&from.value) {
                Some(_) => "a field",
                None => "a state value",
            };
            self.report(
                Report::new(format!("`{}` is {what}, and no output of a step", from.value))
                    .at(&from.span(), "what is held is what a step makes of the row")
                    .help("a step that computes the same makes an output of it: `- formula: NAME` with `output: OTHER`"),
            );
            return;
        }
        // The output may be known by name only, or not at all, because its step could not be run.
        if !fields.complete || !steps.opened {
            return;
        }
        let names = steps.names();
        let names = || names.iter().map(String::as_str);
        self.report(
            Report::new(format!("there is no output `{}` to hold", from.value))
                .at(&from.span(), format!("there are {}", listed(names())))
                .maybe_help(nearest(&from.value, names())),
        );
    }

    /// Whether the batch is the first dimension of each input, as far as that can be seen: one that
    /// has it elsewhere may run, and mix the rows. Recurrent networks have their states so.
    pub(super) fn check_axes(
        &mut self,
        item: &Item<'_>,
        model: &Opened,
        fields: &Fields,
    ) -> Option<()> {
        let inputs = model.inputs.iter();
        let firsts: Vec<&Dim> = inputs.filter_map(|input| input.dims.first()).collect();
        for input in &model.inputs {
            let [first, rest @ ..] = input.dims.as_slice() else {
                continue;
            };
            let named = rest.iter().position(|dim| match dim {
                Dim::Free(name) => !name.is_empty() && first != dim && firsts.contains(&dim),
                Dim::Fixed(_) => false,
            });
            let held = match item.feeds(&input.name) {
                Some(feed) => feed.value.0.iter().any(|name| fields.holds(&name.value)),
                None => fields.holds(&input.name),
            };
            // The others take any number of rows.
            let fixed = matches!(first, Dim::Fixed(_))
                && firsts.iter().any(|other| matches!(other, Dim::Free(_)));
            let axis = match named {
                Some(place) => place + 1,
                None if held && fixed => 1,
                None => continue,
            };
            let shape = shown(&input.dims).replacen("rows, ", "", 1);
            let input = &input.name;
            self.report(
                Report::new(format!(
                    "the batch is not the first dimension of the input `{input}`: {shape}"
                ))
                .at(&item.span, "")
                .help(format!(
                    "say which it is under the model's name, for this input and for outputs that are like it: `batch_axis: {{ {input}: {axis} }}`"
                )),
            );
            return None;
        }
        Some(())
    }

    /// What is held must be good for something.
    pub(super) fn check_unused_state(&mut self, fields: &Fields, steps: &Steps) {
        for (value, used) in fields.state.iter().zip(&steps.state_used) {
            // Who takes that name takes the field.
            if !used && fields.find(&value.name).is_none() {
                self.report(
                    Report::new(format!("nothing takes the state value `{}`", value.name))
                        .at(&value.span, "")
                        .help("feed it to a model or a step, as a field, or remove it"),
                );
            }
        }
    }

    /// What an engine holds. `rows` is the number of series that decoders fill; `sources` are the
    /// outputs that the values become.
    pub(super) fn state(
        &self,
        fields: &Fields,
        order_by: Option<&OrderBy>,
        rows: usize,
        sources: &[OutputRef],
    ) -> Option<StateSpec> {
        let raw = &self.raw.state.as_ref()?.value;
        let key = match order_by? {
            OrderBy::Field { series, .. } => *series,
            OrderBy::Token(_) => rows,
        };
        if sources.is_empty() {
            return None;
        }
        let values = fields.state.iter().zip(sources).map(|(value, from)| Spec {
            name: value.name.clone(),
            dtype: value.dtype,
            shape: value.shape.clone(),
            initial: value.initial.clone(),
            from: *from,
        });
        Some(StateSpec {
            key,
            max_keys: raw.max_keys.value.0,
            // The time that a run over a file takes says nothing of its rows.
            max_age: self.offline.is_none().then_some(raw.max_age.value.0),
            values: values.collect(),
        })
    }
}
